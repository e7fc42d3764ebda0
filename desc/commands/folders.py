"""Opening a folder, shared by the commands that read one."""

from __future__ import annotations

import argparse
import logging
import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from desc.cluster import dask_cluster
from desc.descriptors.config import DescriptorConfig
from desc.errors import ConfigurationError
from desc.progress import clock

if TYPE_CHECKING:
    from desc.corpus import Corpus
    from desc.corpus.discovery import Paths
    from desc.runs import Record
    from desc.storage import DescriptorStore

logger = logging.getLogger(__name__)

FOLDERS = "audio_db_dir", "validation_db_dir", "sample_audio_db_dir"
PATTERNS = "include", "exclude"
"""Options that name the recordings of a training; its run keeps them."""


def open_folder(
    path: Paths,
    config: DescriptorConfig,
    store: DescriptorStore,
    args: argparse.Namespace,
    *,
    filtered: bool = True,
    name_skipped: bool = True,
    besides: Corpus | None = None,
    adopt_hop: bool = False,
) -> Corpus:
    """Open a folder of recordings, and log the skipped files.

    Parameters
    ----------
    path : path or sequence of path
        A folder, one recording, or several.
    config : DescriptorConfig
        Settings of extraction.
    store : DescriptorStore
        The cache.
    args : argparse.Namespace
        Holds `include`, `exclude` and `jobs`.
    filtered : bool
        Whether `--include` and `--exclude` apply to this folder.
    adopt_hop : bool
        Take the hop length from descriptor JSON where it differs from the configuration's.
    name_skipped : bool
        Whether to log the skipped files.
    besides : Corpus, optional
        A folder opened before; the files that it skipped are not logged again.
    """
    from desc.corpus import log_skipped, open_corpus
    from desc.corpus.discovery import label

    corpus = open_corpus(
        path,
        config,
        store,
        include=args.include if filtered else (),
        exclude=args.exclude if filtered else (),
        jobs=args.jobs,
        adopt_hop=adopt_hop,
    )
    names = label(path)
    n_files = len(corpus.sequences)
    logger.info(
        f"{names}: {n_files} file{'s' * (n_files != 1)}, {clock(corpus.duration_s)}, "
        f"{corpus.n_extracted} extracted now"
    )
    named = {besides.path(file.source) for file in besides.skipped} if besides else set()
    skipped = [file for file in corpus.skipped if corpus.path(file.source) not in named]
    if name_skipped:
        log_skipped(names, skipped)
    return corpus


def workers(args: argparse.Namespace, store: DescriptorStore) -> AbstractContextManager[None]:
    """Return the context in which the work is done where `--backend` says.

    Raises
    ------
    ConfigurationError
        If `--backend dask` comes without a scheduler, or a scheduler without it.
    """
    if (args.backend == "dask") != (args.scheduler is not None):
        raise ConfigurationError(
            f"backend={args.backend} and scheduler={args.scheduler!r} do not go together: "
            "--backend dask needs --scheduler with an address, and only that backend has one"
        )
    return dask_cluster(args.scheduler, store.cache_dir) if args.scheduler else nullcontext()


def inputs_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the given options that name recordings, with absolute paths."""
    given = {name: value for name, value in vars(args).items() if value}
    folders = {name: _absolute(given[name]) for name in FOLDERS if name in given}
    return folders | {name: given[name] for name in PATTERNS if name in given}


def recall_inputs(args: argparse.Namespace, record: Record | None) -> None:
    """Complete the options that name recordings with those of the run to continue.

    Raises
    ------
    ConfigurationError
        If neither the options nor the run name a folder of recordings.
    """
    names: tuple[str, ...] = (*FOLDERS, *PATTERNS)
    if args.audio_db_dir:  # patterns are of one folder; a new run has its own recordings
        names = FOLDERS if args.resume_run_id else ()
    known = {} if record is None else {n: v for n, v in record.inputs.items() if n in names}
    for name, value in known.items():
        folders = [value] if isinstance(value, str) else value
        is_there = name != "sample_audio_db_dir" or all(map(os.path.isdir, folders))
        if not vars(args).get(name) and is_there:
            setattr(args, name, value)
    if not args.audio_db_dir:
        run = "" if record is None else f"; run {record.run_id} does not name one"
        raise ConfigurationError(f"--audio_db_dir must name the folder of recordings{run}")


def _absolute(path: str | list[str]) -> str | list[str]:
    return os.path.abspath(path) if isinstance(path, str) else [os.path.abspath(p) for p in path]

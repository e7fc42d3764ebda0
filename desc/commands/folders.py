"""What sub-commands that are given a folder share: opening it, saying what was skipped."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from desc.commands.console import Console
from desc.descriptors.config import DescriptorConfig

if TYPE_CHECKING:
    from desc.corpus import Corpus
    from desc.storage import DescriptorStore

SHOWN = 20  # skipped files named one by one; more are counted


def open_folder(
    path: str | Path,
    config: DescriptorConfig,
    store: DescriptorStore,
    args: argparse.Namespace,
    console: Console,
    *,
    filtered: bool = True,
    name_skipped: bool = True,
    adopt_hop: bool = False,
) -> Corpus:
    """Extract a folder's descriptors (or take them from the cache) and report what was skipped.

    Parameters
    ----------
    path : path
        A folder, or one recording.
    config : DescriptorConfig
        What to extract.
    store : DescriptorStore
        The cache.
    args : argparse.Namespace
        Holds `include`, `exclude` and `jobs`.
    console : Console
        Where progress and skipped files are shown.
    filtered : bool
        Whether `--include` and `--exclude` are meant for this folder.
    adopt_hop : bool
        Take the hop length from descriptor JSON where it differs from the configuration's.
    name_skipped : bool
        Whether to name skipped files in notes; a command that names them itself does not.
    """
    from desc.corpus import open_corpus

    corpus = open_corpus(
        path,
        config,
        store,
        include=args.include if filtered else (),
        exclude=args.exclude if filtered else (),
        jobs=args.jobs,
        adopt_hop=adopt_hop,
        progress=console.progress,
    )
    n_files = len(corpus.sequences)
    console.note(
        f"{path}: {n_files} file{'s' * (n_files != 1)}, {_duration(corpus.duration_s)}, "
        f"{corpus.n_extracted} extracted now"
    )
    if corpus.skipped and name_skipped:
        console.note(f"{path}: {len(corpus.skipped)} skipped:")
        for skipped in corpus.skipped[:SHOWN]:
            console.note(f"  {skipped.source}: {skipped.reason}")
        if len(corpus.skipped) > SHOWN:
            console.note(f"  … and {len(corpus.skipped) - SHOWN} more")
    return corpus


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

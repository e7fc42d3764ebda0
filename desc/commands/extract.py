"""`desc extract`: fill the cache and list the skipped files."""

from __future__ import annotations

import argparse

from desc.commands.console import Console, counted
from desc.commands.folders import open_folder, workers
from desc.commands.options import (
    add_audio_option,
    add_cluster_options,
    add_corpus_options,
    add_options,
    from_options,
)
from desc.descriptors.config import DescriptorConfig

MOST_USED = "audio_db_dir include exclude descriptors sample_rate hop_length jobs cache_dir"
EXAMPLES = (
    "desc extract --audio_db_dir sounds/ --descriptors mfcc f0",
    "desc extract --audio_db_dir sounds/ --cache_dir cache/ --backend dask --scheduler tcp://host:8786",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc extract`."""
    add_audio_option(parser)
    add_corpus_options(parser)
    add_cluster_options(parser)
    add_options(parser.add_argument_group("descriptors"), DescriptorConfig)


def run(args: argparse.Namespace) -> int:
    """Extract, and print the counts."""
    config = from_options(DescriptorConfig, args)
    from desc.storage import DescriptorStore

    store = DescriptorStore(args.cache_dir)
    with Console(args.quiet) as console, workers(args, store):
        corpus = open_folder(
            args.audio_db_dir,
            config,
            store,
            args,
            name_skipped=False,
            adopt_hop="hop_length" not in args,
        )
        for skipped in corpus.skipped:
            console.result(f"skipped {skipped.source}: {skipped.reason}")
        console.result(
            f"{counted(len(corpus.sequences), 'file')}, {counted(corpus.n_frames, 'frame')} of "
            f"{config.n_columns} descriptors; {corpus.n_extracted} extracted now, "
            f"{len(corpus.skipped)} skipped"
        )
    return 0

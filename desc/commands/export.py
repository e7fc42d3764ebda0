"""`desc export`: write a folder's descriptors in an exchange format."""

from __future__ import annotations

import argparse

from desc.commands.console import Console, counted
from desc.commands.folders import open_folder
from desc.commands.options import (
    add_audio_option,
    add_corpus_options,
    add_options,
    from_options,
)
from desc.descriptors.config import DescriptorConfig
from desc.exchange import FORMATS, export_corpus

MOST_USED = "audio_db_dir output_dir format include exclude descriptors sample_rate hop_length"
EXAMPLES = (
    "desc export --audio_db_dir recordings/ --output_dir descriptors/ --format csv",
    "desc export --audio_db_dir recordings/ --output_dir descriptors/ --descriptors mfcc f0",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc export`."""
    add_audio_option(parser)
    parser.add_argument(
        "--output_dir", required=True, metavar="DIR", help="folder for the exported files"
    )
    parser.add_argument(
        "--format", default="npz", choices=FORMATS, help="file format [default npz]"
    )
    add_corpus_options(parser)
    add_options(parser.add_argument_group("descriptors"), DescriptorConfig)


def run(args: argparse.Namespace) -> int:
    """Export, and print how many files were written."""
    config = from_options(DescriptorConfig, args)
    from desc.storage import DescriptorStore

    with Console(args.quiet) as console:
        corpus = open_folder(
            args.audio_db_dir,
            config,
            DescriptorStore(args.cache_dir),
            args,
            adopt_hop="hop_length" not in args,
        )
        written = export_corpus(corpus, args.format, args.output_dir)
        console.result(f"{counted(len(written), 'file')} written to {args.output_dir}")
    return 0 if len(written) == len(corpus.sequences) else 1

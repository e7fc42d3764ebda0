"""`desc cache`: show, limit or prune the cache."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import add_cache_option
from desc.configuration import check_number

GIB = 2**30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc cache`."""
    parser.add_argument(
        "--limit_gb",
        type=float,
        metavar="X",
        help="remove the least recently used files until the cache is at most this large [GiB] "
        "(after commands: 10, or $DESC_CACHE_LIMIT_GB)",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="remove the files of recordings that no longer exist, and packed views not in use",
    )
    add_cache_option(parser)


def run(args: argparse.Namespace) -> int:
    """Limit and prune if asked, then show the cache's content."""
    if args.limit_gb is not None:
        check_number("limit_gb", args.limit_gb, 0.0)
    from desc.storage import DescriptorStore

    store = DescriptorStore(args.cache_dir)
    with Console(args.quiet) as console:
        if args.prune:
            console.result(f"pruned: {store.prune()} removed")
        if args.limit_gb is not None:
            console.result(f"limited: {store.limit(round(args.limit_gb * GIB))} removed")
        console.result(str(store.summary()))
    return 0

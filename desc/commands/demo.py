"""`desc demo`: all stages once, on a small corpus that the program synthesises."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import add_cache_option, add_options, from_options
from desc.commands.predict import print_continuation
from desc.configuration import RunConfig, check_integer, check_jobs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc demo`."""
    parser.add_argument(
        "--output_dir",
        default="desc-demo",
        metavar="DIR",
        help="folder for the corpus and the continuation [default desc-demo]",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the music [default 0]"
    )
    parser.add_argument(
        "--overwrite",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="replace a continuation made with other settings [default off]",
    )
    parser.add_argument(
        "--jobs", type=int, default=-1, metavar="N", help="parallel processes [default: all cores]"
    )
    add_cache_option(parser)
    add_options(parser.add_argument_group("run"), RunConfig)


def run(args: argparse.Namespace) -> int:
    """Run the demo; print its WAV, comparisons and run id."""
    config = from_options(RunConfig, args)
    check_integer("seed", args.seed, 0)
    check_jobs(args.jobs)
    with Console(args.quiet) as console:
        from desc.demo.job import run_demo
        from desc.storage import DescriptorStore

        result = run_demo(
            args.output_dir,
            store=DescriptorStore(args.cache_dir),
            run=config,
            seed=args.seed,
            jobs=args.jobs,
            overwrite=args.overwrite,
        )
        status = print_continuation(result.continuation, console)
        for line in result.comparisons:
            console.result(line)
        console.result(f"run id: {result.run_id}")
        return status

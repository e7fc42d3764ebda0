"""`desc demo`: all stages once, on a small corpus that the program synthesises."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import (
    add_cache_option,
    add_jobs_option,
    add_options,
    add_output_option,
    add_switch,
    from_options,
)
from desc.commands.page import add_open_option, show_page
from desc.commands.predict import page_of, print_continuation
from desc.configuration import RunConfig, check_integer, check_jobs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc demo`."""
    add_output_option(parser, "desc-demo", "folder for the corpus and the continuation")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the music [default 0]"
    )
    add_switch(parser, "--overwrite", "replace a continuation made with other settings")
    add_open_option(parser)
    add_jobs_option(parser)
    add_cache_option(parser)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("name",))


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
        for outcome in result.continuation.outcomes:
            show_page(page_of(outcome), args, console)
        return status

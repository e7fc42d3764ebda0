"""`desc generate demo`: sound generation on the corpus that the package makes itself."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import add_options, from_options
from desc.configuration import RunConfig, check_integer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc generate demo`."""
    parser.add_argument(
        "--output_dir", default="desc-generate-demo", metavar="DIR",
        help="gets recordings/ and generated/ [default desc-generate-demo]",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N",
        help="another seed, other music, other sound [default 0]",
    )  # fmt: skip
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("project",))


def run(args: argparse.Namespace) -> int:
    """Run the demo, and print where its files are."""
    config = from_options(RunConfig, args)
    check_integer("seed", args.seed, 0)
    with Console(args.quiet) as console:
        from desc.demo.generation import run_generation_demo

        result = run_generation_demo(
            args.output_dir,
            run=config,
            seed=args.seed,
            progress=console.progress,
            note=console.note,
        )
        done = result.generated
        console.result(f"{done.folder}: {len(done.written)} files written, {len(done.kept)} kept")
        console.result(
            f"run ids: {result.vocoder_run_id} (vocoder), {result.unagan_run_id} (unagan)"
        )
    return 0

"""`desc plot`: static plots of a result or a run, for papers."""

from __future__ import annotations

import argparse
from pathlib import Path

from desc.commands.console import Console
from desc.commands.options import add_cache_option, add_options, add_output_option, from_options
from desc.configuration import RunConfig

FORMATS = ("png", "svg", "pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc plot`."""
    parser.add_argument(
        "run_or_folder",
        metavar="RUN_OR_FOLDER",
        help="a result's folder, a run id or a run's folder",
    )
    add_output_option(parser, "plots", "folder for the plots; existing plots are replaced")
    parser.add_argument(
        "--format", default="png", choices=FORMATS, help="file format [default png]"
    )
    add_cache_option(parser)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("name",))


def run(args: argparse.Namespace) -> int:
    """Draw the plots, and print their paths."""
    run_config = from_options(RunConfig, args)
    from desc.outputs import PREDICTION
    from desc.report.drawing import check_drawing

    check_drawing()
    with Console(args.quiet) as console:
        from desc.report.plots import plot_result, plot_run

        output_dir = Path(args.output_dir)
        if Path(args.run_or_folder, PREDICTION).is_file():
            from desc.report import ResultView

            paths = plot_result(ResultView.load(args.run_or_folder), output_dir, args.format)
        else:
            from desc.report.run import RunView
            from desc.runs import resolve_run
            from desc.storage import DescriptorStore

            store = DescriptorStore(args.cache_dir)
            record = resolve_run(args.run_or_folder, run_config, store.cache_dir / "runs")
            paths = plot_run(RunView.load(record, store), output_dir, args.format)
        for path in paths:
            console.result(str(path))
    return 0

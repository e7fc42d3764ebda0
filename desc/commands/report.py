"""`desc report`: the page of a result or a run, made from the files in its folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from desc.commands.console import Console
from desc.commands.options import add_cache_option, add_options, add_switch, from_options
from desc.configuration import RunConfig
from desc.errors import ConfigurationError, OutputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc report`."""
    parser.add_argument(
        "run_or_folder",
        metavar="RUN_OR_FOLDER",
        help="a result's folder, a folder of results, a run id or a run's folder",
    )
    parser.add_argument(
        "--output_path",
        metavar="PAGE.html",
        help="path of the page, for a single result or run [default: report.html in its folder]",
    )
    add_switch(parser, "--overwrite", "replace an existing output_path")
    parser.add_argument(
        "--map",
        choices=("pca", "umap"),
        default="pca",
        help="projection of the corpus map; umap preserves neighbourhoods, takes "
        "minutes and needs umap-learn [default pca]",
    )
    add_cache_option(parser)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("name",))


def run(args: argparse.Namespace) -> int:
    """Write the pages, and print their paths."""
    run_config = from_options(RunConfig, args)
    from desc.outputs import result_folders
    from desc.report import write_result_report

    if args.output_path and Path(args.output_path).exists() and not args.overwrite:
        raise OutputError(
            f"{args.output_path}: already exists; choose another path, or give --overwrite"
        )
    with Console(args.quiet) as console:
        folders = result_folders(args.run_or_folder)
        if len(folders) > 1 and args.output_path:
            raise ConfigurationError(
                f"output_path={args.output_path!r} must be left out: "
                f"{args.run_or_folder} contains {len(folders)} results"
            )
        for folder in folders:
            console.result(str(write_result_report(folder, args.output_path, args.map)))
        if not folders:
            from desc.report.run import write_run_report
            from desc.runs import resolve_run
            from desc.storage import DescriptorStore

            store = DescriptorStore(args.cache_dir)
            record = resolve_run(args.run_or_folder, run_config, store.cache_dir / "runs")
            console.result(str(write_run_report(record, store, args.output_path)))
    return 0

"""`desc runs`: the runs known here, and sending one to a W&B server."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import add_options, from_options
from desc.configuration import RunConfig, check_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc runs`."""
    parser.add_argument("--upload", metavar="ID", help="send an offline run to W&B")
    parser.add_argument(
        "--timeout_s", type=float, default=600.0, metavar="X",
        help="give up an upload after so long [seconds, default 600]",
    )  # fmt: skip
    add_options(parser, RunConfig)


def run(args: argparse.Namespace) -> int:
    """List or upload."""
    config = from_options(RunConfig, args)
    check_number("timeout_s", args.timeout_s, above=0.0)
    from desc.runs import list_runs, upload_run

    with Console(args.quiet) as console:
        if args.upload is not None:
            url = upload_run(args.upload, config, args.timeout_s)
            console.result(f"uploaded: {url}")
            return 0
        records = list_runs(config, note=console.error)
        if not records:
            console.result(f"no runs in {config.experiment_dir}/{config.project}")
        for record in records:
            loss = record.metrics.get("val_loss")
            shown = "" if loss is None else f"  validation loss {loss:.3f}"
            console.result(
                f"{record.run_id}  {record.created[:16]}  {record.model_name:<26}"
                f"{len(record.training_files):4} files  {record.status}{shown}"
            )
    return 0

"""`desc runs`: list the runs of this machine, or send one to a W&B server."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import add_options, from_options
from desc.configuration import RunConfig, check_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc runs`."""
    parser.add_argument("--upload", metavar="ID", help="upload a run of this machine to W&B")
    parser.add_argument(
        "--timeout_s",
        type=float,
        default=600.0,
        metavar="X",
        help="time limit of an upload [seconds, default 600]",
    )
    add_options(parser, RunConfig)


def run(args: argparse.Namespace) -> int:
    """List or upload."""
    config = from_options(RunConfig, args)
    check_number("timeout_s", args.timeout_s, above=0.0)
    from desc.runs import Record, list_runs, resolve_record, upload_run

    with Console(args.quiet) as console:
        if args.upload is not None:
            record = resolve_record(Record, args.upload, config, timeout_s=0)
            console.result(f"uploaded: {upload_run(record, config, args.timeout_s)}")
            return 0
        records = list_runs(config)
        if not records:
            console.result(f"no runs in {config.experiment_dir}/{config.project}")
        for record in records:
            loss = record.metrics.get("val_loss")
            shown = "" if loss is None else f"  validation loss {loss:.3f}"
            console.result(
                f"{record.run_id}  {record.created[:16]}  {record.model_name:<28}"
                f"{len(record.training_files):4} files  {record.state}{shown}"
            )
    return 0

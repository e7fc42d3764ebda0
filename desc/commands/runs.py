"""`desc runs`: list, compare, name and delete the runs of this machine, or upload one."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desc.commands.console import Console
from desc.commands.options import add_options, from_options
from desc.configuration import RunConfig, check, check_number
from desc.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from desc.runs import Record

EXAMPLES = (
    "desc runs",
    "desc runs --rename 1t212ycn garden",
    "desc runs --compare garden last",
)
HEAD = "name", "id", "model", "music", "min", "steps", "val_fd", "real", "state", "note", "folder"
GAP = "  "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc runs`."""
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("--json", action="store_true", help="list the runs as JSON")
    for name, metavar, text in (
        ("compare", ("A", "B"), "show the settings and figures in which two runs differ"),
        ("rename", ("ID", "NAME"), "name a run; the name stands for its id"),
        ("note", ("ID", "TEXT"), "keep a text with a run"),
    ):
        actions.add_argument(f"--{name}", nargs=2, metavar=metavar, help=text)
    actions.add_argument("--delete", metavar="ID", help="remove a run and its files")
    actions.add_argument("--upload", metavar="ID", help="upload a run of this machine to W&B")
    parser.add_argument("--yes", action="store_true", help="delete without asking")
    parser.add_argument(
        "--timeout_s",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="time limit of an upload [seconds, default 600]",
    )
    add_options(parser, RunConfig, exclude=("name",))


def run(args: argparse.Namespace) -> int:
    """List the runs, or do with one what an option says."""
    config = from_options(RunConfig, args)
    check_number("timeout_s", args.timeout_s, above=0.0)
    from desc.runs import Record, delete_run, list_runs, resolve_record, upload_run, write_label

    def found(name: str) -> Record:
        return resolve_record(Record, name, config, timeout_s=0)

    with Console(args.quiet) as console:
        if args.upload is not None:
            path = upload_run(found(args.upload), config, args.timeout_s)
            console.result(f"uploaded: {path}")
        elif args.compare is not None:
            for line in _compared(*map(found, args.compare)):
                console.result(line)
        elif args.rename is not None:
            record = found(args.rename[0])
            name = args.rename[1]
            write_label(record.folder, name=name)
            said = f"is named {name}" if name else "has no name now"
            console.result(f"run {record.run_id} {said}")
        elif args.note is not None:
            record, note = found(args.note[0]), args.note[1]
            write_label(record.folder, note=note)
            said = f"has the note: {note}" if note else "has no note now"
            console.result(f"run {record.run_id} {said}")
        elif args.delete is not None:
            record = found(args.delete)
            _check_named(record, args.delete, config)
            if not args.yes and not _agreed(record):
                console.result("nothing is deleted")
                return 1
            delete_run(record)
            console.result(f"deleted: {record.folder}")
        elif args.json:
            console.result(json.dumps(list(map(_plain, list_runs(config))), indent=2))
        else:
            records = list_runs(config)
            for line in _table(records):
                console.result(line)
            if not records:
                console.result(f"no runs in {config.experiment_dir}/{config.project}")
    return 0


def _check_named(record: Record, text: str, config: RunConfig) -> None:
    """Refuse to delete a run unless it is of the project, or its folder is given.

    Raises
    ------
    ConfigurationError
        Names the run that was found.
    """
    path, project = Path(text).expanduser(), Path(config.experiment_dir, config.project)
    is_own = record.folder.absolute().parent.resolve() == project.resolve()
    is_named = path.is_dir() and path.samefile(record.folder)
    rule = f"be a run of project {config.project} or the folder of a run; found: {record.folder}"
    check(record.checkpoint_file is None and (is_own or is_named), "delete", text, rule)


def _agreed(record: Record) -> bool:
    """Ask whether to delete a run.

    Raises
    ------
    ConfigurationError
        If nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(f"give --yes to delete run {record.run_id} without being asked")
    named = " ".join(filter(None, (record.run_id, record.name)))
    question = f"delete run {named} ({record.model_name}, {record.folder})? [y/N] "
    return input(question).strip().lower() in ("y", "yes")


def _plain(record: Record) -> dict[str, Any]:
    """Return a run as JSON values."""
    return {
        "run_id": record.run_id,
        "name": record.name,
        "note": record.notes,
        "kind": record.kind,
        "model": record.model_name,
        "music": record.inputs.get("audio_db_dir", []),
        "created": record.created,
        "state": record.state,
        "n_recordings": len(record.training_files | record.validation_files),
        "metrics": {name: None if math.isnan(x) else x for name, x in record.metrics.items()},
        "settings": record.settings,
        "uploaded": record.uploaded,
        "folder": str(record.folder.absolute()),
    }


def _music(record: Record) -> str:
    """Return the folder of a run's recordings, or their number if it is not known."""
    from desc.corpus.discovery import common_root

    paths = record.inputs.get("audio_db_dir")
    if not paths:
        n = len(record.training_files | record.validation_files)
        return f"{n} file{'s' * (n != 1)}"
    place = common_root(paths)
    return str(place.relative_to(Path.cwd())) if place.is_relative_to(Path.cwd()) else str(place)


def _row(record: Record) -> list[str]:
    metrics = record.metrics

    def shown(name: str, pattern: str, factor: float = 1.0) -> str:
        return format(factor * metrics[name], pattern) if name in metrics else ""

    return [
        record.name,
        record.run_id,
        record.model_name,
        _music(record),
        shown("fit_s", ".1f", 1 / 60),
        shown("steps", ".0f"),
        shown("val_fd", ".1f"),
        shown("real_fd", ".1f"),
        record.state,
        record.notes,
        str(record.folder),
    ]


def _table(records: Sequence[Record]) -> list[str]:
    """Return the runs as a table; on a narrow terminal, each run as a few short lines."""
    rows = [_row(record) for record in records]
    if not rows:
        return []
    kept = [i for i, name in enumerate(HEAD) if name == "id" or any(row[i] for row in rows)]
    cells = [[row[i] for i in kept] for row in [list(HEAD), *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(kept))]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    if room and sum(widths) + len(GAP) * (len(widths) - 1) > room:
        return [line for row in rows for line in _folded(row)]
    numbers = {"min", "steps", "val_fd", "real"}
    right = [HEAD[i] in numbers for i in kept]
    return [
        GAP.join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]


def _folded(row: list[str]) -> list[str]:
    """Return a run as lines: its names, and what is known of it."""
    known = dict(zip(HEAD, row, strict=True))
    first = " ".join(filter(None, (known.pop("name"), known.pop("id"))))
    return [first, *(f"{GAP}{name:<7}{text}" for name, text in known.items() if text)]


def _compared(a: Record, b: Record) -> list[str]:
    """Return lines with the settings and the figures in which two runs differ."""
    from desc.report.page import plain

    lines = [["", *(" ".join(filter(None, (r.name, r.run_id))) for r in (a, b))]]
    sides: list[dict[str, Any]] = [
        {"model": r.model_name, "music": _music(r), **r.settings, "state": r.state} for r in (a, b)
    ]
    for first, second in (sides, [a.metrics, b.metrics]):
        for name in dict.fromkeys([*first, *second]):
            values = [plain(side.get(name)) if name in side else "" for side in (first, second)]
            if values[0] != values[1]:
                lines.append([name, *values])
    widths = [max(len(line[i]) for line in lines) for i in range(2)]
    return [f"{x:<{widths[0]}}{GAP}{y:<{widths[1]}}{GAP}{z}".rstrip() for x, y, z in lines]

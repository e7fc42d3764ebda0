"""The page of an evaluation, `evaluation.html`: its tables, and excerpts to listen to."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from desc.evaluation.originals import BEFORE_S, Example
from desc.evaluation.tables import (
    BEST,
    BLOCKS,
    RENDERED_BLOCKS,
    Column,
    Evaluation,
    Row,
    laid_out,
)
from desc.files import write_text
from desc.progress import clock
from desc.report.page import fill, template

SCRIPTS = ("common.js", "player.js")
PACKAGE = "desc.evaluation"


def write_page(evaluation: Evaluation, path: Path) -> Path:
    """Write the page: one file that needs no network.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    tables = [
        _table(title + " of long continuations" * (i > 0), columns, table.rows)
        for i, table in enumerate(evaluation.tables)
        for title, columns in BLOCKS
    ]
    tables += [_table(title, columns, evaluation.rendered) for title, columns in RENDERED_BLOCKS]
    first = evaluation.tables[0]
    protocol, rate = first.excerpts.protocol, evaluation.scales.config.frame_rate
    steps_s = protocol.steps / rate
    title = "Evaluation of " + ", ".join(run.name for run in evaluation.runs)
    data = {
        "title": title,
        "lede": "; ".join(map(str, evaluation.tables)),
        "verdicts": evaluation.verdicts,
        "notes": evaluation.notes,
        "tables": [table for table in tables if table["rows"]],
        "before": min(BEFORE_S, protocol.context / rate),
        "examples": [_example(example, steps_s) for example in evaluation.examples],
    }
    scripts = [*map(template, SCRIPTS), template("evaluation.js", PACKAGE)]
    page = template("evaluation.html", PACKAGE)
    write_text(path, fill(page, title=title, scripts=scripts, data=data))
    return path


def _table(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> dict[str, Any]:
    used, lines = laid_out(columns, rows)
    return {
        "title": title.capitalize(),
        "headings": [column.heading for column in used],
        "better": [column.better for column in used],
        "rows": [
            {
                "name": row.name,
                "kind": row.kind,
                "cells": [[cell.rstrip(BEST), cell.endswith(BEST)] for cell in cells],
            }
            for row, cells in lines
        ],
    }


def _example(example: Example, seconds: float) -> dict[str, Any]:
    return {
        "source": example.source,
        "at": clock(example.start_s),
        "seconds": seconds,
        "sounds": [
            {"name": name, "ogg": base64.b64encode(ogg).decode()}
            for name, ogg in example.sounds.items()
        ],
    }

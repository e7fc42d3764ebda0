"""The figures of an evaluation as lines of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from desc.evaluation.tables import Evaluation, Row, Table
from desc.scoring.scorer import HORIZONS

NAME_WIDTH = 37  # an id and the longest model
COLUMN_WIDTH = 8
Column = tuple[str, str, int]  # head, metric, decimals

FORECAST: tuple[Column, ...] = (
    ("skill", "skill", 3),
    ("NLL", "nll", 2),
    *((f"CRPS{h}", f"crps_{h}", 3) for h in HORIZONS),
    ("ES43", "energy_43", 3),
    ("spread", "spread", 2),
)
REALISM: tuple[Column, ...] = (
    ("tail_std", "tail_std", 2),
    ("diff", "diff_ratio", 2),
    ("acf", "acf", 3),
    ("mod dB", "modspec_db", 2),
    ("FD", "fd", 2),
    ("FD late", "fd_late", 2),
    ("track", "track_distance", 3),
    ("C2ST", "c2st", 2),
    ("novelty", "novelty", 3),
)
HEARD: tuple[Column, ...] = (
    *(column for column in REALISM if column[1] != "fd_late"),
    ("e_t", "error", 3),
    ("match", "mean_match_distance", 2),
    ("unit", "mean_unit_frames", 1),
    ("repeats", "repeat_share", 3),
)


def lines(evaluation: Evaluation) -> list[str]:
    """Return the tables as lines of up to 115 characters."""
    result: list[str] = []
    for table in evaluation.tables:
        result += _table(table, evaluation.config.n_draws, evaluation.config.seeds)
    if evaluation.rendered:
        result += [*_block("rendered, as heard", HEARD, evaluation.rendered), ""]
    return [*result, *(f"note: {note}" for note in evaluation.notes)]


def _table(table: Table, n_draws: int, seeds: int) -> list[str]:
    excerpts = table.excerpts
    protocol = excerpts.protocol
    title = (
        f"{len(excerpts)} excerpts of {len(excerpts.sources)} recordings, "
        f"{protocol.context} frames continued for {protocol.steps}, "
        f"{n_draws} samples × {seeds} seeds"
    )
    return [
        title,
        "",
        *_block("forecast", FORECAST, table.rows),
        "",
        *_block("realism", REALISM, table.rows),
        "",
    ]


def _block(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    used = [c for c in columns if any(math.isfinite(_figure(row, c)) for row in rows)]
    head = title.ljust(NAME_WIDTH) + "".join(name.rjust(COLUMN_WIDTH) for name, _, _ in used)
    result, before = [head], "floor"
    for row in rows:
        kind = "floor" if row.kind == "peer" else row.kind
        if kind != before:
            result.append("-" * len(head))
        before = kind
        cells = "".join(_cell(row, column).rjust(COLUMN_WIDTH) for column in used)
        result.append(row.name[:NAME_WIDTH].ljust(NAME_WIDTH) + cells)
    return result


def _figure(row: Row, column: Column) -> float:
    return row.figures.get(column[1], math.nan)


def _cell(row: Row, column: Column) -> str:
    value = _figure(row, column)
    if not math.isfinite(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{column[2]}f}"

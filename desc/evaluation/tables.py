"""`Evaluation`: metrics of runs, references and baselines, as text, JSON and a DataFrame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from desc.configuration import to_dict
from desc.dataframes import dataframe
from desc.evaluation.candidates import Candidate
from desc.evaluation.settings import EvaluateConfig
from desc.runs.record import now, versions
from desc.scoring.excerpts import Excerpts
from desc.scoring.reference_scales import ReferenceScales
from desc.scoring.scorer import HORIZONS, Figures

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

FORMAT, VERSION = "desc-evaluation", 2
MEAN = "mean"

NAME_WIDTH = 37  # an id and the longest model name
COLUMN_WIDTH = 8
Column = tuple[str, str, int]  # heading, metric, decimals

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
    ("±", "fd_se", 2),
    ("FD late", "fd_late", 2),
    ("±", "fd_late_se", 2),
    ("track", "track_distance", 3),
    ("C2ST", "c2st", 2),
    ("novelty", "novelty", 3),
)
RENDERED: tuple[Column, ...] = (
    *(column for column in REALISM if not column[1].startswith("fd_late")),
    ("e_t", "error", 3),
    ("match", "mean_match_distance", 2),
    ("unit", "mean_unit_frames", 1),
    ("repeats", "repeated_share", 3),
)


@dataclass(frozen=True, eq=False)
class Row:
    """One line of a table.

    Attributes
    ----------
    name : str
    kind : str
        reference, baseline, run or mean (of runs that differ in their seed).
    figures : dict of str to float
        Metrics by name, means over seeds; NaN where a metric does not apply.
    seeds : tuple of dict
        The metrics of each seed; of a mean, those of each run.
    example : ndarray, (E, T, F)
        The first draw, standardised.
    """

    name: str
    kind: str
    figures: Figures
    example: Array
    seeds: tuple[Figures, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON values; NaN becomes null."""
        return {
            "name": self.name,
            "kind": self.kind,
            "figures": _finite(self.figures),
            "seeds": [_finite(figures) for figures in self.seeds],
        }


@dataclass(frozen=True, eq=False)
class Table:
    """References, baselines and runs on the excerpts of one protocol."""

    excerpts: Excerpts
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the excerpts' positions and the rows as JSON values."""
        excerpts = self.excerpts
        places = zip(excerpts.tracks, excerpts.positions, strict=True)
        return {
            "context_frames": excerpts.protocol.context,
            "steps": excerpts.protocol.steps,
            "excerpts": [{"source": excerpts.sources[t], "frame": int(p)} for t, p in places],
            "left_out": excerpts.left_out,
            "rows": [row.to_dict() for row in self.rows],
        }

    def __str__(self) -> str:
        excerpts, protocol = self.excerpts, self.excerpts.protocol
        return (
            f"{len(excerpts)} excerpts of {len(excerpts.sources)} recordings, "
            f"{protocol.context} frames continued for {protocol.steps}"
        )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of `evaluate`; `print` shows its tables.

    Attributes
    ----------
    tables : tuple of Table
        For continuations as long as their contexts; with `long`, another for longer ones.
    scales : ReferenceScales
        The units of the metrics.
    settings : EvaluateConfig
    runs : tuple of Candidate
    notes : tuple of str
        Remarks needed to read the figures.
    rendered : tuple of Row
        Continuations before and after rendering with the sounds of a database; else empty.
    """

    tables: tuple[Table, ...]
    scales: ReferenceScales
    settings: EvaluateConfig
    runs: tuple[Candidate, ...]
    notes: tuple[str, ...] = ()
    rendered: tuple[Row, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the arrays as JSON values; NaN becomes null."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "created": now(),
            "versions": versions(),
            "settings": to_dict(self.settings),
            "runs": [
                {"run_id": run.run_id, "name": run.name, "model": to_dict(run.model.model_config)}
                for run in self.runs
            ],
            "notes": list(self.notes),
            "tables": [table.to_dict() for table in self.tables],
            "rendered": [row.to_dict() for row in self.rendered],
        }

    def to_dataframe(self) -> pd.DataFrame:
        """Return all rows as a pandas DataFrame: table, name, kind, and a column per metric.

        Raises
        ------
        DescError
            If pandas is not installed.
        """
        named = [(table.excerpts.protocol.name, table.rows) for table in self.tables]
        return dataframe(
            [
                {"table": table, "name": row.name, "kind": row.kind, **row.figures}
                for table, rows in (*named, ("rendered", self.rendered))
                for row in rows
            ]
        )

    def __repr__(self) -> str:
        names = ", ".join(run.name for run in self.runs)
        return f"Evaluation({names}: {'; '.join(map(str, self.tables))})"

    def __str__(self) -> str:
        draws, seeds = self.settings.n_draws, self.settings.seeds
        drawn = f"{draws} draws" + f" for each of {seeds} seeds" * (seeds > 1)
        blocks: list[str] = []
        for table in self.tables:
            blocks += [
                f"{table}, {drawn}",
                _block("forecast", FORECAST, table.rows),
                _block("realism", REALISM, table.rows),
            ]
        if self.rendered:
            blocks.append(_block("rendered", RENDERED, self.rendered))
        return "\n\n".join([*blocks, "\n".join(f"note: {note}" for note in self.notes)])


def _block(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Lay out rows as lines of text, with a rule above each kind; empty columns are left out."""
    used = [c for c in columns if any(math.isfinite(_figure(row, c)) for row in rows)]
    head = title.ljust(NAME_WIDTH) + "".join(name.rjust(COLUMN_WIDTH) for name, _, _ in used)
    lines, before = [head], "reference"
    for row in rows:
        kind = "reference" if row.kind == "baseline" else row.kind
        if kind != before:
            lines.append("-" * len(head))
        before = kind
        cells = "".join(_cell(row, column).rjust(COLUMN_WIDTH) for column in used)
        lines.append(row.name[:NAME_WIDTH].ljust(NAME_WIDTH) + cells)
    return "\n".join(lines)


def _figure(row: Row, column: Column) -> float:
    return row.figures.get(column[1], math.nan)


def _cell(row: Row, column: Column) -> str:
    value = _figure(row, column)
    if not math.isfinite(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{column[2]}f}"


def _finite(figures: Figures) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in figures.items()}

"""`Evaluation`: the tables of runs beside floors and peers, and how they are stored."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.configuration import to_dict
from desc.evaluation.candidates import Candidate
from desc.evaluation.settings import EvaluateConfig
from desc.runs.record import now, versions
from desc.scoring.excerpts import Excerpts
from desc.scoring.scorer import Figures
from desc.scoring.yardstick import Yardstick

Array = npt.NDArray[np.float64]

FORMAT, VERSION = "desc-evaluation", 1
MEAN = "mean"


@dataclass(frozen=True, eq=False)
class Row:
    """One line of a table.

    Attributes
    ----------
    name : str
    kind : str
        floor, peer, run or mean (of runs that differ in their seed).
    figures : dict of str to float
        Means over seeds; NaN where a metric means nothing.
    seeds : tuple of dict
        The figures of each seed of the draws; of a mean those of each run.
    example : ndarray, (E, T, F)
        The first sample, standardised.
    """

    name: str
    kind: str
    figures: Figures
    example: Array
    seeds: tuple[Figures, ...] = ()


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one protocol: floors, peers, runs."""

    excerpts: Excerpts
    rows: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of `evaluate`.

    Attributes
    ----------
    tables : tuple of Table
        For continuations as long as their contexts; with `long` also for longer ones.
    rendered : tuple of Row
        Of continuations as long as their contexts, asked for and heard; empty unless rendered.
    yardstick : Yardstick
    config : EvaluateConfig
    runs : tuple of Candidate
    notes : tuple of str
        What a reader of the figures must know.
    """

    tables: tuple[Table, ...]
    yardstick: Yardstick
    config: EvaluateConfig
    runs: tuple[Candidate, ...]
    notes: tuple[str, ...] = field(default=())
    rendered: tuple[Row, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the arrays as JSON values; what is no number becomes null."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "created": now(),
            "versions": versions(),
            "settings": to_dict(self.config),
            "runs": [
                {"run_id": run.run_id, "name": run.name, "model": to_dict(run.model.model_config)}
                for run in self.runs
            ],
            "notes": list(self.notes),
            "tables": [_table(table) for table in self.tables],
            "rendered": [_row(row) for row in self.rendered],
        }


def _table(table: Table) -> dict[str, Any]:
    excerpts = table.excerpts
    places = zip(excerpts.tracks, excerpts.positions, strict=True)
    return {
        "context_frames": excerpts.protocol.context,
        "steps": excerpts.protocol.steps,
        "excerpts": [{"source": excerpts.sources[t], "frame": int(p)} for t, p in places],
        "left_out": excerpts.left_out,
        "rows": [_row(row) for row in table.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "figures": _finite(row.figures),
        "seeds": [_finite(figures) for figures in row.seeds],
    }


def _finite(figures: Figures) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in figures.items()}

"""`Evaluation`: metrics of runs, references and baselines, as text, JSON and a DataFrame."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from desc.configuration import to_dict
from desc.dataframes import dataframe
from desc.evaluation.candidates import Candidate
from desc.evaluation.originals import Example
from desc.evaluation.settings import EvaluateConfig
from desc.runs.record import now, versions
from desc.scoring.excerpts import Excerpts
from desc.scoring.reference_scales import ReferenceScales
from desc.scoring.scorer import HORIZONS, REAL, Figures
from desc.scoring.verdict import PEER, verdict

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]

FORMAT, VERSION = "desc-evaluation", 2
MEAN = "mean"

NAME_WIDTH, LINE_WIDTH = 40, 100
BEST = "*"
LOW, HIGH, AS_REAL = "low", "high", "real"


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    heading, metric : str
    decimals : int
    better : str
        `low`, `high`, `real` (as the first reference row), or the best value; empty where none is.
    """

    heading: str
    metric: str
    decimals: int
    better: str = ""

    def distance(self, value: float, real: float) -> float:
        """Return how far a value is from the best one; less is better."""
        if self.better in (LOW, HIGH):
            return value if self.better == LOW else -value
        return abs(value - (real if self.better == AS_REAL else float(self.better)))


FORECAST = (
    Column("skill", "skill", 3, HIGH),
    Column("NLL", "nll", 2, LOW),
    *(Column(f"CRPS{h}", f"crps_{h}", 3, LOW) for h in HORIZONS),
    Column("ES43", "energy_43", 3, LOW),
    Column("spread", "spread", 2, "1"),
)
REALISM = (
    Column("tail_std", "tail_std", 2, "1"),
    Column("diff", "diff_ratio", 2, "1"),
    Column("acf", "acf", 3, LOW),
    Column("mod dB", "modspec_db", 2, LOW),
    Column("FD", "fd", 2, LOW),
    Column("±", "fd_se", 2),
    Column("FD late", "fd_late", 2, LOW),
    Column("±", "fd_late_se", 2),
    Column("track", "track_distance", 3, LOW),
    Column("C2ST", "c2st", 2, ".5"),
    Column("novelty", "novelty", 3, AS_REAL),
)
BEAT = (
    Column("pulse", "pulse", 2, AS_REAL),
    Column("rhythm", "rhythm", 2, HIGH),
    Column("beat", "beat", 2, HIGH),
    Column("tempo", "tempo", 2, HIGH),
    Column("kept", "beats_kept", 2, HIGH),
)
RENDERED = (
    *(column for column in REALISM if not column.metric.startswith("fd_late")),
    Column("e_t", "error", 3, LOW),
    Column("match", "mean_match_distance", 2, LOW),
)
SOUND = (
    Column("KAD", "kad", 0, LOW),
    Column("chroma", "chroma", 3, HIGH),
    *(column._replace(metric=f"sound_{column.metric}") for column in BEAT),
    Column("level", "level_db", 1, "0"),
    Column("flux", "flux_ratio", 2, "1"),
    Column("dips", "dips", 3, AS_REAL),
)
PIECES = (
    Column("unit ms", "median_unit_ms", 0),
    Column("longest", "longest_unit_ms", 0),
    Column("copy s", "longest_copy_s", 1),
    Column("frames", "mean_unit_frames", 1),
    Column("repeats", "repeated_share", 3, LOW),
)
BLOCKS = (("forecast", FORECAST), ("realism", REALISM), ("beat", BEAT))
RENDERED_BLOCKS = (("rendered", RENDERED), ("sound", SOUND), ("pieces", PIECES))


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
    examples : tuple of Example
        Excerpts to listen to, if continuations were rendered.
    """

    tables: tuple[Table, ...]
    scales: ReferenceScales
    settings: EvaluateConfig
    runs: tuple[Candidate, ...]
    notes: tuple[str, ...] = ()
    rendered: tuple[Row, ...] = ()
    examples: tuple[Example, ...] = ()

    @property
    def verdicts(self) -> tuple[str, ...]:
        """A sentence on each run, and on each mean of runs, beside the linear baseline."""
        of = {row.name: row.figures for row in self.tables[0].rows}
        rows = [row for row in self.tables[0].rows if row.kind in ("run", MEAN)]
        return tuple(verdict(row.name, row.figures, of[PEER], of[REAL]) for row in rows)

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
            "verdicts": list(self.verdicts),
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
            blocks.append(f"{table}, {drawn}")
            blocks += [_text(title, columns, table.rows) for title, columns in BLOCKS]
        if self.rendered:
            blocks += [_text(title, c, self.rendered) for title, c in RENDERED_BLOCKS]
        remarks = [*self.verdicts, *(f"note: {note}" for note in self.notes)]
        blocks.append("\n".join(_filled(line) for line in remarks))
        return "\n\n".join(filter(None, blocks))


def _filled(line: str) -> str:
    return textwrap.fill(line, LINE_WIDTH, break_long_words=False, break_on_hyphens=False)


def laid_out(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[list[Column], list[Cells]]:
    """Return the columns with figures, and for each row its cells; `*` follows the best ones.

    The best are chosen among the runs and the linear baselines, of rendered rows where there are
    any. Rows without figures are left out.
    """
    used = [c for c in columns if any(math.isfinite(_figure(row, c)) for row in rows)]
    shown = [row for row in rows if any(math.isfinite(_figure(row, c)) for c in used)]
    contenders = [row for row in rows if row.kind == "run" or row.name.startswith("VAR")]
    contenders = [row for row in contenders if "error" in row.figures] or contenders
    best = {column: _best(column, contenders, _figure(rows[0], column)) for column in used}
    cells = [
        Cells(row, [_cell(row, c) + (BEST if row in best[c] else "") for c in used])
        for row in shown
    ]
    return used, cells


class Cells(NamedTuple):
    """A row, and its cells as text."""

    row: Row
    cells: list[str]


def _best(column: Column, contenders: Sequence[Row], real: float) -> list[Row]:
    """Return the row with the best figure, or those with equal ones; none if all are equal."""
    known = [row for row in contenders if math.isfinite(_figure(row, column))]
    distances = [column.distance(_figure(row, column), real) for row in known if column.better]
    if len(set(distances)) < 2:
        return []
    return [row for row, d in zip(known, distances, strict=True) if d == min(distances)]


def _text(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Lay out rows as lines of text, with a rule above each kind."""
    used, cells = laid_out(columns, rows)
    if not used:
        return ""
    table = [
        [title, *(column.heading + " " for column in used)],
        ["better:", *(column.better + " " for column in used)],
        *([row.name[:NAME_WIDTH], *(c.ljust(len(c.rstrip(BEST)) + 1) for c in given)]
          for row, given in cells),
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        line[0].ljust(widths[0])
        + "".join(" " + c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))
        for line in table
    ]
    kinds = ["reference" if row.kind == "baseline" else row.kind for row, _ in cells]
    rule = "-" * max(map(len, lines))
    for i in reversed(range(1, len(kinds))):
        if kinds[i] != kinds[i - 1]:
            lines.insert(2 + i, rule)
    return "\n".join(line.rstrip() for line in lines)


def _figure(row: Row, column: Column) -> float:
    return row.figures.get(column.metric, math.nan)


def _cell(row: Row, column: Column) -> str:
    value = _figure(row, column)
    if not math.isfinite(value):
        return "–"
    decimals = 0 if abs(value) >= 1000 else column.decimals
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # no minus before zero


def _finite(figures: Figures) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in figures.items()}

"""`metrics.csv`: one row per logged step, complete even after a kill."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from desc.errors import StorageError
from desc.files import write_text

_FIRST_COLUMNS = ["step", "time"]


def read_metrics(path: str | Path) -> list[dict[str, float]]:
    """Return the rows of a `metrics.csv`, each with its non-empty columns.

    `step` counts optimiser steps (or whatever was logged), `time` is in seconds since 1970. A last
    line cut off by a kill is left out.

    Raises
    ------
    StorageError
        If the file cannot be read, a cell is not a number, or a row lacks step or time.
    """
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path}: cannot be read: {error}") from error
    whole = text[: text.rfind("\n") + 1]
    lines = csv.reader(io.StringIO(whole, newline=""))
    rows: list[dict[str, float]] = []
    try:
        names = next(lines, [])
        for line in lines:
            row = {k: float(cell) for k, cell in zip(names, line, strict=False) if cell}
            if not (math.isfinite(row["step"]) and math.isfinite(row["time"])):
                raise ValueError("step and time must be finite")
            rows.append(row)
    except (ValueError, KeyError, csv.Error) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise StorageError(f"{path}: line {lines.line_num} is damaged: {reason}") from error
    return rows


class MetricsFile:
    """A `metrics.csv` to append rows to; the file holds a row when `append` returns.

    A new column widens the file, which is then rewritten.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    last_step : int, optional
        Drop the rows after this step, which a resumed run will write again. By default all
        rows are kept.
    """

    def __init__(self, path: Path, *, last_step: int | None = None) -> None:
        self.path = path
        self._names = list(_FIRST_COLUMNS)
        self.rows = read_metrics(path) if path.is_file() else []
        if last_step is not None:
            self.rows = [row for row in self.rows if row["step"] <= last_step]
        self._write_anew(self.rows)

    def append(self, metrics: Mapping[str, float], step: int) -> dict[str, float]:
        """Add one row and return it: `step`, `time` (seconds since 1970) and the metrics."""
        row = {"step": float(step), "time": round(time.time(), 3)}
        row |= {name: float(value) for name, value in metrics.items() if name not in row}
        if set(row) <= set(self._names):
            try:
                with self.path.open("a", encoding="utf-8", newline="") as stream:
                    stream.write(self._line(row))
            except OSError as error:
                raise StorageError(f"{self.path}: cannot be written: {error}") from error
        else:
            self._write_anew([*read_metrics(self.path), row])
        return row

    def _line(self, row: Mapping[str, Any]) -> str:
        """Return a row as one line of CSV, numbers in their shortest exact form."""
        row = {**row, "step": int(row["step"])}
        return _csv_line([row.get(name, "") for name in self._names])

    def _write_anew(self, rows: list[dict[str, float]]) -> None:
        for row in rows:
            self._names += [name for name in row if name not in self._names]
        write_text(self.path, _csv_line(self._names) + "".join(map(self._line, rows)))


def _csv_line(cells: list[Any]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()

"""`metrics.csv`: columns as they come, whole after a kill, cut on resume."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest

from desc.errors import StorageError
from desc.runs import MetricsFile, read_metrics
from tests.fuzzing import fuzz


def figures(path: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "time"} for row in read_metrics(path)]


def test_columns_may_appear_later(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = MetricsFile(path)
    log.append({"loss": 0.1}, 0)
    log.append({"loss": 0.2, "val, loss": 3}, 1)
    log.append({"loss": math.nan}, 2)
    log.append({"lr": 1e-300}, 3)
    rows = figures(path)
    assert rows[0] == {"step": 0, "loss": 0.1}
    assert rows[1] == {"step": 1, "loss": 0.2, "val, loss": 3}
    assert math.isnan(rows[2]["loss"])
    assert rows[3] == {"step": 3, "lr": 1e-300}
    with path.open(newline="") as stream:
        assert next(csv.reader(stream)) == ["step", "time", "loss", "val, loss", "lr"]
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_come_back_to_the_last_bit(tmp_path: Path) -> None:
    log = MetricsFile(tmp_path / "metrics.csv")
    log.append({"loss": 0.1 + 0.2}, 123456789)
    assert figures(log.path) == [{"step": 123456789, "loss": 0.1 + 0.2}]


def test_rows_after_the_step_resumed_from_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = MetricsFile(path)
    for step in range(5):
        log.append({"loss": step}, step)
    log = MetricsFile(path, last_step=2)
    assert [row["step"] for row in log.rows] == [0, 1, 2]
    log.append({"loss": 30, "val": 1}, 3)
    assert [row["loss"] for row in figures(path)] == [0, 1, 2, 30]
    assert [row["step"] for row in MetricsFile(path).rows] == [0, 1, 2, 3]


def test_a_line_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = MetricsFile(path)
    log.append({"loss": 1}, 0)
    with path.open("a") as stream:
        stream.write("1,1795374")
    assert figures(path) == [{"step": 0, "loss": 1}]
    MetricsFile(path).append({"loss": 2}, 1)
    assert figures(path) == [{"step": 0, "loss": 1}, {"step": 1, "loss": 2}]


def test_damage_is_reported_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,time,loss\n0,1,2\n1,2,soft\n")
    with pytest.raises(StorageError, match=r"metrics\.csv: line 3 .*soft"):
        read_metrics(path)
    with pytest.raises(StorageError, match=r"none\.csv"):
        read_metrics(tmp_path / "none.csv")


def test_any_damage_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = MetricsFile(path)
    for step in range(20):
        log.append({"loss": step / 7, "val, loss": math.nan}, step)
    fuzz(path, lambda path: MetricsFile(path, last_step=9).append({"loss": 1.0}, 10), 150)


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    code = (
        "import os, signal, sys; from pathlib import Path; from desc.runs import MetricsFile\n"
        "log = MetricsFile(Path(sys.argv[1]))\n"
        "for step in range(100): log.append({'loss': step / 7, **({'val': 1} if step > 49 else {})}"
        ", step)\n"
        "os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode != 0
    rows = figures(path)
    assert [row["loss"] for row in rows] == [step / 7 for step in range(100)]
    assert sum("val" in row for row in rows) == 50

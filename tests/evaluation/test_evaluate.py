"""`desc evaluate` from end to end, on a barely trained run."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from desc.report import drawing
from tests.small_run import SmallRun

Rows = dict[str, dict[str, Any]]
BASELINES = (
    "real, same track",
    "real, other music",
    "mean",
    "persistence",
    "loop of the context",
    "shuffled context",
    "nearest neighbours",
    "VAR + noise",
    "VAR, replay",
)
FORECAST = {"skill", "nll", "crps_1", "crps_43", "energy_43", "spread"}
REALISM = {"tail_std", "diff_ratio", "acf", "modspec_db", "fd", "track_distance", "c2st", "novelty"}


def rows_of(folder: Path, table: int = 0) -> Rows:
    content = json.loads((folder / "evaluation.json").read_text())
    return {row["name"]: row["figures"] for row in content["tables"][table]["rows"]}


@pytest.fixture(scope="session")
def evaluated(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    # To matplotlib, `$` is mathematics.
    held_out = shutil.copytree(small_run.root / "held_out", folder.with_name("held_out_$"))
    (held_out / "y.wav").rename(held_out / "Ba$$in_-_{live}.wav")
    assert small_run.evaluate(folder, "--seeds", "2", "--long", audio=str(held_out)) == 0
    return folder


def test_excerpts_end_where_the_music_ends(small_run: SmallRun, tmp_path: Path) -> None:
    audio, rate = soundfile.read(small_run.root / "held_out" / "x.wav")
    folder = tmp_path / "held_out"
    folder.mkdir()
    soundfile.write(folder / "x.wav", np.concatenate([audio, np.zeros(8 * rate)]), rate)
    assert small_run.evaluate(tmp_path / "out", audio=str(folder)) == 0
    (table,) = json.loads((tmp_path / "out" / "evaluation.json").read_text())["tables"]
    assert len(table["excerpts"]) == 6
    ends_s = [(place["frame"] + table["steps"]) * 1024 / rate for place in table["excerpts"]]
    assert max(ends_s) == pytest.approx(13, abs=0.15)


@pytest.fixture
def rows(evaluated: Path) -> Rows:
    return rows_of(evaluated)


def test_the_table_has_every_row_and_figure(rows: Rows, small_run: SmallRun) -> None:
    assert tuple(rows) == (*BASELINES, f"{small_run.run_id} LSTM")
    model = rows[f"{small_run.run_id} LSTM"]
    assert all(model[name] is not None for name in FORECAST | REALISM)


def test_references_and_baselines_have_known_figures(rows: Rows) -> None:
    assert rows["loop of the context"]["novelty"] == 0
    assert rows["nearest neighbours"]["novelty"] == 0
    assert rows["real, other music"]["novelty"] == 0
    assert rows["real, same track"]["novelty"] > 0
    assert rows["persistence"]["tail_std"] < 0.01
    assert rows["persistence"]["spread"] == 0
    assert rows["persistence"]["skill"] == 0
    assert rows["shuffled context"]["diff_ratio"] > rows["real, same track"]["diff_ratio"]
    same = rows["real, same track"]["fd"]
    assert rows["loop of the context"]["fd"] == pytest.approx(same, rel=1e-3)
    assert rows["mean"]["fd"] > 10 * same


def test_what_means_nothing_is_null(rows: Rows) -> None:
    assert all(figures["fd_se"] is None for figures in rows.values()), "of two recordings"
    assert rows["real, same track"]["crps_43"] is None
    assert rows["real, same track"]["spread"] is None


def test_the_file_tells_where_the_figures_are_from(evaluated: Path, small_run: SmallRun) -> None:
    content = json.loads((evaluated / "evaluation.json").read_text())
    assert content["format"] == "desc-evaluation"
    assert content["runs"][0]["run_id"] == small_run.run_id
    short, long = content["tables"]
    assert {place["source"] for place in short["excerpts"]} == {"x.wav", "Ba$$in_-_{live}.wav"}
    assert "complete frames" in short["left_out"]["short.wav"]
    assert long["steps"] == 256
    page = (evaluated / "evaluation.html").read_text("utf-8")
    assert '"examples":[]' in page, "nothing was rendered"
    assert "Ba$$in_-_{live}" not in page.split("<script")[0]
    model = short["rows"][-1]
    assert len(model["seeds"]) == 2
    mean = sum(figures["fd"] for figures in model["seeds"]) / 2
    assert model["figures"]["fd"] == pytest.approx(mean)
    assert model["seeds"][0]["fd"] != model["seeds"][1]["fd"]


def test_long_continuations_are_judged_at_their_end(evaluated: Path) -> None:
    assert all("fd_late" in figures for figures in rows_of(evaluated, 1).values())


def test_the_same_seed_gives_the_same_figures(
    small_run: SmallRun, evaluated: Path, tmp_path: Path
) -> None:
    held_out = str(evaluated.with_name("held_out_$"))
    assert small_run.evaluate(tmp_path, "--seeds", "2", audio=held_out) == 0
    assert rows_of(tmp_path) == rows_of(evaluated)


def test_runs_stand_side_by_side(
    small_run: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = small_run.record.folder
    other = tmp_path / "copy"
    shutil.copytree(run, other)
    content = json.loads((other / "run.json").read_text())
    content["train_config"]["seed"] += 1
    (other / "run.json").write_text(json.dumps(content | {"run_id": "copied00"}))
    assert small_run.evaluate(tmp_path / "out", "--run_id", str(other)) == 0
    rows = rows_of(tmp_path / "out")
    assert rows["copied00 LSTM"] == rows[f"{small_run.run_id} LSTM"]
    assert rows["mean of 2 LSTM"] == pytest.approx(rows["copied00 LSTM"], nan_ok=True)
    printed = capsys.readouterr().out
    assert "copied00 LSTM" in printed
    assert "mean of 2 LSTM" in printed
    assert all(name in printed for name in BASELINES)
    assert small_run.evaluate(tmp_path / "out", "--run_id", small_run.run_id) == 2  # named twice


def test_without_training_recordings_novelty_is_left_out(
    small_run: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = ["--cache_dir", str(tmp_path / "cache")]
    assert small_run.evaluate(tmp_path, *empty) == 0
    rows = rows_of(tmp_path)
    assert "nearest neighbours" not in rows
    assert all(figures["novelty"] is None for figures in rows.values())
    assert "novelty, other music and nearest neighbours are left out" in capsys.readouterr().out
    training = ["--training_db_dir", str(small_run.root / "training")]
    assert small_run.evaluate(tmp_path, *empty, *training) == 0
    assert rows_of(tmp_path)["loop of the context"]["novelty"] == 0


def test_recordings_of_the_training_set_are_refused(
    small_run: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(small_run.root / "held_out", small_run.root / "mixed", dirs_exist_ok=True)
    shutil.copy(small_run.root / "training" / "a.wav", small_run.root / "mixed" / "renamed.wav")
    assert small_run.evaluate(tmp_path, audio="mixed") == 1
    assert "renamed.wav: a.wav of run" in capsys.readouterr().err
    assert not (tmp_path / "evaluation.json").exists()
    assert small_run.evaluate(tmp_path, "--allow_training_files", audio="mixed") == 0


def test_recordings_that_are_all_too_short_are_named(
    small_run: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small_run.evaluate(tmp_path, "--include", "short.wav") == 1
    assert "short.wav: 42 complete frames, 128 are needed" in capsys.readouterr().err


def test_the_mean_is_a_point_forecast_and_plots_are_optional(
    small_run: SmallRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(drawing, "can_draw", lambda: False)
    assert small_run.evaluate(tmp_path, "--sampling", "mean") == 0
    model = rows_of(tmp_path)[f"{small_run.run_id} LSTM"]
    assert model["spread"] == 0
    assert model["tail_std"] < 0.5
    assert math.isfinite(model["crps_43"])
    assert capsys.readouterr().err.count("no plots: matplotlib is not installed") == 1
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.skipif(not drawing.can_draw(), reason="needs matplotlib")
def test_plots_are_drawn(evaluated: Path) -> None:
    names = {path.name for path in evaluated.glob("*.png")}
    assert names == {"continuations.png", "autocorrelation.png", "modulation.png", "metrics.png"}

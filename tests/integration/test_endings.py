"""Where a recording is continued from, and how loud the result is beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.integration.conftest import Workplace

Captured = pytest.CaptureFixture[str]
Signal = Callable[..., np.ndarray]
RATE = 44100


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory, make_signal: Signal) -> Path:
    """Seven seconds of notes, then a fade-out of two, then a second of silence."""
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    sound = make_signal("notes", 10.0, seed=3)
    sound[7 * RATE :] *= np.maximum(0, 1 - np.arange(3 * RATE) / (2 * RATE))
    soundfile.write(path, sound, RATE)
    return path


@pytest.fixture
def predict(
    song: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path
) -> Callable[..., tuple[int, dict[str, Any]]]:
    def run(*options: str, name: str = "out") -> tuple[int, dict[str, Any]]:
        words = ["--prediction_db_dir", str(song), "--no-report", *options]
        status = workplace.predict(run_ids["LSTM"], tmp_path / name, *words)
        file = tmp_path / name / "song.wav" / "prediction.json"
        return status, json.loads(file.read_text()) if file.is_file() else {}

    return run


def test_a_fade_out_is_left_out_and_told(
    predict: Callable[..., tuple[int, dict[str, Any]]], capsys: Captured
) -> None:
    status, found = predict()
    assert status == 0
    assert "song.wav: continuing from 0:07, before the fade-out" in capsys.readouterr().err
    from_s = found["_meta"]["request"]["from_s"]
    assert 7 < from_s < 8
    assert found["_sample"][0] / RATE == pytest.approx(from_s, abs=0.03)
    assert predict("--from_s", str(from_s))[0] == 0
    assert "kept" in capsys.readouterr().out, "the time found, given, is the same request"


def test_the_very_end_and_any_time_may_be_chosen(
    predict: Callable[..., tuple[int, dict[str, Any]]], capsys: Captured
) -> None:
    assert predict("--from_s", "end")[1]["_sample"][0] / RATE == pytest.approx(10, abs=0.05)
    assert "continuing from" not in capsys.readouterr().err
    status, found = predict("--from_s", "3", name="early")
    assert found["_sample"][0] / RATE == pytest.approx(3, abs=0.03)
    assert "song.wav: continuing from 0:03\n" in capsys.readouterr().err
    status, _ = predict("--from_s", "11", name="late")
    assert status == 1
    assert "from_s=11.0 must be at most 10.00" in capsys.readouterr().err
    assert predict("--from_s", "0", name="late")[0] == 2
    assert "from_s=0.0 must be a number above 0" in capsys.readouterr().err
    assert predict("--from_s", "soon", name="late")[0] == 2
    assert "from_s='soon' must be seconds or end" in capsys.readouterr().err


def test_a_result_far_quieter_than_its_context_is_told(
    predict: Callable[..., tuple[int, dict[str, Any]]],
    make_signal: Signal,
    tmp_path: Path,
    capsys: Captured,
) -> None:
    assert abs(predict()[1]["_meta"]["results"]["level_change_db"]) < 15
    assert "quieter" not in capsys.readouterr().err
    (tmp_path / "faint").mkdir()
    faint = 0.003 * make_signal("notes", 6.0, seed=4)
    soundfile.write(tmp_path / "faint" / "a.wav", faint, RATE, subtype="FLOAT")
    status, found = predict("--audio_db_dir", str(tmp_path / "faint"), name="faint_out")
    change_db = found["_meta"]["results"]["level_change_db"]
    assert status == 0
    assert change_db < -30
    assert f"the result is {-change_db:.0f} dB quieter" in capsys.readouterr().err

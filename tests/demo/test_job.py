"""`desc demo`, whole, and again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.commands.main import main
from desc.demo.job import RECORDING
from desc.outputs import FILES, REPORT

pytestmark = pytest.mark.slow


def test_the_demo_runs_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESC_CACHE", str(tmp_path / "cache"))
    assert main(["demo", "--offline"]) == 0
    printed = capsys.readouterr().out
    folder = tmp_path / "desc-demo" / "seed-0" / "continuation" / RECORDING
    assert {path.name for path in folder.iterdir()} == {*FILES, REPORT}
    audio, rate = soundfile.read(folder / "prediction.wav")
    assert rate == 44100
    assert len(audio) == 5 * 44100 + 430 * 1024
    assert np.isfinite(audio).all()
    # Every second of the continuation sounds.
    seconds = audio[5 * 44100 :][: 9 * 44100].reshape(9, 44100, 2)
    assert (np.sqrt((seconds**2).mean((1, 2))) > 1e-3).all()
    for words in ("nats per frame", "spread late", "random sounds", "run id: "):
        assert words in printed
    run_id = printed.strip().splitlines()[-1].removeprefix("run id: ")

    assert main(["demo", "--offline"]) == 0
    captured = capsys.readouterr()
    assert "kept" in captured.out
    assert f"run id: {run_id}" in captured.out
    assert f"reusing run {run_id}" in captured.err
    assert len(list((tmp_path / "experiments" / "descriptor_model").iterdir())) == 1

    words = ["predict", "--run_id", run_id, "--prediction_length", "10", "--offline"]
    corpus = tmp_path / "desc-demo" / "seed-0"
    words += ["--prediction_db_dir", str(corpus / "recordings" / "03 duet.wav")]
    assert main([*words, "--audio_db_dir", str(corpus / "database")]) == 0
    assert (tmp_path / "predictions" / "03 duet.wav" / "1" / "prediction.wav").exists()

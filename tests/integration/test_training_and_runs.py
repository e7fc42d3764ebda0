"""Training, runs and the cache from the command line, on small recordings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from desc.commands.main import main
from tests.integration.conftest import Workplace

Captured = pytest.CaptureFixture[str]


def test_an_unknown_run_is_an_error_that_names_the_places(
    workplace: Workplace, tmp_path: Path, capsys: Captured
) -> None:
    assert workplace.predict("zzzzzzzz", tmp_path, "--offline") == 1
    message = capsys.readouterr().err
    assert "zzzzzzzz" in message
    assert str(workplace.root / "experiments") in message


def test_the_runs_are_listed(
    workplace: Workplace, run_ids: dict[str, str], capsys: Captured
) -> None:
    words = ["runs", "--experiment_dir", str(workplace.root / "experiments")]
    assert main(words) == 0
    listed = capsys.readouterr().out
    for model, run_id in run_ids.items():
        assert re.search(f"{run_id} .*{model}", listed)


def test_extract_export_and_cache(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    del run_ids  # they filled the cache
    cache = ["--cache_dir", str(workplace.root / "cache")]
    folder = ["--audio_db_dir", str(workplace.recordings), "--jobs", "1"]
    assert main(["extract", *folder, *cache]) == 0
    assert "3 files," in (text := capsys.readouterr().out)
    assert "0 extracted now" in text
    words = ["export", *folder, *cache, "--output_dir", str(tmp_path), "--format", "npz"]
    assert main(words) == 0
    with np.load(tmp_path / "more" / "a.wav.npz") as exported:
        assert exported["values"].shape == (216, 51)
    assert main(["cache", *cache]) == 0
    assert "3" in capsys.readouterr().out
    assert main(["extract", "--audio_db_dir", str(workplace.recordings / "more"), *cache]) == 0
    assert "1 file," in capsys.readouterr().out


def test_a_resumed_run_refuses_what_it_cannot_change(
    workplace: Workplace, run_ids: dict[str, str], capsys: Captured
) -> None:
    words = ["train", "--audio_db_dir", str(workplace.recordings), "--jobs", "1"]
    words += [*workplace.common(), "--resume_run_id", run_ids["LSTMEncoderDecoderModel"]]
    assert main([*words, "--selected_model", "LSTM"]) == 2
    assert "selected_model='LSTM' (the run has 'LSTMEncoderDecoderModel')" in (
        capsys.readouterr().err
    )
    assert main(words) == 0
    assert "nothing is left to do" in capsys.readouterr().err


def test_a_run_learns_at_other_speeds_and_is_gone_on_with(
    workplace: Workplace, capsys: Captured
) -> None:
    assert workplace.train("LSTM", "--speeds", "0.9", "1.1", "--epochs", "1") == 0
    told = capsys.readouterr()
    assert "recordings at 3 speeds" in told.err
    run_id = told.out.strip().splitlines()[-1].removeprefix("run id: ")
    folder = workplace.root / "experiments" / "descriptor_model" / run_id
    record = json.loads((folder / "run.json").read_text())
    learned = sorted(record["training_files"].values())
    assert len(learned) % 3 == 0
    assert learned[1::3] == [f"{source} at 0.9" for source in learned[::3]]
    assert not any(" at " in source for source in record["validation_files"].values())
    record["status"] = "stopped"
    (folder / "run.json").write_text(json.dumps(record))
    words = ["train", "--audio_db_dir", str(workplace.recordings), "--jobs", "1"]
    assert main([*words, *workplace.common(), "--resume_run_id", run_id]) == 0
    assert capsys.readouterr().out.strip().endswith(run_id)


def test_what_this_machine_lacks_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "--audio_db_dir", "nowhere", "--cache_dir", "cache"]
    missing = "cuda" if torch.backends.mps.is_available() else "mps"
    for option in (["--accelerator", missing], ["--accelerator", "cpu", "--precision", "16-mixed"]):
        assert main([*words, *option]) == 2
        assert f"{option[-2][2:]}='{option[-1]}'" in capsys.readouterr().err
    assert main(["demo", "--jobs", "0"]) == 2
    assert "jobs=0 must be -1 (all cores) or at least 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_training_writes_audio_samples(workplace: Workplace, capsys: Captured) -> None:
    sounds = ["--sample_audio_db_dir", str(workplace.sounds), "--save_interval", "2"]
    assert workplace.train("LSTM", *sounds, "--epochs", "5", "--sample_every_epochs", "2") == 0
    run_id = capsys.readouterr().out.strip().splitlines()[-1].removeprefix("run id: ")
    runs = workplace.root / "experiments" / "descriptor_model"
    samples = sorted((runs / run_id / "samples").iterdir())
    assert [path.name[:10] for path in samples] == ["epoch_0002", "epoch_0004", "epoch_0005"]
    for path in samples:
        audio, rate = soundfile.read(path, always_2d=True)
        assert len(audio) == 216 * 1024  # 5 s, whole frames
        assert rate == 44100
        assert np.sqrt(np.mean(audio**2)) > 1e-3
    assert samples[0].read_bytes() != samples[1].read_bytes()


def test_a_bad_sample_folder_is_refused_before_training(
    workplace: Workplace, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "empty").mkdir()
    before = sorted((workplace.root / "experiments").rglob("run.json"))
    for folder in ("missing", "empty"):
        assert workplace.train("LSTM", "--sample_audio_db_dir", str(tmp_path / folder)) != 0
        assert str(tmp_path / folder) in capsys.readouterr().err
    assert sorted((workplace.root / "experiments").rglob("run.json")) == before


def test_the_scripts_are_the_commands(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path
) -> None:
    scripts = Path(__file__).parents[2] / "desc"

    def call(script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(scripts / script), *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert "--window_size" in call("train_function.py", "--help").stdout
    done = call(
        "predict_function.py", "--run_id", run_ids["LSTM"], "--quiet",
        "--prediction_db_dir", str(workplace.recordings / "a.wav"), "--jobs", "1",
        "--audio_db_dir", str(workplace.sounds), "--prediction_length", "5", "--n_samples", "2",
        *workplace.common(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for sample in "12":
        assert (tmp_path / "predictions" / "a.wav" / sample / "prediction.wav").exists()
    refused = call("train_function.py", "--audio_db_dir", str(tmp_path), "--window_size", "0")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr

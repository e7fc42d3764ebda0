"""`RunLog` without W&B: what is in the run's own folder."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc.audio import write
from desc.configuration import RunConfig
from desc.errors import CheckpointError, RunNotFoundError, StorageError
from desc.runs import (
    RunLog,
    RunRecord,
    SoundRecord,
    read_metrics,
    resolve_record,
    resolve_run,
)

WriteRun = Callable[..., RunRecord]


@pytest.fixture(autouse=True)
def switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


def test_wandb_switched_off_leaves_the_local_run(
    run_config: RunConfig, write_run: WriteRun, notes: list[str]
) -> None:
    config = {"audio_db_dir": Path("recordings"), "nested": {"size": 1}}
    with RunLog.start(config, run_config, note=notes.append) as log:
        log.log({"loss": 1}, 0)
        record = write_run(log)
        assert not log.finish(record)
    assert re.fullmatch("[a-z0-9]{8}", log.run_id)
    assert log.folder == Path("experiments/descriptor_model") / log.run_id
    assert notes == [
        f"run {log.run_id} is kept on this machine only (W&B is set to disabled); "
        f"send it later with: desc runs --upload {log.run_id}"
    ]
    kept = json.loads((log.folder / "config.json").read_text())
    assert kept == {"audio_db_dir": "recordings", "nested": {"size": 1}}
    assert resolve_run(log.run_id, run_config) == record
    assert not Path("experiments/wandb").exists()


def test_a_run_from_elsewhere_is_gone_on_with_here(
    run_config: RunConfig, make_record: Callable[..., RunRecord], tmp_path: Path
) -> None:
    away = make_record(tmp_path / "cache" / "me" / "quartet" / "1t212ycn", project="quartet")
    away.save()
    (away.folder / "metrics.csv").write_text("step,time,loss\n0,1,3\n5,1,2\n9,1,1\n")
    with RunLog.start({}, run_config, resume_run_id=str(away.folder), resume_step=5) as log:
        assert log.run_id == "1t212ycn"
        assert log.folder == Path("experiments/quartet/1t212ycn")
        log.log({"loss": 1.5}, 6)
    assert [row["loss"] for row in read_metrics(log.folder / "metrics.csv")] == [3, 2, 1.5]
    assert len(read_metrics(away.folder / "metrics.csv")) == 3
    with RunLog.start({}, run_config, resume_run_id="1t212ycn") as log:
        assert log.folder == Path("experiments/quartet/1t212ycn")
    with pytest.raises(StorageError, match="gone on with here already; name it by its id"):
        RunLog.start({}, run_config, resume_run_id=str(away.folder))
    assert len(read_metrics(log.folder / "metrics.csv")) == 3


def test_two_processes_do_not_make_one_run(run_config: RunConfig, write_run: WriteRun) -> None:
    going_on = (
        "import sys; from desc.configuration import RunConfig; from desc.runs import RunLog\n"
    )
    going_on += "RunLog.start({}, RunConfig(offline=True), resume_run_id=sys.argv[1])"
    with RunLog.start({}, run_config) as log:
        write_run(log).save()

        def other() -> subprocess.CompletedProcess[str]:
            words = [sys.executable, "-c", going_on, log.run_id]
            return subprocess.run(words, capture_output=True, text=True, check=False)

        assert f"{log.folder}: another process is training this run" in other().stderr
    assert other().returncode == 0


def test_a_run_that_is_nowhere_cannot_be_gone_on_with(run_config: RunConfig) -> None:
    with pytest.raises(RunNotFoundError, match="zzzzzzzz was not found"):
        RunLog.start({}, run_config, resume_run_id="zzzzzzzz")


def test_a_folder_that_cannot_be_made_is_named(run_config: RunConfig) -> None:
    Path("experiments").write_text("a file is in the way", encoding="utf-8")
    with pytest.raises(StorageError, match="experiments"):
        RunLog.start({}, run_config)


def test_sounds_and_pictures_reach_wandb(
    run_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    write(tmp_path / "clip.wav", np.zeros(800, np.float32), 8000)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    log = RunLog.start({}, replace(run_config, offline=True))
    log.log({"loss": 1.0}, 1)
    log.show({"clip": tmp_path / "clip.wav", "broken": tmp_path / "broken.png"}, 1)
    log.log({"loss": 0.5}, 2)
    log.finish()
    media = list((tmp_path / "experiments" / "wandb").glob("offline-run-*/files/media/*/*"))
    assert [path.suffix for path in media] == [".wav"]  # what wandb cannot take is left out
    assert media[0].read_bytes() == (tmp_path / "clip.wav").read_bytes()
    assert [row["loss"] for row in read_metrics(log.folder / "metrics.csv")] == [1.0, 0.5]


def test_a_record_tells_its_kind(run_config: RunConfig, tmp_path: Path) -> None:
    folder = tmp_path / "experiments" / "melgan" / "1t212ycn"
    record = SoundRecord(
        run_id="1t212ycn", folder=folder, project="melgan", generator="vocos",
        mel_config={"n_mels": 80}, model_config={"ratios": [8, 8]}, train_config={"notes": "a"},
    )  # fmt: skip
    record.save()
    assert SoundRecord.load(folder) == record
    assert (record.settings["generator"], record.notes) == ("vocos", "a")
    found = resolve_record(SoundRecord, "melgan/1t212ycn", run_config)
    assert replace(found, folder=folder) == record
    with pytest.raises(CheckpointError, match="a run of kind 'sound'"):
        RunRecord.load(folder)

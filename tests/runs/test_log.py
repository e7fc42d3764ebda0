"""`RunLog` without W&B: what is in the run's own folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import desc.runs.log
from desc.configuration import RunConfig
from desc.errors import CheckpointError, RunNotFoundError, StorageError
from desc.runs import (
    RunLog,
    RunRecord,
    SoundRecord,
    list_runs,
    read_metrics,
    resolve_record,
    resolve_run,
)

WriteRun = Callable[..., RunRecord]


@pytest.fixture(autouse=True)
def switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


def test_wandb_switched_off_leaves_the_local_run(
    run_config: RunConfig, write_run: WriteRun, messages: Callable[[], list[str]]
) -> None:
    with RunLog.new(run_config) as log:
        record = write_run(log)
        assert record.status == "running"
        assert RunRecord.load(log.folder) == record
        log.log({"loss": 1}, 0)
        record = replace(record, status="finished")
        assert not log.finish(record)
    assert re.fullmatch("[a-z0-9]{8}", log.run_id)
    assert log.folder == Path("experiments/descriptor_model") / log.run_id
    assert messages() == [
        f"run {log.run_id} is kept on this machine only (W&B is set to disabled); "
        f"upload it later with: desc runs --upload {log.run_id}"
    ]
    assert resolve_run(log.run_id, run_config) == record
    assert not Path("experiments/wandb").exists()


def test_a_run_from_elsewhere_is_copied_here_and_resumed(
    run_config: RunConfig, make_record: Callable[..., RunRecord], tmp_path: Path
) -> None:
    away = make_record(tmp_path / "cache" / "me" / "quartet" / "1t212ycn", project="quartet")
    away.save()
    (away.folder / "metrics.csv").write_text("step,time,loss\n0,1,3\n5,1,2\n9,1,1\n")
    with RunLog.resume(away, run_config, step=5) as log:
        record = log.begin(replace(away, folder=log.folder))
        assert log.run_id == "1t212ycn"
        assert log.folder == Path("experiments/quartet/1t212ycn")
        log.log({"loss": 1.5}, 6)
    assert [row["loss"] for row in read_metrics(log.folder / "metrics.csv")] == [3, 2, 1.5]
    assert len(read_metrics(away.folder / "metrics.csv")) == 3
    with RunLog.resume(record, run_config, step=6) as log:
        assert log.folder == Path("experiments/quartet/1t212ycn")
    with pytest.raises(StorageError, match=r"already copied to .*1t212ycn; resume it by its id"):
        RunLog.resume(away, run_config, step=5)
    assert len(read_metrics(log.folder / "metrics.csv")) == 3


def test_a_copy_that_was_cut_off_is_no_run(
    run_config: RunConfig, make_record: Callable[..., RunRecord], tmp_path: Path
) -> None:
    away = make_record(tmp_path / "cache" / "1t212ycn")
    away.save()
    project = tmp_path / "experiments" / "descriptor_model"
    left = project / ".elsewhere-1-12345678-0.partial"
    shutil.copytree(away.folder, left)
    assert list_runs(run_config) == []
    with RunLog.resume(away, run_config, step=0) as log:
        assert RunRecord.load(log.folder) == replace(away, folder=log.folder)
    assert [record.run_id for record in list_runs(run_config)] == ["1t212ycn"]


def test_the_record_is_there_before_the_server_is_asked(
    run_config: RunConfig,
    make_record: Callable[..., RunRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)

    def killed(record: RunRecord, *_: object, **__: object) -> None:
        found.append(RunRecord.load(record.folder))
        raise KeyboardInterrupt

    found: list[RunRecord] = []
    monkeypatch.setattr(desc.runs.log, "WandbRun", killed)
    with RunLog.new(run_config) as log, pytest.raises(KeyboardInterrupt):
        log.begin(make_record(log.folder))
    assert (found[0].status, found[0].offline) == ("running", True)
    assert RunRecord.load(log.folder).state == "killed"


def test_two_processes_do_not_make_one_run(run_config: RunConfig, write_run: WriteRun) -> None:
    resume = (
        "import sys\nfrom desc.configuration import RunConfig\n"
        "from desc.runs import RunLog, resolve_run\nrun = RunConfig(offline=True)\n"
        "RunLog.resume(resolve_run(sys.argv[1], run), run, step=0)"
    )
    with RunLog.new(run_config) as log:
        write_run(log)

        def other() -> subprocess.CompletedProcess[str]:
            words = [sys.executable, "-c", resume, log.run_id]
            return subprocess.run(words, capture_output=True, text=True, check=False)

        assert f"{log.folder}: another process is training this run" in other().stderr
    assert other().returncode == 0


def test_a_checkpoint_alone_cannot_be_resumed(
    run_config: RunConfig, make_record: Callable[..., RunRecord]
) -> None:
    with pytest.raises(RunNotFoundError, match=r"contains no run\.json; resuming needs"):
        RunLog.resume(make_record(), run_config, step=0)


def test_a_folder_that_cannot_be_made_is_named(run_config: RunConfig) -> None:
    Path("experiments").write_text("a file is in the way", encoding="utf-8")
    with pytest.raises(StorageError, match="experiments"):
        RunLog.new(run_config)


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

"""Runs and W&B, the real client over real HTTP against the server of `wandb_stub`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import desc.runs.wandb_sync
from desc.configuration import RunConfig
from desc.errors import RunNotFoundError, TrackingError
from desc.runs import RunLog, RunRecord, read_metrics, resolve_run, upload_run
from desc.runs.record import run_files
from tests.wandb_stub import ENTITY, StubRun, WandbStub

WriteRun = Callable[..., RunRecord]
UPLOADED = {
    "run.json",
    "metrics.csv",
    "statistics.npz",
    "checkpoints/last.ckpt",
    "checkpoints/best.ckpt",
}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in run_files(folder)}


def on_server(server: WandbStub, run_id: str) -> dict[str, bytes]:
    files = server.run(run_id).files
    return {name: content for name, content in files.items() if name in UPLOADED}


def losses(run: StubRun) -> list[tuple[int, float]]:
    return [(row["_step"], row["loss"]) for row in run.rows]


def test_an_online_run_is_usable_from_another_machine(
    server: WandbStub,
    run_config: RunConfig,
    write_run: WriteRun,
    messages: Callable[[], list[str]],
    tmp_path: Path,
) -> None:
    log = RunLog.new(run_config)
    record = write_run(log)
    assert not record.offline
    assert len(log.run_id) == 8
    for step in range(3):
        log.log({"loss": step / 3} | ({"val_nll": 2.5} if step == 2 else {}), step)
    assert log.finish(record)

    stored = server.run(log.run_id)
    assert stored.settings == record.settings
    assert stored.notes == "first try"
    assert stored.rows == [
        {"_step": 0, "loss": 0},
        {"_step": 1, "loss": 1 / 3},
        {"_step": 2, "loss": 2 / 3, "val_nll": 2.5},
    ]
    assert (stored.finished, stored.exit_code) == (True, 0)
    assert json.loads(stored.summary)["val_nll"] == 12.5  # the record's, not the last row's
    assert set(stored.files) == UPLOADED | {"config.yaml", "wandb-summary.json"}
    assert on_server(server, log.run_id) == contents(log.folder)
    assert record.uploaded == f"{ENTITY}/descriptor_model/{log.run_id}"
    assert messages() == [
        f"W&B shows this run at {server.url}/{ENTITY}/descriptor_model/runs/{log.run_id}"
    ]

    elsewhere = RunConfig(experiment_dir=str(tmp_path / "elsewhere"))
    found = resolve_run(log.run_id, elsewhere)
    assert found.folder.parts[-4:] == ("runs", ENTITY, "descriptor_model", log.run_id)
    assert replace(found, folder=record.folder) == record
    assert contents(found.folder) == contents(log.folder)
    assert np.array_equal(found.load_arrays()["mean"], np.arange(5.0))

    server.operations.clear()
    assert resolve_run(log.run_id, elsewhere).folder == found.folder
    assert resolve_run(f"{ENTITY}/descriptor_model/{log.run_id}", elsewhere) == found
    assert not server.operations


def test_audio_samples_are_shown_and_kept(
    server: WandbStub,
    run_config: RunConfig,
    write_run: WriteRun,
    make_signal: Callable[..., np.ndarray],
) -> None:
    log = RunLog.new(run_config)
    record = write_run(log)
    path = log.folder / "samples" / "epoch_0001_step_000003.wav"
    path.parent.mkdir()
    soundfile.write(path, make_signal("tone", 0.1), 44100)
    log.log({"val_loss": 1.0}, 3)
    log.show({"sample": path}, 3)
    broken = log.folder / "broken.png"
    broken.write_bytes(b"no picture")
    log.show({"broken": broken}, 3)
    log.log({"loss": 0.5}, 4)
    assert log.finish(record)
    first, last = server.run(log.run_id).rows
    assert (first["_step"], first["val_loss"]) == (3, 1.0)
    assert first["sample"]["_type"] == "audio-file"
    assert first["sample"]["caption"] == path.name
    assert last == {"_step": 4, "loss": 0.5}
    files = server.run(log.run_id).files
    assert files[first["sample"]["path"]] == path.read_bytes()
    assert files["samples/" + path.name] == path.read_bytes()


def test_an_offline_run_is_kept_and_sent_later(
    server: WandbStub,
    run_config: RunConfig,
    write_run: WriteRun,
    messages: Callable[[], list[str]],
    tmp_path: Path,
) -> None:
    run_config = replace(run_config, experiment_dir="my [best] rüns")
    offline = replace(run_config, offline=True)
    log = RunLog.new(offline)
    record = write_run(log)
    log.log({"loss": 1.0}, 0)
    log.log({"loss": 0.5}, 7)
    assert not log.finish(record)
    assert record.offline
    (line,) = messages()
    assert "(offline)" in line
    assert f"desc runs --upload {log.run_id}" in line
    assert resolve_run(log.run_id, offline) == record
    assert not server.operations  # not even usage figures

    url = upload_run(record, run_config, 60)
    assert url == f"{server.url}/{ENTITY}/descriptor_model/runs/{log.run_id}"
    assert server.run(log.run_id).settings == record.settings
    assert losses(server.run(log.run_id)) == [(0, 1), (7, 0.5)]
    assert on_server(server, log.run_id) == contents(log.folder)
    assert record.uploaded


def test_a_resumed_run_continues_from_its_checkpoint(
    server: WandbStub, run_config: RunConfig, write_run: WriteRun
) -> None:
    log = RunLog.new(run_config)
    record = write_run(log)
    for step in range(4):
        log.log({"loss": step}, step)
    assert log.finish(record)
    again = RunLog.resume(record, run_config, step=1)
    assert again.run_id == log.run_id
    assert again.folder == log.folder
    record = write_run(again)
    for step in range(2, 6):
        again.log({"loss": step}, step)
    assert again.finish(record)
    assert [row["step"] for row in read_metrics(log.folder / "metrics.csv")] == list(range(6))
    assert losses(server.run(log.run_id)) == [(step, step) for step in range(6)]
    assert on_server(server, log.run_id) == contents(log.folder)


def test_without_a_server_the_run_is_made_offline(
    run_config: RunConfig,
    write_run: WriteRun,
    messages: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_SILENT", "")  # makes wandb raise where it sees it
    log = RunLog.new(run_config)
    record = write_run(log)
    log.log({"loss": 1.0}, 0)
    assert not log.finish(record)
    assert record.offline
    (line,) = messages()
    assert "connection refused" in line.lower()
    assert resolve_run(log.run_id, replace(run_config, offline=True)) == record


def test_a_server_that_hangs_at_the_start_makes_an_offline_run(
    server: WandbStub,
    run_config: RunConfig,
    write_run: WriteRun,
    messages: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.hang = True
    monkeypatch.setattr(desc.runs.wandb_sync, "INIT_TIMEOUT_S", 2.0)
    log = RunLog.new(run_config)
    record = write_run(log)
    assert record.offline
    assert len(messages()) == 1
    log.log({"loss": 1.0}, 0)
    log.finish(record)
    assert resolve_run(log.run_id, run_config) == record


@pytest.mark.slow
def test_a_server_that_hangs_later_is_given_up(
    server: WandbStub,
    run_config: RunConfig,
    write_run: WriteRun,
    messages: Callable[[], list[str]],
) -> None:
    log = RunLog.new(run_config)
    record = write_run(log)
    log.log({"loss": 1.0}, 0)
    server.hang = True
    assert not log.finish(record)
    assert f"desc runs --upload {log.run_id}" in messages()[-1]
    assert resolve_run(log.run_id, run_config) == record
    with pytest.raises(RunNotFoundError, match="no response within 2 s"):
        resolve_run("zzzzzzzz", run_config, timeout_s=2)
    with pytest.raises(TrackingError, match=r"not sent completely \(time limit 3 s\)"):
        upload_run(record, run_config, 3)


@pytest.mark.slow
def test_refused_uploads_leave_the_run_whole(
    server: WandbStub, run_config: RunConfig, write_run: WriteRun, messages: Callable[[], list[str]]
) -> None:
    server.refuse_uploads = True
    log = RunLog.new(run_config)
    record = write_run(log)
    log.log({"loss": 1.0}, 0)
    assert not log.finish(record)
    assert "checkpoints/best.ckpt: missing" in messages()[-1]
    assert f"desc runs --upload {log.run_id}" in messages()[-1]
    assert record.uploaded is None
    assert resolve_run(log.run_id, run_config) == record
    server.refuse_uploads = False
    upload_run(record, run_config)
    assert on_server(server, log.run_id) == contents(log.folder)
    assert losses(server.run(log.run_id)) == [(0, 1)]


def test_a_wrong_key_makes_an_offline_run(
    server: WandbStub,
    run_config: RunConfig,
    make_record: Callable[..., RunRecord],
    messages: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with RunLog.new(run_config) as log:
        assert log.begin(make_record(log.folder)).offline
    assert "invalid API key" in messages()[0]
    with pytest.raises(RunNotFoundError, match="invalid API key"):
        resolve_run("zzzzzzzz", run_config)


@pytest.fixture
def stored_run(
    server: WandbStub, make_record: Callable[..., RunRecord], tmp_path: Path
) -> Callable[[], StubRun]:
    """Put a run on the server without the client."""

    def store() -> StubRun:
        record = make_record(tmp_path / "made" / "zzzzzzzz")
        record.save()
        run = StubRun(ENTITY, "descriptor_model", "zzzzzzzz")
        run.files = contents(record.folder) | {"checkpoints/best.ckpt": b"weights"}
        server.runs[ENTITY, "descriptor_model", "zzzzzzzz"] = run
        return run

    return store


def test_downloads_that_arrive_damaged_are_refused(
    server: WandbStub,
    run_config: RunConfig,
    stored_run: Callable[[], StubRun],
    tmp_path: Path,
) -> None:
    stored_run()
    server.corrupt = True
    with pytest.raises(RunNotFoundError, match=r"arrived damaged \(7 bytes there, 6 here\)"):
        resolve_run("zzzzzzzz", run_config, tmp_path / "downloads")
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()]
    server.corrupt = False
    found = resolve_run("zzzzzzzz", run_config, tmp_path / "downloads")
    assert (found.folder / "checkpoints" / "best.ckpt").read_bytes() == b"weights"


def test_a_run_of_another_program_is_named_as_such(
    server: WandbStub, run_config: RunConfig, stored_run: Callable[[], StubRun]
) -> None:
    stored_run().files = {"config.yaml": b"lr: 1", "model.ckpt": b""}
    with pytest.raises(RunNotFoundError, match=r"the run has no run\.json .*config\.yaml, model"):
        resolve_run("zzzzzzzz", run_config)
    with pytest.raises(RunNotFoundError, match="Could not find run"):
        resolve_run("yyyyyyyy", run_config)


@pytest.mark.slow
def test_downloads_that_fail_are_given_up(
    server: WandbStub,
    run_config: RunConfig,
    stored_run: Callable[[], StubRun],
    tmp_path: Path,
) -> None:
    stored_run()
    server.fail_downloads = True
    with pytest.raises(RunNotFoundError, match=r"best\.ckpt could not be downloaded"):
        resolve_run("zzzzzzzz", run_config, tmp_path / "downloads", timeout_s=6)
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("offline", [True, False])
def test_a_killed_training_loses_no_row_and_leaves_no_process(
    server: WandbStub,
    offline: bool,
    tmp_path: Path,
    processes_left: Callable[[], list[object]],
) -> None:
    code = (
        "import os, signal, time, desc; from desc.runs import RunLog\n"
        f"log = RunLog.new(desc.RunConfig(experiment_dir='experiments', offline={offline}))\n"
        "log.begin(desc.RunRecord(run_id=log.run_id, folder=log.folder, train_config="
        "desc.TrainConfig(), descriptor_config=desc.DescriptorConfig(), "
        "model_config=desc.ModelConfig()))\n"
        "for step in range(50): log.log({'loss': step}, step)\n"
        "time.sleep(3)\n"
        "os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode != 0
    (folder,) = (tmp_path / "experiments" / "descriptor_model").iterdir()
    assert [row["loss"] for row in read_metrics(folder / "metrics.csv")] == list(range(50))
    assert not processes_left()
    if not offline:
        run = server.run(folder.name)
        assert losses(run) == [(step, step) for step in range(50)]
        assert (run.finished, run.exit_code) == (True, 1)


@pytest.mark.slow
def test_an_interrupt_while_sending_leaves_no_process(
    server: WandbStub,
    run_config: RunConfig,
    write_run: WriteRun,
    monkeypatch: pytest.MonkeyPatch,
    processes_left: Callable[[], list[object]],
) -> None:
    log = RunLog.new(run_config)
    record = write_run(log)
    server.hang = True

    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("desc.runs.wandb_sync.WandbRun.finish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        log.finish(record)
    assert resolve_run(log.run_id, run_config) == record
    assert not processes_left()

"""Runs and W&B, the real client over real HTTP against the server of `wandb_stub`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import desc.runs.download
import desc.runs.sending
from desc.configuration import RunConfig
from desc.errors import RunNotFoundError, TrackingError
from desc.runs import RunLog, RunRecord, read_metrics, resolve_run, upload_run
from desc.runs.record import run_files
from desc.runs.worker import worker_environment
from tests.wandb_stub import ENTITY, StubRun, WandbStub

WriteRun = Callable[..., RunRecord]
CONFIG = {"audio_db_dir": "recordings", "model": {"window_size": 48, "sizes": [1, 2]}}
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
    notes: list[str],
    tmp_path: Path,
) -> None:
    log = RunLog.start(CONFIG, run_config, notes="first try", note=notes.append)
    assert not log.offline
    assert len(log.run_id) == 8
    for step in range(3):
        log.log({"loss": step / 3} | ({"val_nll": 2.5} if step == 2 else {}), step)
    record = write_run(log)
    assert log.finish(record)

    stored = server.run(log.run_id)
    assert stored.settings == CONFIG
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
    assert notes == [
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
    log = RunLog.start(CONFIG, run_config)
    path = log.folder / "samples" / "epoch_0001_step_000003.wav"
    path.parent.mkdir()
    soundfile.write(path, make_signal("tone", 0.1), 44100)
    log.log({"val_loss": 1.0}, 3)
    log.show({"sample": path}, 3)
    log.log({"loss": 0.5}, 4)
    assert log.finish(write_run(log))
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
    notes: list[str],
    tmp_path: Path,
) -> None:
    run_config = replace(run_config, experiment_dir="my [best] rüns")
    offline = replace(run_config, offline=True)
    started = time.monotonic()
    log = RunLog.start(CONFIG, offline, note=notes.append)
    log.log({"loss": 1.0}, 0)
    log.log({"loss": 0.5}, 7)
    assert time.monotonic() - started < 1
    record = write_run(log)
    assert not log.finish(record)
    assert log.offline
    assert len(notes) == 1
    assert "(offline)" in notes[0]
    assert f"desc runs --upload {log.run_id}" in notes[0]
    assert resolve_run(log.run_id, offline) == record
    (kept,) = (tmp_path / "my [best] rüns" / "wandb").glob(f"offline-run-*-{log.run_id}")
    assert (kept / "files" / "checkpoints" / "best.ckpt").stat().st_size > 200_000
    assert not server.operations  # not even usage figures

    url = upload_run(log.run_id, run_config, 60)
    assert url == f"{server.url}/{ENTITY}/descriptor_model/runs/{log.run_id}"
    assert server.run(log.run_id).settings == CONFIG
    assert losses(server.run(log.run_id)) == [(0, 1), (7, 0.5)]
    assert on_server(server, log.run_id) == contents(log.folder)
    assert record.uploaded


def test_a_resumed_run_goes_on_where_its_checkpoint_is(
    server: WandbStub, run_config: RunConfig, write_run: WriteRun
) -> None:
    log = RunLog.start(CONFIG, run_config)
    for step in range(4):
        log.log({"loss": step}, step)
    assert log.finish(write_run(log))
    again = RunLog.start(CONFIG, run_config, resume_run_id=log.run_id, resume_step=1)
    assert again.run_id == log.run_id
    assert again.folder == log.folder
    for step in range(2, 6):
        again.log({"loss": step}, step)
    assert again.finish(write_run(again))
    assert [row["step"] for row in read_metrics(log.folder / "metrics.csv")] == list(range(6))
    assert losses(server.run(log.run_id)) == [(step, step) for step in range(6)]
    assert on_server(server, log.run_id) == contents(log.folder)


@pytest.mark.slow
def test_a_run_resumed_offline_and_never_sent_is_sent_whole(
    server: WandbStub, run_config: RunConfig, write_run: WriteRun, tmp_path: Path
) -> None:
    offline = replace(run_config, offline=True)
    log = RunLog.start(CONFIG, offline)
    log.log({"loss": 0}, 0)
    log.finish(write_run(log))
    again = RunLog.start(CONFIG, offline, resume_run_id=log.run_id, resume_step=0)
    again.log({"loss": 1}, 1)
    again.finish(write_run(again))
    newest = max((tmp_path / "experiments" / "wandb").glob("offline-run-*"))
    command = [sys.executable, "-P", "-m", "wandb", "sync", str(newest)]
    environment = worker_environment("online")
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=60)
    # What a user sends by hand is whole, and sending it again repeats nothing.
    assert losses(server.run(log.run_id)) == [(0, 0), (1, 1)]
    assert on_server(server, log.run_id) == contents(log.folder)
    upload_run(log.run_id, run_config)
    assert losses(server.run(log.run_id)) == [(0, 0), (1, 1)]


def test_a_server_that_is_not_there_costs_seconds(
    run_config: RunConfig,
    write_run: WriteRun,
    notes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_SILENT", "")  # makes wandb raise where it sees it
    started = time.monotonic()
    log = RunLog.start(CONFIG, run_config, note=notes.append)
    log.log({"loss": 1.0}, 0)
    record = write_run(log)
    log.finish(record)
    assert time.monotonic() - started < 20
    assert len(notes) == 1
    assert "connection refused" in notes[0].lower()
    assert resolve_run(log.run_id, replace(run_config, offline=True)) == record


def test_a_server_that_hangs_at_the_start_costs_seconds(
    server: WandbStub,
    run_config: RunConfig,
    write_run: WriteRun,
    notes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.hang = True
    monkeypatch.setattr(desc.runs.sending, "INIT_TIMEOUT_S", 2.0)
    started = time.monotonic()
    log = RunLog.start(CONFIG, run_config, note=notes.append)
    assert time.monotonic() - started < 12
    assert log.offline
    assert len(notes) == 1
    log.log({"loss": 1.0}, 0)
    record = write_run(log)
    log.finish(record)
    assert resolve_run(log.run_id, run_config) == record


@pytest.mark.slow
def test_a_server_that_hangs_later_costs_seconds(
    server: WandbStub,
    run_config: RunConfig,
    write_run: WriteRun,
    notes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = RunLog.start(CONFIG, run_config, note=notes.append)
    log.log({"loss": 1.0}, 0)
    server.hang = True
    started = time.monotonic()
    record = write_run(log)
    assert not log.finish(record)
    assert time.monotonic() - started < 20
    assert f"desc runs --upload {log.run_id}" in notes[-1]
    assert resolve_run(log.run_id, run_config) == record
    monkeypatch.setattr(desc.runs.download, "FIND_LIMIT_S", 2.0)
    with pytest.raises(RunNotFoundError, match="no answer within 2 s"):
        resolve_run("zzzzzzzz", run_config)
    started = time.monotonic()
    with pytest.raises(TrackingError, match=r"not sent whole \(time limit 3 s\)"):
        upload_run(log.run_id, run_config, 3)
    assert time.monotonic() - started < 10


@pytest.mark.slow
def test_refused_uploads_leave_the_run_whole(
    server: WandbStub, run_config: RunConfig, write_run: WriteRun, notes: list[str]
) -> None:
    server.refuse_uploads = True
    log = RunLog.start(CONFIG, run_config, note=notes.append)
    log.log({"loss": 1.0}, 0)
    record = write_run(log)
    assert not log.finish(record)
    assert "checkpoints/best.ckpt: not on the server" in notes[-1]
    assert f"desc runs --upload {log.run_id}" in notes[-1]
    assert record.uploaded is None
    assert resolve_run(log.run_id, run_config) == record
    server.refuse_uploads = False
    upload_run(log.run_id, run_config)
    assert on_server(server, log.run_id) == contents(log.folder)
    assert losses(server.run(log.run_id)) == [(0, 1)]


def test_a_wrong_key_makes_an_offline_run(
    server: WandbStub, run_config: RunConfig, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with RunLog.start(CONFIG, run_config, note=notes.append) as log:
        assert log.offline
    assert "invalid API key" in notes[0]
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
    with pytest.raises(RunNotFoundError, match=r"best\.ckpt arrived damaged \(another md5\)"):
        resolve_run("zzzzzzzz", run_config, tmp_path / "downloads")
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()]
    server.corrupt = False
    found = resolve_run("zzzzzzzz", run_config, tmp_path / "downloads")
    assert found.checkpoint().read_bytes() == b"weights"


def test_a_run_of_another_program_is_named_as_such(
    server: WandbStub, run_config: RunConfig, stored_run: Callable[[], StubRun]
) -> None:
    stored_run().files = {"config.yaml": b"lr: 1", "model.ckpt": b""}
    with pytest.raises(RunNotFoundError, match=r"there without run\.json .*config\.yaml, model"):
        resolve_run("zzzzzzzz", run_config)
    with pytest.raises(RunNotFoundError, match="Could not find run"):
        resolve_run("yyyyyyyy", run_config)


@pytest.mark.slow
def test_downloads_that_fail_end_in_time(
    server: WandbStub,
    run_config: RunConfig,
    stored_run: Callable[[], StubRun],
    tmp_path: Path,
) -> None:
    stored_run()
    server.fail_downloads = True
    started = time.monotonic()
    with pytest.raises(RunNotFoundError, match=r"best\.ckpt could not be fetched"):
        resolve_run("zzzzzzzz", run_config, tmp_path / "downloads", timeout_s=6)
    assert time.monotonic() - started < 20
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
        "import os, signal, time; from desc.configuration import RunConfig\n"
        "from desc.runs import RunLog\n"
        f"log = RunLog.start({{}}, RunConfig(experiment_dir='experiments', offline={offline}))\n"
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
def test_an_interrupt_while_sending_leaves_at_once(
    server: WandbStub,
    run_config: RunConfig,
    write_run: WriteRun,
    monkeypatch: pytest.MonkeyPatch,
    processes_left: Callable[[], list[object]],
) -> None:
    log = RunLog.start(CONFIG, run_config)
    record = write_run(log)
    server.hang = True

    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("desc.runs.log.finish_online", interrupt)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        log.finish(record)
    assert time.monotonic() - started < 1
    assert resolve_run(log.run_id, run_config) == record
    assert not processes_left()

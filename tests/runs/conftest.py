"""Runs are tested away from the user's keys, settings and network, and leave no process behind."""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.descriptors.config import DescriptorConfig
from desc.runs import RunLog, RunRecord
from tests.wandb_stub import API_KEY, WandbStub

MARK = f"DESC_TEST_{uuid.uuid4().hex}"


def wandb_processes() -> list[psutil.Process]:
    """Return the processes that these tests have started and that are still there."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and MARK in process.environ():
                found.append(process)
    return found


@pytest.fixture
def processes_left() -> Callable[[], list[psutil.Process]]:
    """processes_left() waits for wandb's processes to end and returns those that did not."""
    return lambda: psutil.wait_procs(wandb_processes(), timeout=15)[1]


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """wandb's processes leave within seconds of the one that started them; the rest is ended."""
    yield
    for process in psutil.wait_procs(wandb_processes(), timeout=10)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of the test."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def away_from_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    """An empty home and current folder, no W&B variable, no netrc."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("DESC_CACHE", str(home / "desc"))
    monkeypatch.setenv(MARK, "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbStub]:
    """A W&B server on this machine, with its address and key in the environment."""
    with WandbStub() as stub:
        monkeypatch.setenv("WANDB_BASE_URL", stub.url)
        monkeypatch.setenv("WANDB_API_KEY", API_KEY)
        yield stub
    assert not stub.unknown


@pytest.fixture
def run_config() -> RunConfig:
    return RunConfig(experiment_dir="experiments")


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """messages() -> the lines that runs have logged for the user."""
    caplog.set_level(logging.INFO, "desc")
    return lambda: caplog.messages


@pytest.fixture
def make_record(tmp_path: Path) -> Callable[..., RunRecord]:
    """make_record(folder, **fields) -> RunRecord, complete and not saved."""

    def make(folder: Path | None = None, **fields: object) -> RunRecord:
        folder = folder or tmp_path / "experiments" / "descriptor_model" / "1t212ycn"
        values: dict[str, object] = {
            "run_id": folder.name,
            "descriptor_config": DescriptorConfig(n_mfcc=12),
            "model_config": ModelConfig(hidden_size=32),
            "train_config": TrainConfig(notes="first try"),
            "metrics": {"val_nll": 12.5},
            "training_files": {"ab" * 16: "violin/a.wav"},
            "validation_files": {"cd" * 16: "violin/b.wav"},
            "schedule": {"n_steps": 100},
        }
        return RunRecord(folder=folder, **(values | fields))  # type: ignore[arg-type]

    return make


@pytest.fixture
def write_run(make_record: Callable[..., RunRecord]) -> Callable[..., RunRecord]:
    """write_run(log) -> RunRecord: begins a run, and gives its folder every file a run has."""

    def write(log: RunLog, **fields: object) -> RunRecord:
        record = log.begin(make_record(log.folder, project=log.folder.parent.name, **fields))
        record.save_arrays({"mean": np.arange(5.0), "count": np.array(3)})
        (log.folder / "checkpoints").mkdir(exist_ok=True)
        for name in ("last", "best"):
            content = np.random.default_rng(0).bytes(200_000) + name.encode()
            (log.folder / "checkpoints" / f"{name}.ckpt").write_bytes(content)
        return record

    return write

"""Two processes on the CPU give the same training as one."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import Corpus
from desc.engine.fabric import create_fabric
from desc.errors import ConfigurationError
from desc.runs import Record, RunRecord, read_metrics
from desc.soundgen.jobs import train_vocoder
from desc.soundgen.recordings import SoundRecordings
from desc.training.fit import train
from tests.soundgen.conftest import FAST, MEL, VOCOS

Command = Callable[..., subprocess.Popen[str]]
MODEL = ModelConfig(
    window_size=8,
    forecast_size=4,
    context_size=8,
    hidden_size=8,
    num_layers=1,
    n_components=2,
    dropout=0.0,
    style_noise=0.0,
)
TRAINING = TrainConfig(
    epochs=2,
    batch_size=8,
    learning_rate=0.01,
    accelerator="cpu",
    rollout_every=0,
    realism_every_epochs=0,
)


def assert_same_run(together: Record, alone: Record) -> None:
    """Compare the logs and records of two runs, up to rounding."""
    ours, theirs = (read_metrics(r.folder / "metrics.csv") for r in (together, alone))
    assert [row.keys() for row in ours] == [row.keys() for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        for name in set(one) - {"time", "steps_per_second"}:
            assert one[name] == pytest.approx(other[name], rel=1e-5, abs=1e-5), name
    assert together.metrics.keys() == alone.metrics.keys()
    assert together.metrics["best_step"] == alone.metrics["best_step"]
    assert together.schedule["total_steps"] == alone.schedule["total_steps"]
    assert together.status == alone.status == "finished"
    names = ({p.name for p in r.folder.rglob("*") if p.is_file()} for r in (together, alone))
    assert next(names) == next(names)


@pytest.fixture(autouse=True)
def without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.mark.slow
def test_a_sequence_model(make_corpus: Callable[..., Corpus], tmp_path: Path) -> None:
    records = []
    for n in ("1", "2"):
        training = replace(TRAINING, devices=n, strategy="ddp_spawn" if n == "2" else "auto")
        run = RunConfig(experiment_dir=str(tmp_path / n), offline=True)
        corpus = make_corpus([120, 90, 150, 60])
        records.append(train(corpus, model=MODEL, training=training, run=run))
        assert len(list((tmp_path / n).rglob("run.json"))) == 1
    assert_same_run(records[1], records[0])


@pytest.mark.slow
def test_a_vocoder_with_its_discriminators(recordings: SoundRecordings, tmp_path: Path) -> None:
    records = []
    for n in ("1", "2"):
        training = replace(
            FAST,
            devices=n,
            strategy="ddp_spawn" if n == "2" else "auto",
            level_jitter=1.0,  # drawn per process
            lambda_stft=0.0,  # spectral convergence divides norms of a process's crops
            learning_rate=1e-4,  # Adam amplifies rounding where gradients are near 0
            discriminator_from=1,
        )
        run = RunConfig(experiment_dir=str(tmp_path / n), offline=True, project="vocos")
        record = train_vocoder(
            lambda _: recordings, mel=MEL, model=VOCOS, training=training, run=run
        )
        records.append(record)
    assert_same_run(records[1], records[0])


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """command(words, **environment) starts `desc train` on noise, with runs in tmp_path / words."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        sound = 0.1 * np.cumsum(rng.standard_normal(5 * 44100)) / 100
        soundfile.write(folder / f"{i}.wav", np.clip(sound, -1, 1), 44100)
    settings = {
        **dict.fromkeys(("window_size", "context_size", "hidden_size"), 8),
        **dict.fromkeys(("dropout", "style_noise", "rollout_every", "realism_every_epochs"), 0),
        **{"num_layers": 1, "epochs": 2},
    }
    options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    fixed = {"DESC_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    outer = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK")}

    def start(words: str, **environment: str) -> subprocess.Popen[str]:
        experiments = ["--experiment_dir", str(tmp_path / words)]
        call = [sys.executable, "-m", "desc", "train", "--audio_db_dir", str(folder), "--offline"]
        return subprocess.Popen(
            [*call, *options, *experiments, "--accelerator", "cpu", *words.split()],
            cwd=tmp_path,
            env=outer | fixed | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def record_of(folder: Path, processes: list[subprocess.Popen[str]]) -> RunRecord:
    """Wait for the processes of a training; return its record."""
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    assert len(re.findall("run id: ", "".join(out for out, _ in said))) == 1
    assert "".join(errors for _, errors in said).count("training LSTM on") == 1
    (path,) = folder.rglob("run.json")
    return RunRecord.load(path.parent)


@pytest.mark.slow
def test_the_command_line_in_processes_and_on_machines(tmp_path: Path, command: Command) -> None:
    """It starts itself for each device, and is called once on each machine."""
    devices, nodes = "--devices 2", "--num_nodes 2 --strategy ddp"
    alone = record_of(tmp_path / "--devices 1", [command("--devices 1")])
    assert_same_run(record_of(tmp_path / devices, [command(devices)]), alone)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    machines = [command(nodes, NODE_RANK=str(rank), **place) for rank in (0, 1)]
    assert_same_run(record_of(tmp_path / nodes, machines), alone)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accelerator": "cpu", "devices": "2", "strategy": "auto", "precision": "16-mixed"},
         "precision='16-mixed'"),
        ({"accelerator": "cuda", "devices": "99"}, "accelerator='cuda'"),
    ],
)  # fmt: skip
def test_what_this_machine_lacks_is_named(settings: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        create_fabric(TrainConfig(**settings))
    assert caught.value.exit_status == 2


def test_strategies_are_those_that_start_processes() -> None:
    with pytest.raises(ConfigurationError, match="strategy='fsdp' must be one of auto"):
        TrainConfig(strategy="fsdp")
    with pytest.raises(ConfigurationError, match="num_nodes=0"):
        TrainConfig(num_nodes=0)


@pytest.mark.slow
def test_crops_are_shared_evenly(recordings: SoundRecordings, tmp_path: Path) -> None:
    training = replace(FAST, batch_size=3, devices="2", strategy="ddp_spawn")
    run = RunConfig(experiment_dir=str(tmp_path), offline=True)
    with pytest.raises(ConfigurationError, match="batch_size=3 must be a multiple of"):
        train_vocoder(lambda _: recordings, mel=MEL, model=VOCOS, training=training, run=run)
    assert not list(tmp_path.iterdir())

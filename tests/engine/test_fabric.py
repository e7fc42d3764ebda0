"""Processes of a training: shared gradients, and what happens when one of them ends."""

from __future__ import annotations

import atexit
import logging
import os
from pathlib import Path

import pytest
import torch

from desc.configuration import TrainConfig
from desc.engine.fabric import Fabric, launch
from desc.engine.optimization import LearningRate, RunningAverage
from desc.engine.task import Task
from desc.errors import DescError

BATCH = 6


class Regression(Task):
    """Least squares with a layer that no loss uses, and one that only the first process uses."""

    step = validate = checkpoint = logs_at = validates_at = None  # type: ignore[assignment]

    def __init__(self, fabric: Fabric) -> None:
        super().__init__(TrainConfig(accelerator="cpu"), fabric)
        torch.manual_seed(0)
        layers = {name: torch.nn.Linear(3, 1).double() for name in ("used", "unused", "first")}
        self.networks = {"all": torch.nn.ModuleDict(layers)}
        self.average = RunningAverage(self.networks["all"], 0.9)
        self.learning_rate, self.max_grad_norm = LearningRate(0.1, 4), 0.5
        self.add_optimizer("all", torch.optim.AdamW(self.networks["all"].parameters()))

    def learn(self) -> list[list[float]]:
        """Take four steps; return all parameters."""
        layers, rank, n = self.networks["all"], self.fabric.global_rank, self.fabric.world_size
        random = torch.Generator().manual_seed(1)
        for step in range(4):
            x = torch.randn(BATCH, 3, generator=random, dtype=torch.float64)[rank::n]
            loss = (layers["used"](x) - x.sum(1, keepdim=True)).square().mean()
            if rank == 0:
                loss = loss + layers["first"](torch.ones(1, 3).double()).square().mean() * n
            self.update("all", loss, step)
            self.average.update(step)
        return [p.flatten().tolist() for p in self.average.values.values()]


def learned(fabric: Fabric) -> list[list[float]]:
    return Regression(fabric).learn()


def tell_of_the_end(folder: Path, fabric: Fabric) -> None:
    """At the exit of every process, write whether its process group is still there."""

    def tell() -> None:
        (folder / str(fabric.global_rank)).write_text(str(torch.distributed.is_initialized()))

    assert torch.distributed.is_initialized()
    atexit.register(tell)


def lose_a_process(fabric: Fabric) -> None:
    """End the second process without a word, while the first waits for it."""
    if fabric.global_rank == 1:
        os._exit(3)
    fabric.barrier()


def hardware(devices: str) -> TrainConfig:
    strategy = "auto" if devices == "1" else "ddp_spawn"
    return TrainConfig(accelerator="cpu", devices=devices, strategy=strategy)


def test_more_processes_than_cpus_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    monkeypatch.setattr(Fabric, "launch", lambda _, function: _Answer(function))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for devices in ("1", "2", "3"):
        launch(hardware(devices), learned)
    first, second, third = caplog.messages
    assert first.startswith("training in 2 processes")
    assert second.startswith("training in 3 processes")
    assert third == "devices=3 on 2 CPUs: training will be slow"


class _Answer:
    """What a process answers: nothing."""

    def __init__(self, _: object) -> None:
        self.value = self.error = None


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one() -> None:
    together, alone = launch(hardware("2"), learned), launch(hardware("1"), learned)
    for ours, theirs in zip(together, alone, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.slow
def test_every_process_leaves_the_group_before_it_exits(tmp_path: Path) -> None:
    launch(hardware("2"), tell_of_the_end, tmp_path)
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["False", "False"]


@pytest.mark.slow
def test_a_lost_process_ends_the_training_with_an_error() -> None:
    with pytest.raises(DescError, match="process"):
        launch(hardware("2"), lose_a_process)

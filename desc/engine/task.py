"""`Task`: networks, optimizers and losses of one training, for the engine to train."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from desc.configuration import HardwareConfig
from desc.engine.fabric import Fabric, average_gradients, create_fabric, reduced
from desc.engine.optimization import LearningRate, RunningAverage
from desc.engine.randomness import step_generator
from desc.errors import CheckpointError


class Task(ABC):
    """Definition of a training: its steps, validation and checkpoint content.

    Batches and random numbers of a step depend on (seed, attempt, step), or come from torch's
    global generator, whose state is saved with each checkpoint.

    Attributes
    ----------
    fabric : Fabric
    networks : dict of str to Module
        All trained networks, by name.
    optimizers : dict of str to Optimizer
        Optimizers, each with the parameters of one or more networks.
    average : RunningAverage
        Running average of the network that is validated and saved.
    learning_rate : LearningRate
        Schedule; its length is that of the training.
    max_grad_norm : float
        Largest gradient norm per optimizer; 0: no limit.
    seed : int
    monitor : str
        Metric that determines the best network; lower is better.
    patience : int or None
        Measurements without improvement before early stopping.
    """

    largest_loss: ClassVar[float] = 1e8
    """Beyond it a loss counts as exploded."""
    most_attempts: ClassVar[int] = 0
    """Maximum number of returns to the last checkpoint after a divergence."""
    loss_prefix: ClassVar[str] = ""
    """Prefix of the losses' names in `metrics.csv`."""

    networks: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    average: RunningAverage
    learning_rate: LearningRate
    max_grad_norm: float = 0.0
    seed: int = 0
    monitor: str = "val_loss"
    patience: int | None = None

    def __init__(self, hardware: HardwareConfig, fabric: Fabric | None = None) -> None:
        self.fabric = fabric or create_fabric(hardware)
        self.device = self.fabric.device
        self.networks, self.optimizers = {}, {}

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole training."""
        return self.learning_rate.total_steps

    def add_optimizer(self, name: str, optimizer: Optimizer) -> None:
        """Register an optimizer; its networks must be on the device."""
        wrapped = self.fabric.setup_optimizers(optimizer)
        assert isinstance(wrapped, Optimizer)
        self.optimizers[name] = wrapped

    @abstractmethod
    def step(self, step: int, attempt: int) -> dict[str, Tensor]:
        """Train on one batch; return its losses as scalars without gradient."""

    @abstractmethod
    def validate(self, step: int, *, last: bool) -> dict[str, float]:
        """Return validation metrics of the averaged network, including `val_loss`.

        Parameters
        ----------
        step : int
        last : bool
            Whether the training ends or stops here, so that all metrics are due.
        """

    @abstractmethod
    def checkpoint(self) -> dict[str, Any]:
        """Return the averaged network as checkpoint content: key of the format → content."""

    @abstractmethod
    def logs_at(self, step: int) -> bool:
        """Return whether `metrics.csv` gets a row of losses after this step."""

    @abstractmethod
    def validates_at(self, step: int) -> bool:
        """Return whether the network is validated and saved after this step."""

    def row(self, step: int) -> dict[str, float]:  # noqa: ARG002
        """Return further columns of a row of losses."""
        return {}

    def complete(self, metrics: dict[str, float], best: Path) -> dict[str, float]:  # noqa: ARG002
        """Return the metrics of the best network, given those of its validation and its file."""
        return metrics

    def final_metrics(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return the metrics for the run's record, given those of the engine."""
        return metrics

    def verdict(self, metrics: Mapping[str, float]) -> str | None:  # noqa: ARG002
        """Return a line on how good the network is, given the metrics of the run's record."""
        return None

    def sample(self, folder: Path, step: int) -> dict[str, Path]:  # noqa: ARG002
        """Write audio or image samples, and return them by name."""
        return {}

    @property
    def extra(self) -> dict[str, float]:
        """State of the training other than parameters."""
        return {}

    def load_extra(self, extra: Mapping[str, float]) -> None:  # noqa: B027
        """Undo `extra`."""

    def generator(self, step: int, attempt: int) -> torch.Generator:
        """Return the random generator of a step in this process."""
        return step_generator(self.seed, attempt, step, self.fabric.global_rank)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over all processes, without gradient."""
        return reduced(self.fabric, value, "mean")

    def update(self, name: str, loss: Tensor, step: int, *others: str) -> None:
        """Take a step of one or several optimizers along the gradient of a loss."""
        optimizers = [self.optimizers[n] for n in (name, *others)]
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        for optimizer in optimizers:
            groups = optimizer.param_groups
            average_gradients(self.fabric, [p for group in groups for p in group["params"]])
            for group in groups:
                group["lr"] = self.learning_rate.at(step)
            if self.max_grad_norm:
                self.fabric.clip_gradients(
                    self.average.network,
                    optimizer,
                    max_norm=self.max_grad_norm,
                    error_if_nonfinite=False,
                )
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state needed for resuming, except the progress."""
        return {
            "networks": {name: n.state_dict() for name, n in self.networks.items()},
            "average": self.average.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "precision": self.fabric.strategy.precision.state_dict(),
            "extra": self.extra,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo `state_dict`.

        Raises
        ------
        CheckpointError
            If the state belongs to another training.
        """
        try:
            for name, network in self.networks.items():
                network.load_state_dict(state["networks"][name])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            self.average.load(state["average"])
            self.fabric.strategy.precision.load_state_dict(state["precision"])
            self.load_extra(state["extra"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint belongs to another training: {error}") from error

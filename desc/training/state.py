"""`TrainingState`: where a run stands between two steps, and everything it needs to go on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from desc.errors import CheckpointError


@dataclass
class TrainingState:
    """Where a run stands between two steps; every checkpoint holds it.

    Attributes
    ----------
    step : int
        Steps done, over all calls.
    epoch, batch : int
        The next batch: passes done, batches done of the current one.
    best_score : float
        Lowest value of what is monitored, of the planned validations.
    best_step : int
        The step it was measured at.
    best_figures : dict of str to float
        Everything measured then, by the names of the run's metrics.
    waited : int
        Planned validations since that measured it.
    loss_sum, n_scored : float
        Of the frames since the last row of `metrics.csv`.
    random : dict of str to Tensor
        States of the random generators after the last step, by device type.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best_score: float = math.inf
    best_step: int = 0
    best_figures: dict[str, float] = field(default_factory=dict)
    waited: int = 0
    loss_sum: float = 0.0
    n_scored: float = 0.0
    random: dict[str, Tensor] = field(default_factory=dict)

    def advance(self, epoch: int, batch: int, is_last: bool) -> None:
        """Count a batch that was learned from."""
        self.step += 1
        self.epoch, self.batch = (epoch + 1, 0) if is_last else (epoch, batch + 1)
        self.random = random_state()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values and tensors, for a checkpoint."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: Any) -> TrainingState:
        """Undo `to_dict`.

        Raises
        ------
        CheckpointError
            If a value is missing or unknown.
        """
        try:
            names = {f.name for f in fields(cls)}
            if set(values) != names:
                raise CheckpointError(f"a training state has {', '.join(sorted(names))}")
            return cls(**values)
        except TypeError as error:
            raise CheckpointError(f"the training state is damaged: {error}") from error


def random_state() -> dict[str, Tensor]:
    """Return the states of torch's generators that are in use, by device type."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore_random_state(states: dict[str, Tensor]) -> None:
    """Undo `random_state`; devices that this machine does not have are left out."""
    torch.set_rng_state(states["cpu"].cpu())
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())
    if "mps" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"].cpu())


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Leave torch's random generators as they were, whatever happens in the context."""
    states = random_state()
    try:
        yield
    finally:
        restore_random_state(states)

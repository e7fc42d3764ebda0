"""Learning rate schedule, and running average (EMA) of a network's parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LearningRate:
    """Linear warmup, then half a cosine down (Loshchilov & Hutter 2017).

    Attributes
    ----------
    highest : float
        Learning rate at the end of the warmup.
    total_steps : int
        Steps of the whole training.
    warmup_steps : int
        Steps until the rate is highest.
    last_share : float
        Share of the highest rate at the last step; 1: constant.
    """

    highest: float
    total_steps: int
    warmup_steps: int = 0
    last_share: float = 1.0

    def at(self, step: int) -> float:
        """Return the learning rate of the step that follows `step` steps."""
        if step < self.warmup_steps:
            return self.highest * (step + 1) / self.warmup_steps
        left = max(1, self.total_steps - self.warmup_steps)
        done = min(1.0, (step - self.warmup_steps) / left)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return self.highest * (self.last_share + (1 - self.last_share) * cosine)


class RunningAverage:
    """Exponential moving average of parameters (Polyak & Juditsky 1992); buffers are not averaged.

    The decay is lower during the first steps, which reduces the influence of the initial weights.

    Parameters
    ----------
    network : Module
    decay : float
        Weight of the previous average at each step; 0: the latest parameters.

    Attributes
    ----------
    values : dict of str to Tensor
        The average, by parameter name.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        self.values = {name: p.detach().clone() for name, p in network.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the current parameters, after `step` earlier updates."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, latest in self.network.named_parameters():
            self.values[name].lerp_(latest, 1 - decay)

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Set the average from a state dict of the network."""
        for name, value in self.values.items():
            value.copy_(state[name])

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network's state dict with averaged parameters."""
        state = dict(self.network.state_dict())
        return {name: self.values.get(name, value).detach() for name, value in state.items()}

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Load the averaged parameters into the network inside the block."""
        latest = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        self._set(self.values)
        try:
            yield
        finally:
            self._set(latest)

    @torch.no_grad()
    def _set(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.network.named_parameters():
            parameter.copy_(values[name])

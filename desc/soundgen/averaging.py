"""The running mean of a network's parameters: what is validated, kept and generated with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class RunningMean:
    """An exponential moving average of parameters and buffers.

    In the first steps the decay is lower, so that the beginning is soon forgotten.

    Parameters
    ----------
    network : Module
    decay : float
        Share of the former mean; 0 keeps the network as it is.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        self.state = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the network as it is after a step."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        for name, value in self.network.state_dict().items():
            mean = self.state[name]
            if mean.is_floating_point():
                mean.lerp_(value.detach(), 1 - decay)
            else:
                mean.copy_(value)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a stored mean."""
        for name, mean in self.state.items():
            mean.copy_(state[name])

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let the network be its mean within the context."""
        own = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.state)
        try:
            yield
        finally:
            self.network.load_state_dict(own)

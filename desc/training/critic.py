"""A critic of one-second windows: it learns what gives a continuation away, the model to hide it.

The energy score compares features that were thought of; the critic finds those that were not. It
is a small convolutional network of bounded slope (spectral normalisation, Miyato et al. 2018), so
that the most by which it can tell continuations from what followed is a distance between them
(Arjovsky et al. 2017). The same gradient, reversed (Ganin & Lempitsky 2015), teaches the model to
shorten it: one loss, one optimiser, and no saturation where they are far apart.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from desc.models.inputs import ContextStatistics, FrameSpace

WIDTH = 64  # channels
KERNEL = 5  # frames; every layer halves their number
LAYERS = 3  # a frame of the last one hears 29
SLOPE = 0.2  # of the rectifiers below 0


class Reversed(torch.autograd.Function):
    """The identity, whose gradient is multiplied by minus a weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        """Return x."""
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient turned round."""
        return -ctx.weight * gradients[0], None


def turned_round(x: Tensor, weight: float) -> Tensor:
    """Return x, whose gradient will be multiplied by minus a weight."""
    y: Tensor = Reversed.apply(x, weight)  # type: ignore[no-untyped-call]
    return y


class Critic(nn.Module):
    """Tells windows of continuations from real ones, by how they stand to their context.

    Parameters
    ----------
    n_features : int
        Static columns, F.
    style_size : int
        Columns of the description of a context, S; 0 where models know none.
    """

    def __init__(self, n_features: int, style_size: int) -> None:
        super().__init__()
        sizes = [2 * n_features] + [WIDTH] * LAYERS
        self.convolutions = nn.ModuleList(
            spectral_norm(nn.Conv1d(a, b, KERNEL, stride=2, padding=KERNEL // 2))
            for a, b in pairwise(sizes)
        )
        self.style = spectral_norm(nn.Linear(style_size, WIDTH)) if style_size else None
        self.exit = spectral_norm(nn.Linear(2 * WIDTH, 1))

    def forward(self, x: Tensor, context_stats: ContextStatistics, space: FrameSpace) -> Tensor:
        """Return (B,), higher where windows x (B, T, F), standardised, seem real."""
        every = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        mean, movement = context_stats.mean[:, None], context_stats.local_scale[:, None]
        h = space.frame_inputs(x, space.differences(x, every), mean, movement).transpose(1, 2)
        for convolution in self.convolutions:
            h = F.leaky_relu(convolution(h), SLOPE)
        h = h.mean(-1)
        style = torch.zeros_like(h) if self.style is None else self.style(context_stats.embedding)
        judged: Tensor = self.exit(torch.cat([F.leaky_relu(h + style, SLOPE), h * style], -1))
        return judged[:, 0]

    def loss(
        self,
        drawn: Tensor,
        real: Tensor,
        context_stats: ContextStatistics,
        space: FrameSpace,
        weight: float,
    ) -> Tensor:
        """Return mean score of what was drawn less that of the real; reversed in `drawn`.

        Parameters
        ----------
        drawn : Tensor (n·B, T, F)
            n continuations of each context, one after the other.
        real : Tensor (B, T, F)
            What followed.
        context_stats : ContextStatistics
            Of the B contexts.
        space : FrameSpace
        weight : float
            Of the reversed gradient.
        """
        n = len(drawn) // len(real)
        each = ContextStatistics(*(part.repeat(n, 1) for part in context_stats))
        fake = self(turned_round(drawn, weight), each, space)
        judged: Tensor = fake.mean() - self(real, context_stats, space).mean()
        return judged

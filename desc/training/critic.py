"""Adversarial critic of one-second windows, trained with a gradient reversal.

The energy score compares hand-picked features; the critic learns further ones. It is a small
convolutional network with bounded slope (spectral normalisation, Miyato et al. 2018), so its
largest difference of scores between continuations and real music is a distance between the two
(Arjovsky et al. 2017). The reversed gradient (Ganin & Lempitsky 2015) trains the model to reduce
this distance. One loss and one optimiser serve both, and the gradient does not saturate.
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
LAYERS = 3  # receptive field of a frame of the last one: 29 frames
SLOPE = 0.2  # of the rectifiers below 0


class Reversed(torch.autograd.Function):
    """Gradient reversal: the identity, with its gradient multiplied by minus a weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        """Return x."""
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the reversed gradient."""
        return -ctx.weight * gradients[0], None


def turned_round(x: Tensor, weight: float) -> Tensor:
    """Return x; its gradient is multiplied by minus the weight."""
    y: Tensor = Reversed.apply(x, weight)  # type: ignore[no-untyped-call]
    return y


class Critic(nn.Module):
    """Classifier of windows as real or continued, relative to their context.

    Parameters
    ----------
    n_features : int
        Static columns, F.
    style_size : int
        Size of the context embedding, S; 0 for models without one.
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
        """Return scores (B,) of standardised windows x (B, T, F), higher for real ones."""
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
        """Return the mean score of drawn windows minus that of real ones, reversed in `drawn`.

        Parameters
        ----------
        drawn : Tensor (n·B, T, F)
            n continuations of each context, one after the other.
        real : Tensor (B, T, F)
            Real continuations.
        context_stats : ContextStatistics
            Statistics of the B contexts.
        space : FrameSpace
        weight : float
            Weight of the reversed gradient.
        """
        n = len(drawn) // len(real)
        each = ContextStatistics(*(part.repeat(n, 1) for part in context_stats))
        fake = self(turned_round(drawn, weight), each, space)
        judged: Tensor = fake.mean() - self(real, context_stats, space).mean()
        return judged

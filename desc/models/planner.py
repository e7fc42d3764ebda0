"""`Planner`: the plan of a block of frames, and its distribution given the blocks before.

The plan of a block is a summary of its frames: mean, log standard deviation and log movement of
each static column, projected on the principal components of these over the training recordings.
Each component has standard deviation 1. A plan is predicted as a change of the plan before it, and
from differences between plans only: a few dozen recordings have a few dozen timbres, and a network
that sees the plans themselves learns the recordings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from desc.metrics.windows import FLOOR
from desc.models.heads import MixtureHead

HISTORY = 64  # blocks that a plan is predicted from, a minute of one-second blocks
SCALES = (4, 16)  # numbers of blocks whose mean plan is an input
RECENT = 8  # last frames whose mean is an input
WIDTH = 64  # hidden units
COMPONENTS = 4  # of the mixture
LARGEST_PLAN = 6.0  # standard deviations at which plans are clipped
SIMILAR = 0.25  # mean square of the difference at which a plan counts 1/e as much as an equal one
PRIOR_STEPS, PRIOR_STEP = 2.0, 0.5  # average changes of plan added to a history, and their square
LEAST_SPREAD = 0.05  # of a feature, and least variance of a component of standardised features
UNLIKE = 1e4  # exponent of a missing plan
TINY = 1e-6  # keeps gradients of square roots finite at 0


class Block(NamedTuple):
    """Frames of blocks.

    Attributes
    ----------
    statics : Tensor (…, L, F)
        Standardised frames minus the mean of their context.
    steps : Tensor (…, L - 1, F)
        Differences between frames, in units of their deviation in the context.
    """

    statics: Tensor
    steps: Tensor


class Planner(nn.Module):
    """A small network from the plans of up to `HISTORY` blocks to a mixture of Gaussians.

    Parameters
    ----------
    n_features : int
        Static columns, F.
    size : int
        Numbers of a plan, P, at most 3F.
    dropout : float
    """

    centre: Tensor
    basis: Tensor

    def __init__(self, n_features: int, size: int, dropout: float) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("centre", torch.zeros(3 * n_features))
        self.register_buffer("basis", torch.eye(3 * n_features, size))
        n_inputs = (len(SCALES) + 2) * size + 2 * n_features
        self.network = nn.Sequential(nn.Linear(n_inputs, WIDTH), nn.GELU(), nn.Dropout(dropout))
        self.head = MixtureHead(WIDTH, np.eye(size), COMPONENTS)

    def fit(self, blocks: Iterable[Block]) -> None:
        """Set the principal components of blocks (N, L, F), all frames of which are known."""
        features = torch.cat([self.features(block) for block in blocks]).double()
        if not len(features):  # every recording is shorter than a block
            return
        centre, scale = features.mean(0), features.std(0, correction=0).clamp(min=LEAST_SPREAD)
        z = (features - centre) / scale
        variances, vectors = torch.linalg.eigh(z.T @ z / len(z))  # ascending
        chosen = slice(-self.size, None)
        basis = vectors[:, chosen] / variances[chosen].clamp(min=LEAST_SPREAD).sqrt()
        self.centre.copy_(centre)
        self.basis.copy_((basis / scale[:, None]).flip(1))

    def features(self, block: Block) -> Tensor:
        """Return mean, log-deviation and log-movement (…, 3F) of blocks (…, L, F)."""
        mean = block.statics.mean(-2)
        variance = (block.statics - mean[..., None, :]).square().mean(-2)
        movement = block.steps.square().sum(-2) / max(1, block.steps.shape[-2])
        spreads = [((v + TINY).sqrt() + FLOOR).log() for v in (variance, movement)]
        return torch.cat([mean, *spreads], -1)

    def plans(self, block: Block) -> Tensor:
        """Return the plans (…, P) of blocks (…, L, F)."""
        plans = (self.features(block) - self.centre) @ self.basis
        return plans.clamp(-LARGEST_PLAN, LARGEST_PLAN)

    def forward(self, plans: Tensor, known: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the plan of the next block.

        Parameters
        ----------
        plans : Tensor (B, M, P)
            Plans of the blocks before, 0 where not known.
        known : Tensor of bool (B, M)
        last : Tensor (B, L, F)
            Standardised frames of the last block.

        Returns
        -------
        parameters : Tensor (B, Q)
            Of `head`: the distribution of the change from the last plan.
        former : Tensor (B, P)
            The last plan.
        """
        former, weight = plans[:, -1], known[..., None].float()
        means = [weighted_mean(plans, weight, n) - former for n in SCALES]
        both = weight[:, 1:] * weight[:, :-1]
        steps = ((plans[:, 1:] - plans[:, :-1]) * both).square().sum(1)
        movement = 0.5 * ((steps + PRIOR_STEPS * PRIOR_STEP) / (both.sum(1) + PRIOR_STEPS)).log()
        mean = last.mean(1)
        recent = [last[:, -1] - mean, last[:, -RECENT:].mean(1) - mean]
        recent = [x * weight[:, -1] for x in recent]
        inputs = torch.cat([*means, self.echo(plans, weight), movement, *recent], -1)
        return self.head(self.network(inputs)), former

    def echo(self, plans: Tensor, weight: Tensor) -> Tensor:
        """Return the mean change of plan that followed plans like the last one, (B, P)."""
        distance = (plans[:, :-1] - plans[:, -1:]).square().mean(-1, keepdim=True)
        both = weight[:, 1:] * weight[:, :-1]
        alike = (-distance / SIMILAR).masked_fill(both == 0, -UNLIKE).softmax(1) * both
        return (alike * (plans[:, 1:] - plans[:, :-1])).sum(1)


def weighted_mean(plans: Tensor, weight: Tensor, n: int) -> Tensor:
    """Return the mean (B, P) of the last n plans (B, M, P) of weight 1 (B, M, 1); 0 without any."""
    kept = weight[:, -n:]
    return (plans[:, -n:] * kept).sum(1) / kept.sum(1).clamp(min=1)

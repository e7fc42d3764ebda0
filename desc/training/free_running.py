"""Loss of free-running continuations: energy score and adversarial critic.

Maximum likelihood trains one-step predictions only. Here two continuations of a context, X and X',
are compared with the real one, y, by the energy score |X - y| - |X - X'| / 2 (Gneiting & Raftery
2007, eq. 22, beta 1). Its expectation is lowest if X and X' have the distribution of y. It is
computed for single frames at many horizons, and for the features of one-second windows that
measure realism. Gradients flow through the draws (as in DISCO nets, Bouchacourt et al. 2016). A
critic scores the same windows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from desc.metrics.windows import FLOOR, WINDOW_LENGTH
from desc.models.base import DescriptorModel
from desc.models.inputs import ContextStatistics
from desc.models.rollout import free_run
from desc.training.critic import Critic
from desc.training.windows import Batch

STEPS = 64  # frames of a continuation, 1.5 s: more than a window
LEAST_STEPS = 8  # of items that hold only a short recording
READ = 64  # frames of context that the network reads
EVERY = 4  # stride of the compared frames
TINY = 1e-6  # keeps the gradient of the square root finite at 0


def norm(x: Tensor) -> Tensor:
    """Return the Euclidean norm over the last axis, differentiable at 0."""
    return (x.square().sum(-1) + TINY).sqrt()


def energy_score(x: Tensor, other: Tensor, y: Tensor) -> Tensor:
    """Return the mean energy score of two draws (..., D) of a forecast of y (..., D)."""
    return (0.5 * (norm(x - y) + norm(other - y)) - 0.5 * norm(x - other)).mean()


def features(x: Tensor) -> Tensor:
    """Return the features (..., 3F) of windows (..., T, F), as `desc.metrics.window_features`."""
    steps = (x[..., 1:, :] - x[..., :-1, :]).square().mean(-2)
    variance = (x - x.mean(-2, keepdim=True)).square().mean(-2)
    spreads = [((v + TINY).sqrt() + FLOOR).log() for v in (variance, steps)]
    return torch.cat([x.mean(-2), *spreads], -1)


def with_ends_aligned(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return frames and mask of a batch, moved so that each item ends with a valid frame."""
    frames, valid = batch.frames, batch.valid
    missing = valid.flip(1).int().argmax(1, keepdim=True)  # frames after the last valid one
    index = torch.arange(valid.shape[1], device=valid.device) - missing
    present = valid.gather(1, index.clamp(min=0)) & (index >= 0)
    return frames.gather(1, index.clamp(min=0)[..., None].expand_as(frames)), present


def items_to_continue(valid: Tensor, most: int) -> tuple[int, Tensor]:
    """Choose the length of the continuations, and the items (n,) to be continued.

    An item needs a context as long as its continuation. Where few items have that many frames,
    because the recordings are short, the continuations are halved, down to `LEAST_STEPS`.

    Parameters
    ----------
    valid : Tensor of bool (B, T)
        Items whose last frame is valid.
    most : int
        Largest number of items.
    """
    n_known = valid.sum(1)
    steps = min(STEPS, valid.shape[1] // 2)
    rows = torch.nonzero(n_known >= 2 * steps)[:most, 0]
    while len(rows) < min(most, -(-len(valid) // 2)) and steps // 2 >= LEAST_STEPS:
        steps //= 2
        rows = torch.nonzero(n_known >= 2 * steps)[:most, 0]
    return steps, rows


class FreeRunningLoss(nn.Module):
    """Energy score and critic loss of continuations that start within a batch's items.

    Parameters
    ----------
    model : DescriptorModel
        The model that is trained; the critic's sizes follow from it.
    window_spread : ndarray, (3F,)
        Standard deviation of the window features of the training recordings.
    adversarial_weight : float
        Weight of the critic's loss; 0: no critic.

    Attributes
    ----------
    critic : Critic or None
        Trained together with the model, by the same loss.
    """

    spread: Tensor

    def __init__(
        self,
        model: DescriptorModel,
        window_spread: npt.NDArray[np.floating],
        adversarial_weight: float,
    ) -> None:
        super().__init__()
        spread = np.where(window_spread > 0, window_spread, 1.0)
        spread_tensor = torch.as_tensor(spread, dtype=torch.float32)
        self.register_buffer("spread", spread_tensor, persistent=False)
        self.adversarial_weight = adversarial_weight
        n = model.n_features
        self.critic = Critic(n, model.n_inputs - 2 * n) if adversarial_weight else None

    def forward(self, model: DescriptorModel, batch: Batch) -> Tensor:
        """Return the loss, 0 if all items hold too few frames of their recording.

        The last frames of each item are replaced by two continuations, drawn without dropout.
        """
        frames, valid = with_ends_aligned(batch)
        steps, rows = items_to_continue(valid, model.CONTINUED)
        if not len(rows):
            return batch.frames.new_zeros(())
        frames, valid = frames[rows], valid[rows]
        context, present = frames[:, :-steps].repeat(2, 1, 1), valid[:, :-steps].repeat(2, 1)
        training = model.training
        model.eval()
        drawn = free_run(
            model, context, present, steps, length=max(READ, model.model_config.window_size)
        )
        model.train(training)
        x = model.space.standardise(frames, valid)
        y, before = x[:, -steps:], slice(-steps - model.context_size, -steps)
        loss = self.compare(drawn[: len(rows)], drawn[len(rows) :], y)
        if self.critic is not None:
            context_stats = model.context_statistics(x[:, before], valid[:, before])
            loss = loss + self.judge(model, drawn, y, context_stats)
        return loss

    def compare(self, x: Tensor, other: Tensor, y: Tensor) -> Tensor:
        """Return the energy score of two continuations against the real one, each (B, T, F)."""
        loss = energy_score(x[:, ::EVERY], other[:, ::EVERY], y[:, ::EVERY])
        windows = self.windows(y)
        for window in windows:
            a, b, c = (features(z[:, window]) / self.spread for z in (x, other, y))
            loss = loss + energy_score(a, b, c) / len(windows)
        return loss

    def judge(
        self, model: DescriptorModel, drawn: Tensor, y: Tensor, context_stats: ContextStatistics
    ) -> Tensor:
        """Return the critic's loss on continuations (2B, T, F) and real ones y (B, T, F)."""
        assert self.critic is not None
        windows = self.windows(y)
        loss = y.new_zeros(())
        for window in windows:
            loss = loss + self.critic.loss(
                drawn[:, window], y[:, window], context_stats, model.space, self.adversarial_weight
            )
        return loss / len(windows)

    def windows(self, y: Tensor) -> list[slice]:
        """Return the first and the last second of y (B, T, F)."""
        length = min(WINDOW_LENGTH, y.shape[1])
        return [slice(start, start + length) for start in sorted({0, y.shape[1] - length})]

"""From raw descriptors to what a network sees: frames as they stand to their context.

A few dozen recordings have a few dozen timbres, and a network that sees a timbre as such knows
the recording by it. So frames are seen around the mean of their context and in units of its
movement, as in reversible instance normalisation (Kim et al. 2022); what the context itself is
like, its style, is an input of its own, blurred by noise in training.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from desc.models.statistics import TrainingStatistics

LARGEST_INPUT = 10.0  # standard deviations; beyond, a recording is of another world anyway
PRIOR_FRAMES = 8.0  # weight of the training music in the style of a recording of a few frames
PRIOR_MOVEMENT = 32.0  # the same in its movement
LARGEST_STEP = 50.0  # squared difference that counts in the movement: a click is none
MOVEMENT = (0.1, 10.0)  # bounds: neither a held tone nor noise is another world


class Anchor(NamedTuple):
    """What continues a context refers to.

    Attributes
    ----------
    mean : Tensor (B, F)
        Of the context's standardised frames.
    movement : Tensor (B, 1)
        Rms of its frame differences, 1 for average training music.
    style : Tensor (B, S)
        The context described; S is 0 where nothing is to be known of it.
    """

    mean: Tensor
    movement: Tensor
    style: Tensor


class FrameSpace(nn.Module):
    """Static descriptors in their unbounded space, standardised; and what is derived from them.

    Buffers come from the training statistics and are not part of the state_dict.
    """

    mean: Tensor
    scale: Tensor
    pull: Tensor
    difference_scale: Tensor
    low: Tensor
    high: Tensor
    floors: Tensor

    def __init__(self, statistics: TrainingStatistics) -> None:
        super().__init__()
        standardizer = statistics.standardizer
        columns = standardizer.config.static_columns
        spaces = [standardizer.config.spaces[c] for c in columns]
        self.n_features = len(columns)
        self.log_columns = [i for i, (space, _) in enumerate(spaces) if space == "log"]
        self.logit_columns = [i for i, (space, _) in enumerate(spaces) if space == "logit"]
        arrays = {
            "mean": standardizer.mean[columns],
            "scale": standardizer.scale[columns],
            "pull": np.ascontiguousarray(statistics.pull.T),  # rows are multiplied from the left
            "difference_scale": statistics.difference_scale,
            "low": statistics.low,
            "high": statistics.high,
            "floors": [floor for _, floor in spaces],
        }
        for name, array in arrays.items():
            tensor = torch.as_tensor(array, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)

    def standardise(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return raw statics (B, T, F) standardised, 0 where not valid (B, T)."""
        x = frames.float().masked_fill(~valid[..., None], 0.0)
        if self.log_columns:
            floors = self.floors[self.log_columns]
            x[..., self.log_columns] = x[..., self.log_columns].maximum(floors).log()
        if self.logit_columns:
            floors = self.floors[self.logit_columns]
            x[..., self.logit_columns] = (
                x[..., self.logit_columns].clamp(floors, 1 - floors).logit()
            )
        return ((x - self.mean) / self.scale).masked_fill(~valid[..., None], 0.0)

    def restore(self, x: Tensor) -> Tensor:
        """Return standardised statics (..., F) in raw units."""
        raw = x * self.scale + self.mean
        if self.log_columns:
            raw[..., self.log_columns] = raw[..., self.log_columns].exp()
        if self.logit_columns:
            raw[..., self.logit_columns] = raw[..., self.logit_columns].sigmoid()
        return raw

    def differences(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return x[t] - x[t-1] for standardised x (B, T, F), 0 where either is missing."""
        steps = torch.zeros_like(x)
        both = (valid[:, 1:] & valid[:, :-1])[..., None]
        steps[:, 1:] = (x[:, 1:] - x[:, :-1]) * both
        return steps

    def expected(self, x: Tensor, mean: Tensor) -> Tensor:
        """Return where frames x (..., F) are drawn to next, by the pull of a mean (..., F)."""
        return x + (x - mean) @ self.pull

    def frame_inputs(self, x: Tensor, difference: Tensor, mean: Tensor, movement: Tensor) -> Tensor:
        """Return (..., 2F): statics around a mean, and differences squashed by 2·asinh(d / 2sd)."""
        squashed = 2 * torch.asinh(difference / (2 * self.difference_scale * movement))
        return torch.cat([(x - mean).clamp(-LARGEST_INPUT, LARGEST_INPUT), squashed], -1)

    def anchor(self, x: Tensor, valid: Tensor) -> Anchor:
        """Describe the frames x (B, T, F) of a context."""
        style = self.style(x, valid)
        pairs = (valid[:, 1:] & valid[:, :-1]).sum(1, keepdim=True).float()
        steps = (self.differences(x, valid) / self.difference_scale).square()
        energy = steps.clamp(max=LARGEST_STEP).mean(-1).sum(1, keepdim=True)
        movement = ((energy + PRIOR_MOVEMENT) / (pairs + PRIOR_MOVEMENT)).sqrt()
        return Anchor(style[:, : self.n_features], movement.clamp(*MOVEMENT), style)

    def no_anchor(self, like: Tensor) -> Anchor:
        """Return the anchor of a context that is not looked at, for a batch such as `like`."""
        zeros = like.new_zeros(len(like), self.n_features)
        return Anchor(zeros, torch.ones_like(zeros[:, :1]), zeros[:, :0])

    def style(self, x: Tensor, valid: Tensor) -> Tensor:
        """Describe the frames x (B, T, F): mean, log deviation, log energy of the differences.

        Each is what it would be with `PRIOR_FRAMES` more frames of average training music, so
        that a few frames say little and none at all give zeros.

        Returns
        -------
        Tensor (B, 3F)
        """
        count = valid.sum(1, keepdim=True).float()  # (B, 1)
        weight = count + PRIOR_FRAMES
        mean = x.sum(1) / weight
        centre = x.sum(1) / count.clamp(min=1)
        deviation = (x - centre[:, None]) * valid[..., None]
        variance = (deviation.square().sum(1) + PRIOR_FRAMES) / weight
        pairs = (valid[:, 1:] & valid[:, :-1]).sum(1, keepdim=True).float()
        steps = self.differences(x, valid) / self.difference_scale
        energy = (steps.square().sum(1) + PRIOR_FRAMES) / (pairs + PRIOR_FRAMES)
        mean = mean.clamp(-LARGEST_INPUT, LARGEST_INPUT)
        return torch.cat([mean, 0.5 * variance.log(), 0.5 * energy.log()], -1)

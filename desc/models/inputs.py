"""From raw descriptors to what a network sees: standardised statics, differences, style."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from desc.models.statistics import TrainingStatistics

LARGEST_INPUT = 10.0  # standard deviations; beyond, a recording is of another world anyway
PRIOR_FRAMES = 8.0  # weight of the training music in the style of a recording of a few frames


class FrameSpace(nn.Module):
    """Static descriptors in their unbounded space, standardised; and what is derived from them.

    Buffers come from the training statistics and are not part of the state_dict.
    """

    mean: Tensor
    scale: Tensor
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

    def frame_inputs(self, x: Tensor, difference: Tensor) -> Tensor:
        """Return (..., 2F): statics, and differences squashed by 2·asinh(d / 2sd)."""
        squashed = 2 * torch.asinh(difference / (2 * self.difference_scale))
        return torch.cat([x.clamp(-LARGEST_INPUT, LARGEST_INPUT), squashed], -1)

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

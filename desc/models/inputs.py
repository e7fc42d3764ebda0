"""Context-normalised inputs, as in reversible instance normalisation (RevIN, Kim et al. 2022).

A few dozen recordings have a few dozen timbres, so a network could identify a recording by its
absolute timbre. Frames are therefore centred on the mean of their context and divided by its local
scale. A context far louder or quieter than the training recordings is shifted to their level
first. The context embedding is a further input, with noise in training.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from desc.models.statistics import TrainingStatistics

LARGEST_INPUT = 10.0  # standard deviations at which inputs are clipped
PRIOR_FRAMES = 8.0  # average training frames added to a context for its embedding
PRIOR_SCALE_FRAMES = 32.0  # the same for its local scale
LARGEST_STEP = 50.0  # bound of a squared difference in the local scale, against clicks
LOCAL_SCALE = (0.1, 10.0)  # bounds of the local scale, against held tones and noise
LEAST_CHROMA = 0.5  # of the strongest pitch class of a sound
LEVELS = ("mfcc0", "rms")  # columns that a gain shifts
LARGEST_LEVEL = 1.5  # largest mean level of a context, in standard deviations; 96 % are within


class ContextStatistics(NamedTuple):
    """Statistics of a context, for normalising its frames and their continuation.

    Attributes
    ----------
    mean : Tensor (B, F)
        Mean of the standardised frames.
    local_scale : Tensor (B, 1)
        Root mean square of the frame differences, 1 for average training music.
    embedding : Tensor (B, S)
        Context embedding; S is 0 where `context_size` is 0.
    """

    mean: Tensor
    local_scale: Tensor
    embedding: Tensor


class FrameSpace(nn.Module):
    """Standardised static descriptors in their unbounded space, and the inputs made of them.

    Buffers come from the training statistics and are not part of the state_dict.
    """

    mean: Tensor
    scale: Tensor
    mean_reversion: Tensor
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
        names = standardizer.config.static_names
        self.chroma_columns = [i for i, name in enumerate(names) if name.startswith("chroma")]
        self.level_columns = [i for i, name in enumerate(names) if name in LEVELS]
        arrays = {
            "mean": standardizer.mean[columns],
            "scale": standardizer.scale[columns],
            # Transposed: rows are multiplied from the left.
            "mean_reversion": np.ascontiguousarray(statistics.mean_reversion.T),
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
        x = self.unbounded(frames.float().masked_fill(~valid[..., None], 0.0))
        return ((x - self.mean) / self.scale).masked_fill(~valid[..., None], 0.0)

    def unbounded(self, frames: Tensor) -> Tensor:
        """Return raw statics (..., F) in the space in which they are unbounded."""
        x = frames.float().clone()
        if logs := self.log_columns:
            x[..., logs] = x[..., logs].maximum(self.floors[logs]).log()
        if logits := self.logit_columns:
            floors = self.floors[logits]
            x[..., logits] = x[..., logits].clamp(floors, 1 - floors).logit()
        return x

    def restore(self, x: Tensor) -> Tensor:
        """Return standardised statics (..., F) in raw units."""
        raw = x * self.scale + self.mean
        if self.log_columns:
            raw[..., self.log_columns] = raw[..., self.log_columns].exp()
        if self.logit_columns:
            raw[..., self.logit_columns] = raw[..., self.logit_columns].sigmoid()
        if chroma := self.chroma_columns:
            # The strongest pitch class has 1, but in silence none has.
            largest = raw[..., chroma].amax(-1, keepdim=True)
            raw[..., chroma] /= torch.where(largest > LEAST_CHROMA, largest, 1.0)
        return raw

    def gain(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return the mean level of a context (B, F) where it is unusual, standardised; else 0.

        Only columns of level have one, and only beyond `LARGEST_LEVEL`: a model would continue
        music far below the level of its training recordings too loud. A quiet mean because of
        silence does not count, if a quarter of the frames are louder.

        Parameters
        ----------
        frames : Tensor (B, T, F)
            Statics, raw units.
        valid : Tensor of bool (B, T)
        """
        x = self.standardise(frames, valid)
        # On the CPU, in float64: the sum must not depend on the padding.
        levels = x[..., self.level_columns].cpu().double()
        levels = levels.masked_fill(~valid.cpu()[..., None], math.nan)
        mean, loud = levels.nanmean(1), levels.nanquantile(0.75, dim=1)
        unusual = (mean.abs() > LARGEST_LEVEL) & (loud.abs() > LARGEST_LEVEL)
        gain = torch.zeros_like(x[:, 0])
        gain[:, self.level_columns] = torch.where(unusual, mean, 0.0).float().to(x.device)
        return gain

    def shifted(self, frames: Tensor, shift: Tensor) -> Tensor:
        """Return raw statics (B, T, F) shifted by (B, F), standardised."""
        moved = self.restore((self.unbounded(frames) - self.mean) / self.scale + shift[:, None])
        return torch.where(shift[:, None] == 0, frames, moved)

    def differences(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return x[t] - x[t-1] for standardised x (B, T, F), 0 where either is missing."""
        steps = torch.zeros_like(x)
        both = (valid[:, 1:] & valid[:, :-1])[..., None]
        steps[:, 1:] = (x[:, 1:] - x[:, :-1]) * both
        return steps

    def expected(self, x: Tensor, mean: Tensor) -> Tensor:
        """Return the mean-reverting prediction of the next frame, given x and a mean (..., F)."""
        return x + (x - mean) @ self.mean_reversion

    def frame_inputs(
        self, x: Tensor, difference: Tensor, mean: Tensor, local_scale: Tensor
    ) -> Tensor:
        """Return (..., 2F): statics around a mean, and differences squashed by 2·asinh(d / 2sd)."""
        squashed = 2 * torch.asinh(difference / (2 * self.difference_scale * local_scale))
        return torch.cat([(x - mean).clamp(-LARGEST_INPUT, LARGEST_INPUT), squashed], -1)

    def context_statistics(self, x: Tensor, valid: Tensor) -> ContextStatistics:
        """Return the statistics of the frames x (B, T, F) of a context.

        The embedding is the mean, log deviation and log energy of the differences, (B, 3F). All
        are shrunk towards average training music as by `PRIOR_FRAMES` more frames of it
        (`PRIOR_SCALE_FRAMES` for the local scale); no frames at all give zeros, and scale 1.
        """
        count = valid.sum(1, keepdim=True).float()  # (B, 1)
        pairs = (valid[:, 1:] & valid[:, :-1]).sum(1, keepdim=True).float()
        weight = count + PRIOR_FRAMES
        mean = (x.sum(1) / weight).clamp(-LARGEST_INPUT, LARGEST_INPUT)
        centre = x.sum(1) / count.clamp(min=1)
        deviation = (x - centre[:, None]) * valid[..., None]
        variance = (deviation.square().sum(1) + PRIOR_FRAMES) / weight
        steps = (self.differences(x, valid) / self.difference_scale).square()
        energy = (steps.sum(1) + PRIOR_FRAMES) / (pairs + PRIOR_FRAMES)
        bounded = steps.clamp(max=LARGEST_STEP).mean(-1).sum(1, keepdim=True)
        local_scale = ((bounded + PRIOR_SCALE_FRAMES) / (pairs + PRIOR_SCALE_FRAMES)).sqrt()
        embedding = torch.cat([mean, 0.5 * variance.log(), 0.5 * energy.log()], -1)
        return ContextStatistics(mean, local_scale.clamp(*LOCAL_SCALE), embedding)

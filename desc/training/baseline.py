"""Linear baseline of a run, and statistics of its recordings that evaluation needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from desc.descriptors.sequence import DescriptorSequence
from desc.metrics.windows import WINDOW_LENGTH, window_features
from desc.models.base import DescriptorModel
from desc.models.heads import DETERMINISTIC
from desc.models.statistics import StandardisedStatics, silent_frames
from desc.models.var import VectorAutoregression
from desc.scoring.reference_scales import VAR_PREFIX
from desc.training.data import comparable_frames, standardised

Array = npt.NDArray[np.float64]

MAX_WINDOWS = 200_000
"""Windows that scales are measured on: those of 60 hours of audio."""


def fit_baseline(
    training: Sequence[DescriptorSequence],
    validation: Sequence[DescriptorSequence],
    model: DescriptorModel,
) -> tuple[dict[str, Array], dict[str, float]]:
    """Fit the linear baseline on the training recordings and score the validation recordings.

    Returns
    -------
    arrays : dict of str to ndarray
        For `statistics.npz`: `window_mean` and `window_spread` (3F,) of
        `desc.metrics.window_features` over the training recordings; and `var_…`, the arrays of
        the linear baseline.
    figures : dict of str to float
        For the run's metrics: `var_loss`, the mean score over the comparable validation frames, in
        the unit of the model's loss: nats per frame, or half a squared error for the head `mse`;
        NaN without such frames. Nats also as `var_nll`.
    """
    statistics = model.statistics
    statics = StandardisedStatics(training, statistics.standardizer)
    var = VectorAutoregression.fit(statics, statistics.low, statistics.high)
    arrays = {VAR_PREFIX + name: array for name, array in vars(var).items()}
    features = _features(statics, model)
    arrays |= {"window_mean": features.mean(0), "window_spread": features.std(0)}
    scores = [
        _scores(var, standardised(s, model), model)[counted[var.order :]]
        for s, counted in zip(validation, comparable_frames(validation, model), strict=True)
    ]
    every = np.concatenate(scores)
    loss = float(every.mean()) if len(every) else math.nan
    return arrays, figures("var", loss, model.model_config.head)


def figures(name: str, loss: float, head: str) -> dict[str, float]:
    """Return a mean score under its names in a run's metrics."""
    return {f"{name}_loss": loss} | ({} if head == DETERMINISTIC else {f"{name}_nll": loss})


def _scores(var: VectorAutoregression, x: Array, model: DescriptorModel) -> Array:
    """Return the baseline's scores of the frames of x (T, F), from number `order` on."""
    if len(x) <= var.order:
        return np.zeros(0)
    if model.model_config.head == DETERMINISTIC:
        squared: Array = 0.5 * ((x[var.order :] - var.predict(x)) ** 2).sum(1)
        return squared
    return var.nll(x)


def _features(statics: Sequence[Array], model: DescriptorModel) -> Array:
    """Return the features of the training windows without silence, or of all if each has some.

    A recording shorter than a window counts as one window, so there is at least one. Of more than
    `MAX_WINDOWS`, evenly spaced ones are taken.
    """
    kept, every = [], []
    lengths = [len(x) for x in statics]
    n_windows = sum(max(1, 2 * n // WINDOW_LENGTH) for n in lengths)
    stride = -(-n_windows // MAX_WINDOWS)
    for x in statics:
        length = min(WINDOW_LENGTH, len(x))
        step = max(1, length // 2) * stride
        features = window_features(x, length, step)
        silent = silent_frames(x, model.descriptor_config)
        starts = np.arange(len(features)) * step
        sounding = [not silent[start : start + length].any() for start in starts]
        every.append(features)
        kept.append(features[np.array(sounding, dtype=bool)])
    return np.concatenate(kept if any(map(len, kept)) else every)

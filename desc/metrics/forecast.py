"""Scores of a forecast against the real continuation, frame by frame."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def skill(prediction: npt.ArrayLike, target: npt.ArrayLike, last: npt.ArrayLike) -> float:
    """Return 1 - MSE / MSE(persistence) of one-step predictions.

    Reference: 0 for persistence, about .17 for any model of music so far, 1 is perfect. Failure
    modes: inputs that contain the future (centred deltas give 1.000); continuations that go flat,
    because the best point forecast hardly moves.

    Parameters
    ----------
    prediction, target, last : array_like, (n, F)
        Predicted frames, real frames, and the frame before each. Complete frames only.

    Returns
    -------
    float
        At most 1; NaN if nothing changes.
    """
    y = np.asarray(target, dtype=np.float64)
    error = float(((np.asarray(prediction) - y) ** 2).sum())
    persistence = float(((np.asarray(last) - y) ** 2).sum())
    return 1 - error / persistence if persistence > 0 else math.nan


def mean_nll(scores: npt.ArrayLike, counted: npt.ArrayLike | None = None) -> float:
    """Return the mean negative log-density per frame, in nats.

    Reference: the entropy rate of the music, which is unknown; a linear model has about 2. Frames
    of digital silence have unbounded density, so leave them out. Failure mode: a model with the
    best density may have the worst continuations.

    Parameters
    ----------
    scores : array_like, (n,)
        Negative log-density of each frame given the preceding ones, standardised, in nats.
    counted : array_like of bool, (n,), optional
        Frames to average over, without digital silence.

    Returns
    -------
    float
        NaN without frames.
    """
    x = np.asarray(scores, dtype=np.float64)
    if counted is not None:
        x = x[np.asarray(counted, dtype=bool)]
    return float(x.mean()) if len(x) else math.nan


def crps(samples: npt.ArrayLike, real: npt.ArrayLike) -> float:
    """Return the continuous ranked probability score: mean |x - y| - ½ mean |x - x'|.

    The second mean is over pairs of different samples, which makes the estimate fair: its
    expectation does not depend on their number (Ferro 2014). With one sample it is the mean
    absolute error, right for a point forecast only. Reference: the score of the true distribution,
    which is unknown; compare with the baselines. Failure mode: at long horizons, frames drawn at
    random from the context; read it with `diff_ratio` and the Fréchet distance.

    Parameters
    ----------
    samples : array_like, (M, n, F)
        Independent draws.
    real : array_like, (n, F)

    Returns
    -------
    float
        In standard deviations, averaged over n and F; lower is better.
    """
    x, y = _forecast(samples, real)
    error = float(np.abs(x - y).mean())
    if len(x) == 1:
        return error
    # Of sorted samples: Σ_{i<j} (x_j - x_i) = Σ_i (2i - M + 1) x_i.
    weight = 2 * np.arange(len(x)) - len(x) + 1
    pairs = np.tensordot(weight, np.sort(x, axis=0), axes=1).mean()
    return error - float(pairs) / (len(x) * (len(x) - 1))


def energy_score(samples: npt.ArrayLike, real: npt.ArrayLike) -> float:
    """Return the energy score: `crps` with the euclidean distance of whole frames.

    Unlike `crps` it measures the dependence between columns (Gneiting & Raftery 2007). Reference
    and failure mode are those of `crps`.

    Parameters
    ----------
    samples : array_like, (M, n, F)
    real : array_like, (n, F)

    Returns
    -------
    float
        In standard deviations times √F; lower is better.
    """
    x, y = _forecast(samples, real)
    error = float(np.linalg.norm(x - y, axis=-1).mean())
    return error if len(x) == 1 else error - 0.5 * _between(x)


def spread(samples: npt.ArrayLike, real: npt.ArrayLike) -> float:
    """Return the mean distance between samples over their distance from the real frames.

    Reference: 1; a point forecast has 0, and above 1 the samples differ too much. Failure mode: a
    forecast of the right width that ignores the context.

    Parameters
    ----------
    samples : array_like, (M, n, F)
        At least two, else the result is NaN.
    real : array_like, (n, F)
    """
    x, y = _forecast(samples, real)
    error = float(np.linalg.norm(x - y, axis=-1).mean())
    return _between(x) / error if len(x) > 1 and error > 0 else math.nan


def _forecast(samples: npt.ArrayLike, real: npt.ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(samples, dtype=np.float64), np.asarray(real, dtype=np.float64)
    if x.ndim != 3 or x.shape[1:] != y.shape or not len(x):
        raise ValueError(f"samples of shape {x.shape} must be (M,) + real's shape {y.shape}")
    return x, y


def _between(x: Array) -> float:
    """Return the mean distance between different samples of x (M, n, F)."""
    m = len(x)
    pairs = [np.linalg.norm(x[i + 1 :] - x[i], axis=-1).sum() for i in range(m - 1)]
    return 2 * float(np.sum(pairs)) / float(m * (m - 1) * x.shape[1])

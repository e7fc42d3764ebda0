"""One-second windows: their features, and the distance to the nearest training window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WINDOW_LENGTH = 43  # frames, 1 s at the default frame rate
BLOCK = 1024  # windows described at once, which bounds the memory
SEARCH_BLOCK = 2048  # reference windows compared at once: 4.6 MB of 43 × 13 float32 numbers
MOST_WINDOWS = 256  # windows compared, of all excerpts: enough for a median
FLOOR = 0.02  # in standard deviations; less movement counts as none


def window_features(
    z: npt.ArrayLike, length: int = WINDOW_LENGTH, step: int | None = None
) -> Array:
    """Compute level, spread and movement of each window of a sequence.

    Parameters
    ----------
    z : array_like, (T, F)
        Standardised static descriptors of one recording, consecutive frames.
    length : int
        Frames per window, at least 2.
    step : int, optional
        Frames from one window to the next, at least 1; by default half a window.

    Returns
    -------
    ndarray of float64, (n, 3F)
        Per window, for each column: the mean; log(standard deviation + 0.02); log(root mean
        square of the first difference + 0.02). n is 0 if T < length.

    Raises
    ------
    ValueError
        If `length` or `step` is too small, or z is not (T, F).

    Examples
    --------
    >>> import numpy as np
    >>> line = np.arange(5.0)[:, None]
    >>> window_features(line, length=5).round(3)
    array([[2.   , 0.361, 0.02 ]])
    """
    z = np.asarray(z, dtype=np.float64)
    step = max(1, length // 2) if step is None else step
    if z.ndim != 2:
        raise ValueError(f"z of shape {z.shape} must be (T, F)")
    if length < 2 or step < 1:
        raise ValueError(f"length={length} must be at least 2 and step={step} at least 1")
    n = max(0, (len(z) - length) // step + 1)
    features = np.empty((n, 3 * z.shape[1]))
    if n == 0:
        return features
    windows = np.lib.stride_tricks.sliding_window_view(z, length, axis=0)[::step]  # (n, F, length)
    for first in range(0, n, BLOCK):
        x = windows[first : first + BLOCK]
        motion = np.sqrt(np.mean(np.diff(x, axis=-1) ** 2, axis=-1))
        parts = [x.mean(-1), np.log(x.std(-1) + FLOOR), np.log(motion + FLOOR)]
        features[first : first + BLOCK] = np.concatenate(parts, axis=1)
    return features


def nearest_windows(
    windows: npt.ArrayLike, reference: npt.ArrayLike
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Find for each window the stretch of a recording that is nearest to it.

    Parameters
    ----------
    windows : array_like, (n, L, F)
    reference : array_like, (T, F)
        Consecutive frames; a stretch may begin at any of them.

    Returns
    -------
    distance : ndarray of float64, (n,)
        Root mean square difference over L and F; infinite where T < L. Exactly 0 for a copy.
    start : ndarray of int64, (n,)
        First frame of the nearest stretch, -1 where there is none.
    """
    x = np.asarray(windows, dtype=np.float64)
    y = np.asarray(reference, dtype=np.float64)
    n, length = x.shape[:2]
    distance, start = np.full(n, np.inf), np.full(n, -1, dtype=np.int64)
    if len(y) < length:
        return distance, start
    flat = x.transpose(0, 2, 1).reshape(n, -1)
    single = flat.astype(np.float32)
    stretches = np.lib.stride_tricks.sliding_window_view(y, length, axis=0)  # (n, F, L)
    for first in range(0, len(stretches), SEARCH_BLOCK):
        block = stretches[first : first + SEARCH_BLOCK].astype(np.float32)
        block = block.reshape(len(block), -1)
        score = (block**2).sum(1) - 2 * single @ block.T  # + |x|², which decides nothing
        best = first + score.argmin(1)
        # Single precision chooses, double precision measures.
        exact = stretches[best].reshape(n, -1)
        found = np.sqrt(((flat - exact) ** 2).mean(1))
        nearer = found < distance
        distance[nearer], start[nearer] = found[nearer], best[nearer]
    return distance, start


def novelty(
    generated: npt.ArrayLike,
    contexts: npt.ArrayLike,
    training: Sequence[npt.NDArray[np.floating]],
    length: int = WINDOW_LENGTH,
) -> float:
    """Return the median distance of windows to the nearest window known to the model.

    The known windows are those of the training recordings and of the excerpt's own context.
    Reference: .57; a copy or a loop has 0. Failure mode: noise, which is new; read it with the
    Fréchet distance.

    Parameters
    ----------
    generated : array_like, (E, T, F)
        Continuations; up to 256 evenly spaced windows of all of them are searched for.
    contexts : array_like, (E, C, F)
    training : sequence of ndarray, (T, F)
        The training recordings.
    length : int
        Frames per window.

    Returns
    -------
    float
        Root mean square difference in standard deviations; NaN where T < length.
    """
    x = np.asarray(generated, dtype=np.float64)
    known = np.asarray(contexts, dtype=np.float64)
    places = [(e, t) for e in range(len(x)) for t in range(0, x.shape[1] - length + 1, length)]
    if not places:
        return math.nan
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_WINDOWS)).astype(int))
    places = [places[i] for i in chosen]
    windows = np.stack([x[e, t : t + length] for e, t in places])
    excerpt = np.array([e for e, _ in places])
    distance = np.full(len(windows), np.inf)
    for e in np.unique(excerpt):
        mine = excerpt == e
        distance[mine] = nearest_windows(windows[mine], known[e])[0]
    for recording in training:
        distance = np.minimum(distance, nearest_windows(windows, recording)[0])
    finite = distance[np.isfinite(distance)]
    return float(np.median(finite)) if len(finite) else math.nan

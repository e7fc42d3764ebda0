"""Novelty of continuations: distance to the training recordings and the context."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from desc.metrics.windows import WINDOW_LENGTH

Array = npt.NDArray[np.float64]

BLOCK = 2048  # reference windows compared at once: 4.6 MB of 43 × 13 float32 numbers
MOST_WINDOWS = 256  # of all excerpts: enough for a median


def nearest_windows(
    windows: npt.ArrayLike, reference: npt.ArrayLike
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Find the stretch of a recording nearest to each window.

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
    for first in range(0, len(stretches), BLOCK):
        block = stretches[first : first + BLOCK].astype(np.float32)
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
    """Return the median distance of windows to the nearest known one.

    Known windows are those of the training recordings and of the excerpt's own context. Reference:
    .57 for the real continuation; a copy or a loop has 0. Failure mode: noise, which is new. Read
    it together with the Fréchet distance.

    Parameters
    ----------
    generated : array_like, (E, T, F)
        Continuations; at most 256 evenly spaced windows of them are used.
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
    heard = np.asarray(contexts, dtype=np.float64)
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
        distance[mine] = nearest_windows(windows[mine], heard[e])[0]
    for recording in training:
        distance = np.minimum(distance, nearest_windows(windows, recording)[0])
    finite = distance[np.isfinite(distance)]
    return float(np.median(finite)) if len(finite) else math.nan

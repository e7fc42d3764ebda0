"""Features of one-second windows: level and movement of each descriptor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WINDOW_LENGTH = 43  # frames, 1 s at the default frame rate
BLOCK = 1024  # windows described at once, which bounds the memory
FLOOR = 0.02  # standard deviations: less movement is negligible


def window_features(
    z: npt.ArrayLike, length: int = WINDOW_LENGTH, step: int | None = None
) -> npt.NDArray[np.float64]:
    """Return mean, spread and movement of each column in windows of a sequence.

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

"""Deltas of the MFCC: the slope and the curvature of each coefficient over nine frames.

They are `librosa.feature.delta` of order 1 and 2 with its defaults, that is Savitzky-Golay
filters: a line (a parabola) is fitted to nine frames by least squares, and its derivative taken.
The first and the last four frames have the derivative of the fit nearest to them.

With fewer than nine frames, which librosa refuses, the fit uses the largest possible odd number of
frames, at least three, so the delta of a line is still its slope. One or two frames have deltas of
zero.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from desc.descriptors.config import DescriptorConfig
from desc.errors import ConfigurationError

WIDTH = 9
"""Frames of a fit."""


def append_deltas(
    static: npt.NDArray[np.float32], config: DescriptorConfig
) -> npt.NDArray[np.float32]:
    """Return all columns, given the static ones.

    Parameters
    ----------
    static : ndarray of float32, (T, F)
        Columns as `config.static_names`.
    config : DescriptorConfig
        Settings of the columns.

    Returns
    -------
    ndarray of float32, (T, D)
        Columns as `config.names`.

    Raises
    ------
    ConfigurationError
        If there are not F columns.
    """
    if static.ndim != 2 or static.shape[1] != len(config.static_columns):
        raise ConfigurationError(
            f"static columns of shape {static.shape} must be (T, {len(config.static_columns)})"
        )
    values = np.empty((len(static), config.n_columns), np.float32)
    values[:, config.static_columns] = static
    if "mfcc" in config.groups:
        mfcc = values[:, _columns(config, "mfcc")].astype(np.float64)
        values[:, _columns(config, "delta")] = delta(mfcc, 1)
        values[:, _columns(config, "delta2")] = delta(mfcc, 2)
    return values


def _columns(config: DescriptorConfig, group: str) -> slice:
    columns = config.groups[group]
    return slice(columns[0], columns[-1] + 1)


def delta(values: npt.NDArray[np.float64], order: int) -> npt.NDArray[np.float64]:
    """Return the first or second derivative per frame of columns (T, F), fitted as above."""
    n_frames = len(values)
    width = min(WIDTH, n_frames - 1 + n_frames % 2)
    if width < 3:
        return np.zeros_like(values)
    half = width // 2
    n_fits = n_frames - 2 * half
    inner = np.zeros((n_fits, values.shape[1]))
    for offset, weight in enumerate(_weights(width, order)):
        inner += weight * values[offset : offset + n_fits]
    # A line has one slope and a parabola one curvature, so the ends repeat the fit next to them.
    return np.concatenate([inner[:1].repeat(half, 0), inner, inner[-1:].repeat(half, 0)])


@lru_cache(maxsize=16)
def _weights(width: int, order: int) -> tuple[float, ...]:
    """Return the weights of `width` frames in the derivative of their least-squares polynomial."""
    position = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(position, order + 1, increasing=True))
    return tuple(map(float, fit[order] * math.factorial(order)))

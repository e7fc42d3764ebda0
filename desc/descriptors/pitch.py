"""Pitch by YIN, in batches of frames.

de Cheveigné & Kawahara (2002), YIN, a fundamental frequency estimator for speech and music. The
steps and their precision are those of `librosa.yin`, because single rounding errors can change
the chosen lag; only unneeded steps are left out.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from desc.errors import ConfigurationError

Array = npt.NDArray[np.float32]

LOWEST_HZ, HIGHEST_HZ = 55.0, 2000.0
_TROUGH = 0.1
"""The first trough of the difference below this is the period: librosa's `trough_threshold`."""
VOICED = 0.5
"""Voicing from which a frame counts as voiced.

The normalised difference at the period is about the share of the power that does not repeat, so
at least half of the power of a voiced frame is periodic. White noise has about .15, silence 0. A
pure tone has nearly 1, less only where the window holds few periods (60 Hz in 46 ms: .8).
"""
_BEFORE_VOICED = math.log2(math.sqrt(LOWEST_HZ * HIGHEST_HZ))
"""Pitch held before the first voiced frame: the middle of the range, as nothing is known yet."""


def yin(frames: Array, sample_rate: int) -> Array:
    """Return pitch and voicing of frames.

    Parameters
    ----------
    frames : ndarray of float32, (B, n_fft)
        Samples, without a window.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray of float32, (B, 2)
        log2 of the pitch in Hz, from 55 to 2000 Hz or half the rate, as `librosa.yin`; and
        1 - the normalised difference at the lag chosen, clipped to 0 … 1, 0 of silence.

    Raises
    ------
    ConfigurationError
        If the frames are too short for three lags.
    """
    shortest, longest = _lags(frames.shape[1], sample_rate)
    difference, silent = _normalised_difference(frames, shortest, longest)
    index = _chosen_lag(difference)
    rows = np.arange(len(frames))
    period = shortest + index + _parabolic_shift(difference, rows, index)
    voicing = np.clip(1 - difference[rows, index], 0, 1)
    voicing[silent] = 0
    return np.stack([np.log2(sample_rate / period), voicing], axis=1).astype(np.float32)


def hold_unvoiced(values: Array) -> Array:
    """Return pitch and voicing (T, 2) with the pitch of unvoiced frames that of the last voiced.

    A frame is voiced where its voicing is at least `VOICED`. Before the first voiced frame the
    pitch is the middle of the range: later frames do not influence earlier ones.
    """
    held = values.copy()
    voiced = values[:, 1] >= VOICED
    last = np.maximum.accumulate(np.where(voiced, np.arange(len(values)), -1))
    held[:, 0] = np.where(last >= 0, values[last, 0], np.float32(_BEFORE_VOICED))
    return held


def _lags(n_fft: int, sample_rate: int) -> tuple[int, int]:
    shortest = math.floor(sample_rate / min(HIGHEST_HZ, sample_rate / 2))
    longest = min(math.ceil(sample_rate / LOWEST_HZ), n_fft - 1)
    if longest < shortest + 2:
        raise ConfigurationError(
            f"n_fft={n_fft} must be above {shortest + 2} for f0 at {sample_rate} Hz"
        )
    return shortest, longest


def _normalised_difference(
    frames: Array, shortest: int, longest: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the cumulative mean normalised difference (equation 8) at the lags, and silence."""
    import scipy.fft

    n_fft = frames.shape[1]
    n_padded = scipy.fft.next_fast_len(2 * n_fft - 1, real=True)
    spectrum = scipy.fft.rfft(frames, n=n_padded, axis=1)
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    correlation: Array = scipy.fft.irfft(power, n=n_padded, axis=1)[:, : longest + 1]
    energy = np.cumsum(np.square(frames[:, :longest]), axis=1)
    difference = 2 * (correlation[:, :1] - correlation[:, 1:]) - energy  # lags 1 … longest
    mean = np.cumsum(difference, axis=1) / np.arange(1, longest + 1)
    mean = mean[:, shortest - 1 :]
    return difference[:, shortest - 1 :] / (mean + np.finfo(np.float64).tiny), mean[:, -1] == 0


def _chosen_lag(difference: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the first trough below the threshold, else the global minimum, (B,) indices."""
    below = difference < _TROUGH
    trough = below.copy()
    trough[:, 1:] &= difference[:, 1:] < difference[:, :-1]
    trough[:, 1:-1] &= difference[:, 1:-1] <= difference[:, 2:]
    trough[:, 0] &= difference[:, 0] < difference[:, 1]
    return np.where(trough.any(1), trough.argmax(1), difference.argmin(1))


def _parabolic_shift(
    difference: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], index: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Return where between its neighbours the minimum lies; 0 at the ends and beyond a lag."""
    last = difference.shape[1] - 1
    before = difference[rows, np.maximum(index - 1, 0)]
    after = difference[rows, np.minimum(index + 1, last)]
    curvature = after + before - 2 * difference[rows, index]
    slope = (after - before) / 2
    usable = (index > 0) & (index < last) & (np.abs(slope) < np.abs(curvature))
    return np.where(usable, -slope / np.where(usable, curvature, 1), 0.0)

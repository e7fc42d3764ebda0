"""Amount, speed and persistence of movement, compared with real music."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from desc.metrics.windows import FLOOR

Array = npt.NDArray[np.float64]

TAIL_FRAMES = 256  # at the end of a continuation: 6 s, where a model that fades has faded
ACF_LAGS = 128  # frames, 3 s
LOWEST_RATIO = 1e-3  # or one constant excerpt would make the geometric mean 0
MODULATION_HZ = (0.15, 21.5)
N_BANDS = 8
LARGEST_DB = 80.0  # the difference of a constant, which would be infinite


def tail_std(generated: npt.ArrayLike, real: npt.ArrayLike, frames: int = TAIL_FRAMES) -> float:
    """Return the geometric mean of std(last frames generated) / std(last frames real).

    The mean is over excerpts and columns. Those with a real standard deviation below .02 (silence)
    are left out; ratios below .001 count as .001. Reference: 1; a flat line has .001. Failure
    modes: white noise of the right variance, and a loop.

    Parameters
    ----------
    generated, real : array_like, (E, T, F)
        Continuations by the model and in reality; the lengths may differ.
    frames : int
        Number of frames at the end to use.

    Returns
    -------
    float
        NaN if the real music is silent.
    """
    x, y = _excerpts(generated)[:, -frames:], _excerpts(real)[:, -frames:]
    return _geometric_ratio(x.std(1), y.std(1))


def diff_ratio(generated: npt.ArrayLike, real: npt.ArrayLike) -> float:
    """Return the geometric mean of the ratio of root mean square first differences.

    The mean is over excerpts and columns, as in `tail_std`. Reference: 1; shuffled frames have 3,
    a slow drift less than 1. Failure mode: a loop.

    Parameters
    ----------
    generated, real : array_like, (E, T, F)

    Returns
    -------
    float
    """
    rms = [np.sqrt((np.diff(_excerpts(a), axis=1) ** 2).mean(1)) for a in (generated, real)]
    return _geometric_ratio(rms[0], rms[1])


def _geometric_ratio(x: Array, y: Array) -> float:
    moving = y >= FLOOR
    if not moving.any():
        return math.nan
    ratio = np.maximum(x[moving] / y[moving], LOWEST_RATIO)
    return float(np.exp(np.log(ratio).mean()))


def autocorrelation(x: npt.ArrayLike, lags: int = ACF_LAGS) -> Array:
    """Return the mean autocorrelation of excerpts at lags 1 … `lags`.

    Parameters
    ----------
    x : array_like, (E, T, F)
    lags : int
        At most T - 1 are used.

    Returns
    -------
    ndarray of float64, (lags, F)
        Each excerpt and column is centred and divided by its variance; 0 for a constant.
    """
    excerpts = _excerpts(x)
    n = excerpts.shape[1]
    lags = min(lags, n - 1)
    spectrum = np.fft.rfft(excerpts - excerpts.mean(1, keepdims=True), 2 * n, axis=1)
    products = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : lags + 1]
    energy = products[:, :1]
    still = energy <= n * 1e-12  # a standard deviation of 1e-6
    return np.where(still, 0.0, products / np.where(still, 1.0, energy))[:, 1:].mean(0)


def acf_distance(generated: npt.ArrayLike, real: npt.ArrayLike, lags: int = ACF_LAGS) -> float:
    """Return the mean absolute difference of autocorrelations at lags 1, 2, 4 … `lags`.

    The lags are an octave apart, so that fast and slow movement count equally. Reference: about
    .03 with 30 to 42 excerpts of 512 frames, less with more; a flat line has .4 to .5. Failure
    mode: a loop.

    Parameters
    ----------
    generated, real : array_like, (E, T, F)
    lags : int
        The longest lag in frames.

    Returns
    -------
    float
        From 0 to 2.
    """
    x, y = autocorrelation(generated, lags), autocorrelation(real, lags)
    octaves = 2 ** np.arange(min(len(x), len(y)).bit_length()) - 1
    return float(np.abs(x[octaves] - y[octaves]).mean())


def modulation_spectrum(x: npt.ArrayLike, frame_rate: float) -> tuple[Array, Array]:
    """Return the power of movement in 8 bands from .15 to 21.5 Hz.

    Parameters
    ----------
    x : array_like, (E, T, F)
    frame_rate : float
        In Hz.

    Returns
    -------
    centres : ndarray, (n,)
        Geometric centres of the bands in Hz; bands without a bin of the spectrum are left out.
    power : ndarray, (n, F)
        Mean over excerpts, each centred on its mean and weighted by a Hann window.
    """
    excerpts = _excerpts(x)
    n = excerpts.shape[1]
    centred = (excerpts - excerpts.mean(1, keepdims=True)) * np.hanning(n)[:, None]
    power = (np.abs(np.fft.rfft(centred, axis=1)) ** 2).mean(0) / n  # (bins, F)
    frequency = np.fft.rfftfreq(n, 1 / frame_rate)
    edges = np.geomspace(*MODULATION_HZ, N_BANDS + 1)
    band = np.digitize(frequency, edges) - 1
    used = [b for b in range(N_BANDS) if (band == b).any()]
    centres = np.sqrt(edges[:-1] * edges[1:])[used]
    bands = np.array([power[band == b].mean(0) for b in used]).reshape(len(used), excerpts.shape[2])
    return centres, bands


def modspec_db(generated: npt.ArrayLike, real: npt.ArrayLike, frame_rate: float) -> float:
    """Return the mean absolute difference of modulation spectra in dB.

    The bands are those of `modulation_spectrum`. Reference: .63 dB with 42 excerpts; a flat line
    has 80. Failure modes: a loop, and noise of the right colour.

    Parameters
    ----------
    generated, real : array_like, (E, T, F)
        Of equal length T.
    frame_rate : float
        In Hz.

    Returns
    -------
    float
        In dB, without columns that are constant in the real music.
    """
    x = modulation_spectrum(generated, frame_rate)[1]
    y = modulation_spectrum(real, frame_rate)[1]
    moving = y > FLOOR**2 * 1e-4
    if x.shape != y.shape or not moving.any():
        return math.nan
    ratio = np.maximum(x[moving] / y[moving], 10 ** (-LARGEST_DB / 10))
    return float(np.minimum(np.abs(10 * np.log10(ratio)), LARGEST_DB).mean())


def _excerpts(x: npt.ArrayLike) -> Array:
    array = np.asarray(x, dtype=np.float64)
    if array.ndim != 3 or array.shape[1] < 2:
        raise ValueError(f"excerpts of shape {array.shape} must be (E, T, F), T at least 2")
    return array

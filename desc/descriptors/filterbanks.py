"""Filter banks over the bins of a spectrum: mel, chroma, and the cosine transform of the MFCC.

The definitions are librosa's, so that descriptors are (Slaney 1998, Auditory Toolbox, for mel;
Ellis 2007, Chroma feature analysis and synthesis, for chroma). They are reimplemented because
`librosa.filters` loads numba: 1.3 s and 130 MB in every process that extracts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_MEL_BREAK_HZ, _HZ_PER_MEL = 1000.0, 200.0 / 3  # Slaney: linear below, logarithmic above
_LOG_STEP = np.log(6.4) / 27  # 27 mel from 1000 to 6400 Hz
BAND_SIZE = 8  # mel filters applied at once


def mel_to_hz(mel: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return frequencies in Hz of positions on Slaney's mel scale."""
    mel = np.asarray(mel, np.float64)
    above = mel - _MEL_BREAK_HZ / _HZ_PER_MEL
    return np.where(above < 0, mel * _HZ_PER_MEL, _MEL_BREAK_HZ * np.exp(_LOG_STEP * above))


def hz_to_mel(frequency: float) -> float:
    """Undo `mel_to_hz`."""
    if frequency < _MEL_BREAK_HZ:
        return frequency / _HZ_PER_MEL
    return float(_MEL_BREAK_HZ / _HZ_PER_MEL + np.log(frequency / _MEL_BREAK_HZ) / _LOG_STEP)


@lru_cache(maxsize=8)
def mel_filters(
    sample_rate: int, n_fft: int, n_mels: int, fmin: float = 0.0, fmax: float | None = None
) -> Array:
    """Return triangles of equal area on the mel scale from `fmin` to `fmax`, else half the rate.

    Returns
    -------
    ndarray of float32, (n_mels, 1 + n_fft // 2)
        Equal to `librosa.filters.mel`.
    """
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    highest = sample_rate / 2 if fmax is None else fmax
    edges = mel_to_hz(np.linspace(hz_to_mel(fmin), hz_to_mel(highest), n_mels + 2))
    distance = edges[:, None] - bins
    widths = np.diff(edges)[:, None]
    rising, falling = -distance[:-2] / widths[:-1], distance[2:] / widths[1:]
    weights = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    area = (2 / (edges[2:] - edges[:-2]))[:, None]
    return (weights * area).astype(np.float32)


@lru_cache(maxsize=8)
def chroma_filters(sample_rate: int, n_fft: int) -> Array:
    """Return the weight of each bin in each of the pitch classes C, C♯ … B; A4 is 440 Hz.

    Every bin is a Gaussian bump over the classes with euclidean norm 1, times a bump over the
    octaves around C5 (its deviation is two octaves).

    Returns
    -------
    ndarray of float32, (12, 1 + n_fft // 2)
        Equal to `librosa.filters.chroma` with `tuning=0`.
    """
    frequencies = np.linspace(0, sample_rate, n_fft, endpoint=False)[1:]
    pitches = 12 * np.log2(frequencies / (440.0 / 16))  # semitones above A0
    pitches = np.concatenate([[pitches[0] - 18], pitches])  # 0 Hz: half an octave off bin 1
    widths = np.concatenate([np.maximum(np.diff(pitches), 1.0), [1.0]])
    distance = np.remainder(pitches - np.arange(12)[:, None] + 126, 12) - 6
    weights = np.exp(-0.5 * (2 * distance / widths) ** 2)
    norm = np.sqrt((weights**2).sum(0))
    weights /= np.where(norm < np.finfo(np.float64).tiny, 1.0, norm)
    weights *= np.exp(-0.5 * ((pitches / 12 - 5) / 2) ** 2)
    weights = np.roll(weights, -3, axis=0)  # from A to C
    return np.ascontiguousarray(weights[:, : 1 + n_fft // 2], np.float32)


@lru_cache(maxsize=8)
def cosine_transform(n_mels: int, n_mfcc: int) -> npt.NDArray[np.float64]:
    """Return the first columns of the orthonormal DCT-II, (n_mels, n_mfcc)."""
    angle = np.pi / n_mels * np.outer(np.arange(n_mels) + 0.5, np.arange(n_mfcc))
    transform: npt.NDArray[np.float64] = np.sqrt(2 / n_mels) * np.cos(angle)
    transform[:, 0] /= np.sqrt(2)
    return transform


@lru_cache(maxsize=8)
def _mel_bands(sample_rate: int, n_fft: int, n_mels: int) -> tuple[tuple[slice, slice, Array], ...]:
    """Split `mel_filters` into bands: filters, the bins they touch, and weights (bins, filters)."""
    weights = mel_filters(sample_rate, n_fft, n_mels)
    bands = []
    for start in range(0, n_mels, BAND_SIZE):
        filters = slice(start, min(start + BAND_SIZE, n_mels))
        touched = np.flatnonzero(weights[filters].any(0))
        bins = slice(touched[0], touched[-1] + 1) if len(touched) else slice(0, 1)
        bands.append((filters, bins, np.ascontiguousarray(weights[filters, bins].T)))
    return tuple(bands)


def mel_spectrum(power: Array, sample_rate: int, n_fft: int, n_mels: int) -> Array:
    """Return the mel spectrum (B, n_mels) of a power spectrum (B, 1 + n_fft // 2).

    A mel filter of 128 touches about 16 of 1025 bins. Products of a few neighbouring filters with
    the bins that they touch take a fifth of the time of the whole matrix.
    """
    result = np.empty((len(power), n_mels), np.float32)
    for filters, bins, weights in _mel_bands(sample_rate, n_fft, n_mels):
        result[:, filters] = power[:, bins] @ weights
    return result


@lru_cache(maxsize=8)
def hann_window(n_fft: int, dtype: type[np.floating[Any]] = np.float32) -> npt.NDArray[Any]:
    """Return the periodic Hann window, (n_fft,)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return window.astype(dtype)

"""Metrics on sound itself: chroma, onset strength, level, and how clean its joins are."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from desc.audio import Audio

Array = npt.NDArray[np.float64]

CHROMA_FFT, CHROMA_HZ = 4096, (100.0, 2000.0)
A4_HZ = 440.0
ONSET_FFT, ONSET_HOP, ONSET_BANDS = 512, 256, 96
FLUX_FFT, FLUX_HOP = 256, 64
NEAR_S = 0.008
"""Seconds about a join that count as its own: the fade and its windows."""
DIP_S, AROUND_S, DIP = 0.005, 0.025, 0.5
"""Half of what is compared at a join and about it, seconds; the share of power that is a dip."""
SILENCE_DB = -120.0


def chroma(sound: Audio, sample_rate: int) -> Array:
    """Return the amplitude of the 12 pitch classes from A on, over time.

    Parameters
    ----------
    sound : ndarray of float32, (S,)
        At least 4,096 samples, else there is no frame. At 16 kHz, a frame is 256 ms, every 128.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray of float64, (T, 12)
        Vectors of length 1; zeros in silence.
    """
    if len(sound) < CHROMA_FFT:
        return np.zeros((0, 12))
    padded = np.pad(sound, CHROMA_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, CHROMA_FFT)[:: CHROMA_FFT // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(CHROMA_FFT), axis=1)) ** 2
    hz = np.fft.rfftfreq(CHROMA_FFT, 1 / sample_rate)
    used = (hz > CHROMA_HZ[0]) & (hz < CHROMA_HZ[1])
    classes = np.round(12 * np.log2(hz[used] / A4_HZ)).astype(int) % 12
    amplitude = np.sqrt(power[:, used] @ np.eye(12)[classes])
    return np.asarray(amplitude / (np.linalg.norm(amplitude, axis=1, keepdims=True) + 1e-9))


def chroma_similarity(generated: Array, real: Array) -> float:
    """Return the mean cosine of two sequences of chroma (T, 12), frame by frame: 0 to 1."""
    n = min(len(generated), len(real))
    return float((generated[:n] * real[:n]).sum(1).mean()) if n else math.nan


def onset_strength(sound: Audio, sample_rate: int) -> Array:
    """Return librosa's onset strength (T,) of sound (S,), every 256 samples."""
    import librosa

    return np.asarray(
        librosa.onset.onset_strength(
            y=sound, sr=sample_rate, n_fft=ONSET_FFT, hop_length=ONSET_HOP, n_mels=ONSET_BANDS
        ),
        dtype=np.float64,
    )


def level_db(sound: Audio) -> float:
    """Return the mean power of sound (S,) in dB, relative to full scale; at least −120."""
    power = float(np.square(sound, dtype=np.float64).mean()) if len(sound) else 0.0
    return max(SILENCE_DB, 10 * math.log10(power)) if power else SILENCE_DB


def flux(sound: Audio) -> Array:
    """Return the rise of the log spectrum from one short window to the next, (n,).

    Windows lie inside the sound, so its beginning and its end are no rises.
    """
    from scipy.signal import stft

    overlap = FLUX_FFT - FLUX_HOP
    _, _, spectrum = stft(sound, nperseg=FLUX_FFT, noverlap=overlap, boundary=None, padded=False)
    power = np.abs(spectrum) ** 2
    level = 10 * np.log10(power + 1e-9 * power.mean() + 1e-20)
    return np.asarray(np.maximum(np.diff(level, axis=1), 0).mean(0), dtype=np.float64)


def flux_at(sound: Audio, joins: npt.NDArray[np.int64], sample_rate: int) -> tuple[float, float]:
    """Return the mean flux at joins (samples) and elsewhere; NaN where there is none."""
    rises = flux(sound)
    near = np.zeros(len(rises), bool)
    reach = round(NEAR_S * sample_rate / FLUX_HOP)
    for join in joins:
        centre = (join - FLUX_FFT // 2) // FLUX_HOP
        near[max(0, centre - reach) : max(0, centre + reach + 1)] = True
    at, elsewhere = (
        float(rises[part].mean()) if part.any() else math.nan for part in (near, ~near)
    )
    return at, elsewhere


def dips(sound: Audio, points: npt.NDArray[np.int64], sample_rate: int) -> npt.NDArray[np.bool_]:
    """Return at which points the power of 10 ms lies 3 dB below that of the 20 ms on each side.

    Points (samples) in silence, or nearer to an end than 25 ms, are left out.
    """
    half, reach = round(DIP_S * sample_rate), round(AROUND_S * sample_rate)
    points = points[(points >= reach) & (points + reach <= len(sound))]
    total = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    inside = (total[points + half] - total[points - half]) / (2 * half)
    whole = total[points + reach] - total[points - reach]
    around = (whole - 2 * half * inside) / (2 * (reach - half))
    audible = around > 1e-12
    return np.asarray(inside[audible] < DIP * around[audible])

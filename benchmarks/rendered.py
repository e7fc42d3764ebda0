"""Measurements of `selection.py` on rendered sound: descriptors, joins and the frame rate.

The reference is real music, measured in the same way at random points.
"""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import numpy.typing as npt
from scipy.signal import stft

from desc import audio
from desc.descriptors.config import DescriptorConfig

Audio = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

TOP_DB = 80.0
FLUX_FFT, FLUX_HOP = 256, 64
NEAR_S = 0.008
"""Seconds about a join that count as its own: the fade and its windows."""


def mono(path: Path, rate: int) -> Audio:
    """Return a file's sound, (S,)."""
    blocks = list(audio.read_mono_blocks(path, rate, 1 << 16))
    return np.concatenate(blocks)


def log_mel(signal: Audio, config: DescriptorConfig, *, offset: int) -> Array:
    """Return mel bands in dB (n_mels, T) of frames centred at t·hop + offset."""
    padded = np.pad(signal, (config.n_fft // 2 - offset, config.n_fft))
    power = librosa.feature.melspectrogram(
        y=padded, sr=config.sample_rate, n_fft=config.n_fft, hop_length=config.hop_length,
        n_mels=config.n_mels, center=False,
    )  # fmt: skip
    return librosa.power_to_db(power, top_db=None)


def mfcc_again(signal: Audio, n_frames: int, level_db: float, config: DescriptorConfig) -> Array:
    """Return the MFCC (T, K) of a rendering, clipped where those of the target's track are.

    A rendered frame's sound is the hop about its centre, so centres lie half a hop later. Clipped
    at its own maximum instead, identical sound differs by a tenth of a standard deviation.
    """
    bands = log_mel(signal, config, offset=config.hop_length // 2)[:, :n_frames]
    bands = np.maximum(bands, level_db - TOP_DB)
    return librosa.feature.mfcc(S=bands, n_mfcc=config.n_mfcc).T


def flux(signal: Audio) -> Array:
    """Return the rise of the log spectrum from one short window to the next, (n,)."""
    _, _, spectrum = stft(signal, nperseg=FLUX_FFT, noverlap=FLUX_FFT - FLUX_HOP)
    power = np.abs(spectrum) ** 2
    level = 10 * np.log10(power + 1e-9 * power.mean() + 1e-20)
    return np.maximum(np.diff(level, axis=1), 0).mean(0)


def flux_ratio(signal: Audio, joins: npt.NDArray[np.int64], rate: int) -> tuple[float, float]:
    """Return the sums that give flux at the joins and elsewhere: (at joins, elsewhere)."""
    rises = flux(signal)
    near = np.zeros(len(rises), bool)
    reach = round(NEAR_S * rate / FLUX_HOP)
    for join in joins:
        centre = join // FLUX_HOP
        near[max(0, centre - reach) : centre + reach + 1] = True
    return float(rises[near].mean()), float(rises[~near].mean())


def dips(signal: Audio, points: npt.NDArray[np.int64], rate: int) -> npt.NDArray[np.bool_]:
    """Return at which points the power of 10 ms lies 3 dB below that of the 20 ms around."""
    half, reach = round(0.005 * rate), round(0.025 * rate)
    points = points[(points >= reach) & (points + reach <= len(signal))]
    total = np.concatenate([[0.0], np.cumsum(np.square(signal, dtype=np.float64))])
    inside = (total[points + half] - total[points - half]) / (2 * half)
    whole = total[points + reach] - total[points - reach]
    around = (whole - 2 * half * inside) / (2 * (reach - half))
    return inside[around > 1e-12] < 0.5 * around[around > 1e-12]


def frame_line_db(signals: list[Audio], config: DescriptorConfig) -> float:
    """Return how far the loudness moves more at the frame rate than at the rates around it."""
    step = config.hop_length // 16
    total: Array | float = 0.0
    for signal in signals:
        n = len(signal) // step
        power = np.square(signal[: n * step], dtype=np.float64).reshape(n, step).mean(1)
        level = 10 * np.log10(power + 1e-4 * power.mean() + 1e-20)
        _, _, spectrum = stft(level, nperseg=1024, noverlap=512, detrend="linear")
        total = total + (np.abs(spectrum) ** 2).mean(1)
    frequency = np.fft.rfftfreq(1024, step / config.sample_rate)
    distance = np.abs(frequency - config.frame_rate)
    line, around = distance < 1.0, (distance > 2.0) & (distance < 8.0)
    return float(10 * np.log10(total[line].max() / total[around].mean()))

"""Numbers that say how near generated sound comes to recordings.

Everywhere: S samples, T frames, K columns. Distances of sets of frames need many more frames than
columns.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from torch import Tensor

from desc.audio import Audio
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract_signal
from desc.metrics import frechet_distance
from desc.soundgen.losses import SpectralDistance
from desc.soundgen.mel import MelFrontEnd

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

N_BINS = 20  # of NDB
FULL_SCALE = 0.999


def mel_l1(front_end: MelFrontEnd, audio: Tensor, real: Tensor) -> float:
    """Return the mean absolute difference of log mel spectrograms of sounds (B, S)."""
    return float((front_end(audio) - front_end(real)).abs().mean())


def mel_l1_of_mean(front_end: MelFrontEnd, real: Tensor) -> float:
    """Return the mel L1 of a spectrogram that stands still at the mean of all frames."""
    mel = front_end(real)
    return float((mel - mel.mean((0, 2), keepdim=True)).abs().mean())


def mr_stft(audio: Tensor, real: Tensor) -> float:
    """Return the spectral distance of sounds (B, S) over three resolutions."""
    return float(SpectralDistance()(audio, real))


def descriptor_config(sample_rate: int) -> DescriptorConfig:
    """Return the descriptors' defaults with frames as long in seconds as at 44.1 kHz."""
    if sample_rate > 32000:
        return DescriptorConfig(sample_rate=sample_rate)
    return DescriptorConfig(sample_rate=sample_rate, hop_length=512, n_fft=1024)


def descriptors(sounds: list[Audio], sample_rate: int) -> Array:
    """Return the descriptors of complete frames of sounds, one after another, (T, 39)."""
    config = descriptor_config(sample_rate)
    parts = []
    for sound in sounds:
        values, n_samples = extract_signal([sound], config)
        parts.append(values[config.complete_frames(n_samples)])
    return np.concatenate(parts).astype(np.float64)


def fd39(generated: Array, real: Array) -> float:
    """Return the Fréchet distance of descriptors (T, 39), standardised by the real ones."""
    mean, scale = real.mean(0), np.maximum(real.std(0), 1e-9)
    return frechet_distance((generated - mean) / scale, (real - mean) / scale)


def even_and_odd(frames: npt.NDArray[np.floating], frame_rate: float) -> tuple[Array, Array]:
    """Split consecutive frames (T, K) into those of even and of odd seconds."""
    odd = (np.arange(len(frames)) / frame_rate).astype(int) % 2 == 1
    return np.asarray(frames[~odd], np.float64), np.asarray(frames[odd], np.float64)


def frames_of(mels: Float32) -> Float32:
    """Return all frames (B · T, n_mels) of spectrograms (B, n_mels, T)."""
    return mels.transpose(0, 2, 1).reshape(-1, mels.shape[1])


def diversity(mels: Float32) -> float:
    """Return the mean absolute difference of each two of spectrograms (B, n_mels, T)."""
    pairs = [np.abs(mels[i] - mels[j]).mean() for i in range(len(mels)) for j in range(i)]
    return float(np.mean(pairs)) if pairs else math.nan


def bins_apart(generated: Array, real: Array, n_bins: int = N_BINS) -> tuple[int, float]:
    """Compare how often frames fall into the clusters of real ones (Richardson & Weiss 2018).

    Consecutive frames are alike, so that even real music differs from real music in many bins:
    read both numbers beside those of even and odd seconds.

    Parameters
    ----------
    generated, real : ndarray, (T, K) and (T', K)
    n_bins : int
        Clusters of k-means.

    Returns
    -------
    n_different : int
        Bins whose shares differ at a significance of 5 % (two-proportion z test).
    divergence : float
        Jensen-Shannon divergence of the shares, nats, from 0 to log 2.
    """
    from sklearn.cluster import KMeans

    n_bins = min(n_bins, len(real))
    fitted = KMeans(n_bins, n_init=1, random_state=0).fit(real)
    counts = [np.bincount(fitted.predict(x), minlength=n_bins) for x in (generated, real)]
    p, q = (c / c.sum() for c in counts)
    pooled = (counts[0] + counts[1]) / (len(generated) + len(real))
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(generated) + 1 / len(real)))
    different = np.abs(p - q) > 1.96 * np.maximum(error, 1e-12)
    middle = (p + q) / 2

    def divergence(x: Array) -> float:
        used = x > 0
        return float((x[used] * np.log(x[used] / middle[used])).sum())

    return int(different.sum()), (divergence(p) + divergence(q)) / 2


def coverage(held_out: Array, database: Array, block: int = 512) -> float:
    """Return the mean distance of frames (T, K) to the nearest of a database (N, K)."""
    norms = (database**2).sum(1)
    total = 0.0
    for start in range(0, len(held_out), block):
        x = held_out[start : start + block]
        squares = (x**2).sum(1)[:, None] + norms - 2 * x @ database.T
        total += float(np.sqrt(np.maximum(squares.min(1), 0)).sum())
    return total / len(held_out)


def clip_fraction(sounds: list[Audio]) -> float:
    """Return the share of samples at full scale."""
    return float(np.mean(np.abs(np.concatenate(sounds)) >= FULL_SCALE))


def direct_current(sounds: list[Audio]) -> float:
    """Return the mean over sounds of the absolute mean of their samples."""
    return float(np.mean([abs(float(sound.mean())) for sound in sounds]))


def end_click(sounds: list[Audio], hop_length: int = 256) -> float:
    """Return how much rougher the last ten frames are than the rest, in dB, the mean of sounds.

    Roughness is the largest second difference of neighbouring samples: a click stands out of it.
    """
    levels = []
    for sound in sounds:
        n_last = 10 * hop_length
        if len(sound) < 2 * n_last:
            continue
        rough = np.abs(np.diff(sound, 2))
        rest = np.percentile(rough[:-n_last], 99.9)
        levels.append(20 * math.log10((rough[-n_last:].max() + 1e-9) / (rest + 1e-9)))
    return float(np.mean(levels)) if levels else math.nan

"""Measures of generated sound against recordings.

S samples, T frames, K columns. Distances between sets of frames need many more frames than columns.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from torch import Tensor

from desc.audio import Audio
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract_signal
from desc.metrics.realism import frechet_distance
from desc.soundgen.losses import SpectralDistance
from desc.soundgen.mel import MelFrontEnd

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

N_BINS = 20  # of NDB
FULL_SCALE = 0.999  # share of full scale from which absolute samples count as clipped


def mel_l1(front_end: MelFrontEnd, audio: Tensor, real: Tensor) -> float:
    """Return the mean absolute difference of the log mel spectrograms of samples (B, S)."""
    return float((front_end(audio) - front_end(real)).abs().mean())


def mel_l1_of_mean(front_end: MelFrontEnd, real: Tensor) -> float:
    """Return the mel L1 of a constant spectrogram, the mean of all frames."""
    mel = front_end(real)
    return float((mel - mel.mean((0, 2), keepdim=True)).abs().mean())


def mr_stft(audio: Tensor, real: Tensor) -> float:
    """Return the multi-resolution STFT distance of samples (B, S)."""
    return float(SpectralDistance()(audio, real))


def descriptor_config(sample_rate: int) -> DescriptorConfig:
    """Return the default descriptors; below 32 kHz with half the window and hop."""
    if sample_rate > 32000:
        return DescriptorConfig(sample_rate=sample_rate, descriptors=("mfcc",))
    return DescriptorConfig(
        sample_rate=sample_rate, hop_length=512, n_fft=1024, descriptors=("mfcc",)
    )


def descriptors(sounds: list[Audio], sample_rate: int) -> Array:
    """Return the descriptors (T, 39) of the complete frames of all sounds."""
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
    """Split consecutive frames (T, K) into even and odd seconds."""
    odd = (np.arange(len(frames)) / frame_rate).astype(int) % 2 == 1
    return np.asarray(frames[~odd], np.float64), np.asarray(frames[odd], np.float64)


def frames_of(mels: Float32) -> Float32:
    """Return all frames (B · T, n_mels) of spectrograms (B, n_mels, T)."""
    return mels.transpose(0, 2, 1).reshape(-1, mels.shape[1])


def diversity(mels: Float32) -> float:
    """Return the mean absolute difference between pairs of spectrograms (B, n_mels, T)."""
    pairs = [np.abs(mels[i] - mels[j]).mean() for i in range(len(mels)) for j in range(i)]
    return float(np.mean(pairs)) if pairs else math.nan


def bins_apart(generated: Array, real: Array, n_bins: int = N_BINS) -> tuple[int, float]:
    """Number of statistically different bins (NDB; Richardson & Weiss 2018) and JS divergence.

    Frames are assigned to k-means clusters of the real frames. Consecutive frames are similar, so
    real music differs from real music in many bins: compare with even and odd seconds.

    Parameters
    ----------
    generated, real : ndarray, (T, K) and (T', K)
    n_bins : int
        Number of clusters.

    Returns
    -------
    n_different : int
        Bins whose shares differ at a significance level of 5 % (two-proportion z-test).
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
    """Return the mean distance of frames (T, K) to their nearest neighbour in (N, K)."""
    norms = (database**2).sum(1)
    total = 0.0
    for start in range(0, len(held_out), block):
        x = held_out[start : start + block]
        squares = (x**2).sum(1)[:, None] + norms - 2 * x @ database.T
        total += float(np.sqrt(np.maximum(squares.min(1), 0)).sum())
    return total / len(held_out)


def clip_fraction(sounds: list[Audio], full_scale: float = 1.0) -> float:
    """Return the share of samples at full scale, which a gain may have moved."""
    return float(np.mean(np.abs(np.concatenate(sounds)) >= FULL_SCALE * full_scale))


def direct_current(sounds: list[Audio]) -> float:
    """Return the absolute DC offset, mean over the sounds."""
    return float(np.mean([abs(float(sound.mean())) for sound in sounds]))


def end_click(sounds: list[Audio], hop_length: int = 256) -> float:
    """Return the level of a click at the end in dB, mean over the sounds.

    Compares the largest second difference of the samples in the last ten frames with the 99.9th
    percentile of the rest.
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

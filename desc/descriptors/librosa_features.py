"""Descriptor families computed by librosa from the shared spectra; librosa is loaded on use."""

from __future__ import annotations

import numpy as np

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.frames import Array, Frames

LOWEST_BAND_HZ = 200.0
"""Upper edge of the lowest band of `contrast`; each further band is an octave wide."""
N_OCTAVES = 6
QUANTILE = 0.02
"""Share of a band's bins that make its peak, and its valley."""


def bandwidth(frames: Frames) -> Array:
    """Return the standard deviation of frequency in Hz, weighted by magnitude, (B, 1).

    `librosa.feature.spectral_bandwidth` with its defaults; 0 for silence.
    """
    from librosa.feature import spectral_bandwidth

    config = frames.config
    found = spectral_bandwidth(S=frames.magnitude.T, sr=config.sample_rate, n_fft=config.n_fft)
    return np.asarray(found.T, np.float32)


def peaks_and_valleys(frames: Frames) -> Array:
    """Return the mean of the highest and of the lowest .02 of the magnitudes per band, (B, 14).

    Bands are those of `librosa.feature.spectral_contrast`: below 200 Hz, five octaves, and from
    6.4 kHz up. All bands but the last leave out their highest bin; all but the first begin one bin
    below their edge.
    """
    frequencies = np.fft.rfftfreq(frames.config.n_fft, 1 / frames.config.sample_rate)
    edges = LOWEST_BAND_HZ * 2.0 ** np.arange(N_OCTAVES)
    edges = np.concatenate([[0.0], edges, [np.inf]])
    peaks, valleys = [], []
    for band in range(N_OCTAVES + 1):
        inside = (frequencies >= edges[band]) & (frequencies <= edges[band + 1])
        bins = np.flatnonzero(inside)
        first, stop = max(int(bins[0]) - (band > 0), 0), int(bins[-1]) + 1
        n = max(1, int(np.rint(QUANTILE * (stop - first))))
        ordered = np.sort(frames.magnitude[:, first : stop - (band < N_OCTAVES)], axis=1)
        valleys.append(ordered[:, :n].mean(1))
        peaks.append(ordered[:, -n:].mean(1))
    return np.stack(peaks + valleys, axis=1).astype(np.float32)


def finish_contrast(batches: list[Array], *_: object) -> Array:
    """Return the level of the peaks over the valleys of each band in dB, (T, 7).

    `librosa.feature.spectral_contrast` with its defaults. It does not stream: peaks and valleys
    are raised to 80 dB below the largest of the recording, so they wait for its end, 14 numbers
    per frame.
    """
    from librosa import power_to_db

    peaks, valleys = np.split(np.concatenate(batches), 2, axis=1)
    return np.asarray(power_to_db(peaks) - power_to_db(valleys), np.float32)


def tonnetz(frames: Frames) -> Array:
    """Return the tonal centroids of the chroma: fifth, minor and major third, (B, 6).

    `librosa.feature.tonnetz` of `librosa.feature.chroma_stft` (Harte, Sandler & Gasser 2006), the
    sine and the cosine of each circle; 0 for silence.
    """
    from librosa.feature import tonnetz as of_chroma

    found = of_chroma(chroma=frames.chroma.T, sr=frames.config.sample_rate)
    return np.asarray(found.T, np.float32)


def finish_onset_strength(
    batches: list[Array], config: DescriptorConfig, loudest_db: float | None = None
) -> Array:
    """Return the mean rise of the log mel spectrum from frame to frame in dB, at least 0, (T, 1).

    `librosa.onset.onset_strength` with its defaults and `top_db` of the configuration. It does not
    stream: `top_db` counts from the loudest band of the recording unless its level is given, so
    the log mel spectra wait for its end. librosa delays the values by n_fft // (2·hop_length)
    frames.
    """
    from librosa.onset import onset_strength

    mel = np.concatenate(batches)
    if config.top_db is not None:
        loudest_db = float(mel.max()) if loudest_db is None else loudest_db
        mel = np.maximum(mel, np.float32(loudest_db - config.top_db))
    found = onset_strength(
        S=mel.T, sr=config.sample_rate, n_fft=config.n_fft, hop_length=config.hop_length
    )
    return np.asarray(found[:, None], np.float32)

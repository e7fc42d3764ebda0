"""The spectral envelope given by MFCC, and back."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from desc.descriptors.config import DescriptorConfig

Float64 = npt.NDArray[np.float64]

N_BANDS = 32
"""Points at which the envelope is taken, evenly spaced in mel."""


def envelope_db(values: npt.NDArray[np.floating], config: DescriptorConfig) -> Float64:
    """Return the envelope (T, 32) in dB of descriptors (T, D), which hold mfcc.

    It is the inverse of the orthonormal cosine transform that made the MFCC of mel bands in dB.
    """
    return values[:, list(config.groups["mfcc"])] @ _basis(config.n_mfcc, config.n_mels)


def mfcc_of(envelope: Float64, config: DescriptorConfig) -> Float64:
    """Return the MFCC (T, K) whose envelope is nearest to one of (T, 32) in dB."""
    return envelope @ _inverse(config.n_mfcc, config.n_mels)


@lru_cache(maxsize=4)
def _inverse(n_mfcc: int, n_mels: int) -> Float64:
    return np.asarray(np.linalg.pinv(_basis(n_mfcc, n_mels)), np.float64)


@lru_cache(maxsize=4)
def _basis(n_mfcc: int, n_mels: int) -> Float64:
    """Return what each coefficient adds to each band, (K, 32)."""
    band = (np.arange(N_BANDS) + 0.5) / N_BANDS
    order = np.arange(n_mfcc)[:, None]
    return np.sqrt(np.where(order, 2, 1) / n_mels) * np.cos(np.pi * order * band)

"""Loudness and true peak of sound, by ITU-R BS.1770-4 and EBU R 128."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from desc.audio.files import Audio
from desc.audio.resampling import resample

HOP_S, HOPS = 0.1, 4
"""Blocks last .4 s and overlap by three quarters."""
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0
"""Blocks below the first (LUFS), or so far below the loudness of the others (LU), do not count."""
OFFSET = -0.691
"""Of the loudness, so that a tone of 1 kHz at full scale in one channel has -3.01 LUFS."""
OVERSAMPLING = 4
CONTEXT = 64
"""Samples before a block, for the filter that finds peaks between samples."""
SURROUND = {5: (1, 1, 1, 1.41, 1.41), 6: (1, 1, 1, 0, 1.41, 1.41)}
"""Weights of the channels of 5.0 and 5.1, in the order of WAV files; other channels count as 1."""


class LoudnessMeter:
    """Measures loudness and true peak of sound that arrives in blocks.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_channels : int
        Channels of every block.

    Attributes
    ----------
    true_peak : float
        Largest absolute value, also between the samples, at four times the rate.
    """

    def __init__(self, sample_rate: int, n_channels: int) -> None:
        self._sections = weighting(sample_rate)
        self._state = np.zeros((2, n_channels, 2))
        self._weights = np.array(SURROUND.get(n_channels, (1,) * n_channels))
        self._hop = max(1, round(HOP_S * sample_rate))
        self._rest = np.zeros((n_channels, 0))
        self._powers: list[float] = []
        self._before = np.zeros((n_channels, CONTEXT), np.float32)
        self.true_peak = 0.0

    def add(self, block: Audio) -> None:
        """Measure the next samples, (C, n)."""
        from scipy.signal import sosfilt

        if not block.shape[1]:
            return
        samples = np.concatenate([self._before, block], axis=1)
        oversampled = resample(samples, 1, OVERSAMPLING)[:, OVERSAMPLING * CONTEXT // 2 :]
        peak = max(float(np.abs(oversampled).max(initial=0)), float(np.abs(block).max()))
        self.true_peak = max(self.true_peak, peak)
        self._before = samples[:, -CONTEXT:]
        weighted, self._state = sosfilt(self._sections, block, axis=1, zi=self._state)
        weighted = np.concatenate([self._rest, weighted], axis=1)
        n_hops = weighted.shape[1] // self._hop
        whole = weighted[:, : n_hops * self._hop].reshape(len(block), n_hops, self._hop)
        self._powers += (self._weights @ np.mean(whole**2, axis=2)).tolist()
        self._rest = weighted[:, n_hops * self._hop :]

    @property
    def loudness(self) -> float:
        """Integrated loudness in LUFS, of all blocks that are not gated; −inf without any."""
        if len(self._powers) < HOPS:
            return -math.inf
        powers = np.convolve(self._powers, np.full(HOPS, 1 / HOPS), mode="valid")
        loud = powers[powers > 10 ** ((ABSOLUTE_GATE - OFFSET) / 10)]
        if not len(loud):
            return -math.inf
        gated = loud[loud > loud.mean() * 10 ** (RELATIVE_GATE / 10)]
        return float(OFFSET + 10 * np.log10(gated.mean()))


def weighting(sample_rate: int) -> npt.NDArray[np.float64]:
    """Return the filter of BS.1770 as two sections (2, 6): a high shelf, then a high-pass.

    The standard gives coefficients at 48 kHz; these are the analogue filters behind them (De Man,
    Evaluation of implementations of the EBU R128 loudness measurement, AES 2018).
    """
    gain, shelf_q, shelf_hz = 10 ** (3.999843853973347 / 20), 0.7071752369554196, 1681.974450955533
    k, middle = math.tan(math.pi * shelf_hz / sample_rate), gain**0.4996667741545416
    shelf = np.array([gain + middle * k / shelf_q + k**2, 2 * (k**2 - gain)])
    shelf = np.append(shelf, gain - middle * k / shelf_q + k**2)
    pass_q, pass_hz = 0.5003270373238773, 38.13547087602444
    low = math.tan(math.pi * pass_hz / sample_rate)
    return np.array(
        [
            _section(shelf, k, shelf_q),
            _section(np.array([1.0, -2.0, 1.0]) * (1 + low / pass_q + low**2), low, pass_q),
        ]
    )


def _section(numerator: npt.NDArray[np.float64], k: float, q: float) -> npt.NDArray[np.float64]:
    """Return a section (6,) with poles at the frequency of k = tan(π·f / rate)."""
    denominator = np.array([1 + k / q + k**2, 2 * (k**2 - 1), 1 - k / q + k**2])
    return np.concatenate([numerator, denominator]) / denominator[0]

"""The last steps before a sound file: high-pass filter and loudness."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator

import numpy as np

from desc.audio import Audio, LoudnessMeter

logger = logging.getLogger(__name__)

CEILING_DB = -1.0
"""Highest true peak of a file with a loudness, as EBU R 128 asks."""


def high_passed(blocks: Iterable[Audio], hz: float, sample_rate: int) -> Iterator[Audio]:
    """Yield blocks (n, C) through a high-pass of second order (Butterworth, 12 dB per octave).

    The filter begins as if the first sample had always lasted, so a constant offset gives no
    thump.
    """
    from scipy.signal import butter, sosfilt, sosfilt_zi

    sections = butter(2, hz, "highpass", fs=sample_rate, output="sos")
    state = None
    for block in blocks:
        if state is None and len(block):
            state = sosfilt_zi(sections)[:, :, None] * block[0]
        filtered, state = sosfilt(sections, block, axis=0, zi=state)
        yield filtered.astype(np.float32)


class Leveller:
    """Brings sound to a loudness with one gain.

    Parameters
    ----------
    loudness : float
        Wanted, in LUFS.
    sample_rate, n_channels : int
        Of the sound.
    """

    def __init__(self, loudness: float, sample_rate: int, n_channels: int) -> None:
        self._wanted = loudness
        self._meter = LoudnessMeter(sample_rate, n_channels)

    def heard(self, blocks: Iterable[Audio]) -> Iterator[Audio]:
        """Yield blocks (n, C) and measure them."""
        for block in blocks:
            self._meter.add(block.T)
            yield block

    def gain(self, _peak: float) -> float:
        """Return the gain of what was heard: to the loudness, or to the ceiling of true peaks."""
        measured = self._meter.loudness
        if math.isinf(measured):
            logger.warning("the sound is silent or shorter than 0.4 s: its loudness is not changed")
            return 1 / max(self._meter.true_peak, 1.0)
        gain_db = self._wanted - measured
        highest_db = CEILING_DB - 20 * math.log10(self._meter.true_peak)
        if gain_db > highest_db:
            logger.warning(
                "the loudness is %.1f LUFS instead of %.1f: true peaks stay below %g dB",
                measured + highest_db,
                self._wanted,
                CEILING_DB,
            )
        return float(10 ** (min(gain_db, highest_db) / 20))

    def loudness(self, gain: float) -> float:
        """Return the loudness in LUFS of what was heard, with a gain."""
        return self._meter.loudness + 20 * math.log10(gain)

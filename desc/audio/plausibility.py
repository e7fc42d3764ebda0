"""Signs that a recording is not what it should be: silence, channels that cancel, an offset."""

from __future__ import annotations

import math

import numpy as np

from desc.audio.files import Audio, AudioInfo

SILENT_DB = -90.0
"""Level of the mix below which a recording is called silent, dB re full scale."""
CANCELLED_DB = 20.0
"""Level of the mix below that of the channels from which they are said to cancel, dB."""
LOUD = 64.0
"""Largest sample of floating-point files, full scale 1, beyond which the scale is questioned."""
OFFSET, OFFSET_SHARE = 0.01, 0.5
"""Mean of the samples, and its share of the power, from which a constant offset is told."""
_ONES = np.ones(1 << 16, np.float32)


class Plausibility:
    """Sums over the samples of a recording, and what they say about it."""

    def __init__(self, info: AudioInfo) -> None:
        self._n_channels = info.n_channels
        self._is_float = info.subtype in ("FLOAT", "DOUBLE")
        self._n = 0
        self._power = self._mixed_power = self._sum = self._peak = 0.0

    def add(self, block: Audio, mix: Audio) -> None:
        """Add samples (n, C) and the mean (n, 1) of their channels."""
        self._n += len(mix)
        flat = mix.ravel()
        self._mixed_power += float(flat @ flat)
        for start in range(0, len(flat), len(_ONES)):  # in a fifth of the time of flat.sum()
            part = flat[start : start + len(_ONES)]
            self._sum += float(part @ _ONES[: len(part)])
        if self._n_channels > 1:
            samples = block.ravel()
            self._power += float(samples @ samples)
        if self._is_float:
            self._peak = max(self._peak, float(block.max()), -float(block.min()))

    def notes(self) -> list[str]:
        """Return a line for each sign."""
        if not self._n:
            return []
        mixed, mean = self._mixed_power / self._n, self._sum / self._n
        power = self._power / (self._n * self._n_channels) if self._n_channels > 1 else mixed
        notes = []
        if self._peak > LOUD:
            notes.append(
                f"samples reach {self._peak:.6g}, full scale is 1 (integers stored as numbers "
                "with a fraction?)"
            )
        if _decibels(power) < SILENT_DB:
            notes.append(SILENT)
        elif mixed * 10 ** (CANCELLED_DB / 10) < power:
            level = "silence" if mixed == 0 else f"{_decibels(power / mixed):.0f} dB below them"
            notes.append(
                f"the channels cancel: their mean, which is analysed, is {level} (one of them "
                "with inverted polarity?)"
            )
        if abs(mean) > OFFSET and mean**2 > OFFSET_SHARE * mixed:
            notes.append(
                f"a constant offset of {mean:.2g} makes {100 * mean**2 / mixed:.0f} % of its power"
            )
        return notes


SILENT = f"silent (below {SILENT_DB:.0f} dB re full scale)"


def _decibels(power: float) -> float:
    return 10 * math.log10(power) if power > 0 else -math.inf

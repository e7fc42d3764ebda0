"""The beat of continuations, compared with that of the music before them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from desc.descriptors.standardizer import Standardizer
from desc.metrics.rhythm import (
    BEAT,
    LAGS_S,
    Pulse,
    band_levels,
    curve_autocorrelation,
    find_pulse,
    onset_curve,
    strength_at,
)

Array = npt.NDArray[np.float64]

KEPT = 0.5
"""Share of a context's strength, at its period, with which a continuation keeps the beat."""
RATIOS = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0)
TOLERANCE = 0.03
"""Ratios of periods that are the same tempo, and how far they may be off."""


@dataclass(frozen=True, eq=False)
class Beats:
    """Onset curves of contexts, with which those of their continuations are compared.

    Attributes
    ----------
    contexts : sequence of ndarray, (T,)
        Onset curve of each context.
    tracks : ndarray of int, (E,)
        Recording of each.
    frame_rate : float
        In Hz.
    """

    contexts: Sequence[Array]
    tracks: npt.NDArray[np.int64]
    frame_rate: float

    @cached_property
    def pulses(self) -> list[Pulse]:
        """The pulse of each context, with its strength at the period."""
        found = [find_pulse(curve, self.frame_rate) for curve in self.contexts]
        pairs = zip(self.contexts, found, strict=True)
        return [Pulse(p.period, strength_at(curve, p.period)) for curve, p in pairs]

    @cached_property
    def with_beat(self) -> npt.NDArray[np.int64]:
        """The recordings with a beat, (N,)."""
        strength = np.nan_to_num([pulse.strength for pulse in self.pulses])
        return np.array(
            [t for t in np.unique(self.tracks) if strength[self.tracks == t].mean() >= BEAT], int
        )

    def figures(self, curves: Sequence[Array]) -> dict[str, float]:
        """Compare the onset curves of continuations with those of their contexts.

        Returns
        -------
        dict of str to float
            `pulse`: mean strength of the continuations' own pulses. `rhythm`: mean correlation of
            the autocorrelations of continuation and context at lags of .25 to 4 s. Of recordings
            with a beat: `beats`, their number; `beat`, mean strength at the context's period;
            `tempo`, share of excerpts whose period is the context's or a simple multiple or
            fraction of it; `beats_kept`, share of the recordings whose beat is kept. NaN without
            any.
        """
        found = [find_pulse(curve, self.frame_rate) for curve in curves]
        pairs = list(zip(self.contexts, curves, strict=True))
        figures = {
            "pulse": float(np.mean([pulse.strength for pulse in found])),
            "rhythm": float(np.mean([self._similarity(a, b) for a, b in pairs])),
            "beats": float(len(self.with_beat)),
        }
        chosen = np.isin(self.tracks, self.with_beat)
        if not chosen.any():
            return figures | dict.fromkeys(("beat", "tempo", "beats_kept"), math.nan)
        strengths = [
            strength_at(curve, pulse.period)
            for curve, pulse in zip(curves, self.pulses, strict=True)
        ]
        strength = np.nan_to_num(strengths)
        wanted = KEPT * np.nan_to_num([pulse.strength for pulse in self.pulses])
        kept = [np.mean((strength - wanted)[self.tracks == t]) >= 0 for t in self.with_beat]
        same = [_same_tempo(a.period / b.period) for a, b in zip(found, self.pulses, strict=True)]
        return figures | {
            "beat": float(strength[chosen].mean()),
            "tempo": float(np.mean(np.array(same)[chosen])),
            "beats_kept": float(np.mean(kept)),
        }

    def _similarity(self, a: Array, b: Array) -> float:
        first, last = (round(lag * self.frame_rate) for lag in LAGS_S)
        last = min(last, len(a) // 2, len(b) // 2)
        if last - first < 2:
            return math.nan
        x, y = (curve_autocorrelation(curve)[first:last] for curve in (a, b))
        if not x.std() or not y.std():
            return 0.0
        return float(np.corrcoef(x, y)[0, 1])


def _same_tempo(ratio: float) -> bool:
    return any(abs(ratio / r - 1) <= TOLERANCE for r in RATIOS)


def described_onsets(z: Array, standardizer: Standardizer) -> Array | None:
    """Return the onset curve (T,) that standardised static columns (T, F) describe.

    None where MFCC are not among them.
    """
    config = standardizer.config
    columns = np.flatnonzero(np.isin(config.static_columns, config.groups.get("mfcc", ())))
    if not len(columns):
        return None
    static = config.static_columns[columns]
    mfcc = z[:, columns] * standardizer.scale[static] + standardizer.mean[static]
    return onset_curve(band_levels(mfcc))

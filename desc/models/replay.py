"""Replay: the innovations of a context again, in blocks and in phase with its pulse.

Blocks keep the short-term dependence of the innovations (Künsch 1989). Where the context has a
pulse, a block lasts whole periods and begins a whole number of periods from where the last one
stopped; the first goes on from the context. So the continuation keeps its beat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from desc.descriptors.standardizer import Standardizer
from desc.metrics.rhythm import BEAT, band_levels, find_pulse, onset_curve

TINY = 1e-9  # against rounding
DRAWN = 256  # frames whose random numbers are drawn at once


def context_period(static: npt.NDArray[np.floating], standardizer: Standardizer) -> float:
    """Return the period of the beat of a context in frames, NaN without a beat.

    Parameters
    ----------
    static : ndarray, (T, F)
        Static columns, raw units.
    standardizer : Standardizer
        Its scales matter only for descriptors without mfcc, whose columns are taken as levels.
    """
    config = standardizer.config
    mfcc = [i for i, name in enumerate(config.static_names) if name.startswith("mfcc")]
    levels = band_levels(static[:, mfcc]) if mfcc else standardizer.transform_static(static)
    pulse = find_pulse(onset_curve(levels), config.frame_rate)
    return pulse.period if pulse.strength >= BEAT else math.nan


def replayed_positions(
    n: int, block: float, period: float, random: Callable[[int], Sequence[float]]
) -> Iterator[int]:
    """Yield positions in a context, in stretches of consecutive ones, without end.

    A stretch ends with probability 1/`block` after each frame, or with the context, and the next
    one begins anywhere. With a period it ends after whole periods, block / period of them on
    average and at least one; positions then count in fractions of a frame, and are rounded.

    Parameters
    ----------
    n : int
        Length of the context, frames.
    block : float
        Mean length of a stretch, frames.
    period : float
        In frames; NaN, or more than n/2: none.
    random : callable
        Returns so many uniform random numbers from 0 to 1.
    """
    in_phase = period <= n / 2
    chance = 1 / max(1.0, block / period) if in_phase else 1 / block
    at, left = float(n), 0.0  # left: frames of the current period
    while True:
        for jump, place in zip(random(DRAWN), random(DRAWN), strict=True):
            if in_phase and left <= 0:
                left += period
                if jump < chance or at + period > n:
                    first = at % period
                    at = first + period * int(place * math.floor((n - first) / period + TINY))
            elif not in_phase and (jump < chance or at >= n):
                at = float(int(place * n))
            yield min(math.floor(at + 0.5), n - 1)
            at, left = at + 1, left - 1

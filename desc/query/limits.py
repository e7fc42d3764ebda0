"""How often and how soon a moment may come back: what a corpus allows, and who has used what."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.configuration import Note, SelectionConfig
from desc.errors import ConfigurationError
from desc.query.moments import NEAR_MOMENTS

Ints32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

NOWHERE = -(1 << 30)
"""A moment that is near no other."""
LAG_FRAMES = 64
"""Frames after which a decision is final where uses are counted (1.5 s): paths that differ in
earlier ones are given up, so that one count serves all."""


@dataclass(frozen=True)
class Limits:
    """What a path may not do.

    Attributes
    ----------
    hold : int
        Frames within which a moment, or one near it, does not come back in another unit.
    max_use : int or None
        Times that a moment is heard at the most; what lasts several frames of a unit, as it does
        where it is played slowly, counts once.
    """

    hold: int
    max_use: int | None

    @property
    def memory(self) -> int:
        """Frames that have to be remembered."""
        return self.hold if self.max_use is None else max(self.hold, LAG_FRAMES)


def feasible_limits(
    config: SelectionConfig,
    n_moments: int,
    n_frames: int,
    frame_rate: float,
    note: Note | None = None,
) -> Limits:
    """Return the limits of the settings, the hold shortened to what can always be kept.

    A held frame bars 2·`NEAR_MOMENTS` + 1 moments; of n_frames − 1 frames, every `max_use` can use
    one up. One moment more than all of these leaves every path a way to go on.

    Parameters
    ----------
    config : SelectionConfig
        What is wanted.
    n_moments : int
        Moments that may be heard: see `Moments`.
    n_frames : int
        Frames to be answered.
    frame_rate : float
        Frames per second.
    note : callable, optional
        Told in one line if the hold is shortened.

    Raises
    ------
    ConfigurationError
        If the moments, each used `max_use` times, are fewer than the frames.
    """
    used_up = 0
    if config.max_use is not None:
        if n_moments * config.max_use < n_frames:
            raise ConfigurationError(
                f"max_use={config.max_use} must be at least {math.ceil(n_frames / n_moments)}: "
                f"{n_moments} moments used {config.max_use} times are "
                f"{n_moments * config.max_use}, and {n_frames} frames are to be answered"
            )
        used_up = (n_frames - 1) // config.max_use
    wanted = math.ceil(config.hold_s * frame_rate - 1e-9)
    longest = max(0, (n_moments - used_up - 1) // (2 * NEAR_MOMENTS + 1))
    if min(wanted, n_frames - 1) > longest and note is not None:
        note(
            f"hold_s={config.hold_s:g} is shortened to {longest / frame_rate:.2f} s: the corpus "
            f"has {n_moments} moments for {n_frames} frames"
        )
    return Limits(min(wanted, longest), config.max_use)


class History:
    """What the paths of a beam played lately, as rings of moments.

    Parameters
    ----------
    limits : Limits
        What is to be kept.
    n_moments : int
        More than any moment.
    """

    def __init__(self, limits: Limits, n_moments: int) -> None:
        self._limits = limits
        self._size = limits.memory
        self._moments: Ints32 = np.empty((0, self._size), np.int32)  # (B, frames)
        self._ages = np.empty(0, np.int64)  # frames of the unit that sounds, (B,)
        self._uses: Ints32 = np.empty((0, self._size if limits.max_use else 0), np.int32)
        self._used = np.zeros(n_moments if limits.max_use else 0, np.int64)
        self._frame = 0

    def start(self, moments: Ints32) -> None:
        """Begin paths with these moments (B,)."""
        self._moments = np.full((len(moments), self._size), NOWHERE, np.int32)
        self._uses = np.full((len(moments), self._uses.shape[1]), NOWHERE, np.int32)
        self._ages = np.ones(len(moments), np.int64)
        self._write(moments, moments)

    def follow(self, parents: npt.NDArray[np.intp], moments: Ints32, goes_on: Bools) -> None:
        """Let path i go on from path parents[i] with a moment, in the same unit or another."""
        if self._size:
            self._moments, self._uses = self._moments[parents], self._uses[parents]
            self._ages = np.where(goes_on, self._ages[parents] + 1, 1)
            lasts = goes_on & (moments == self._last)
            self._write(moments, np.where(lasts, np.int32(NOWHERE), moments))

    def _write(self, moments: Ints32, uses: Ints32) -> None:
        if self._size:
            self._moments[:, self._frame % self._size] = moments
            if self._limits.max_use is not None:
                self._uses[:, self._frame % self._size] = uses
        self._frame += 1

    @property
    def _last(self) -> Ints32:
        """The moment that each path is at, (B,)."""
        return self._moments[:, (self._frame - 1) % self._size]

    def settle(self) -> Bools | None:
        """Make the oldest remembered frame final, by the first path; return who agrees (B,).

        None where nothing has to be settled. To be called before the next frame.
        """
        if self._limits.max_use is None or self._frame < self._size:
            return None
        oldest = self._uses[:, self._frame % self._size]
        if oldest[0] != NOWHERE:
            self._used[oldest[0]] += 1
        agree: Bools = oldest == oldest[0]
        return agree

    def keep(self, paths: Bools) -> None:
        """Forget the other paths."""
        self._moments, self._uses = self._moments[paths], self._uses[paths]
        self._ages = self._ages[paths]

    def forget(self) -> None:
        """Forget the frame that was settled: it is counted."""
        self._uses[:, self._frame % self._size] = NOWHERE

    def bars_jumps(self, moments: Ints32) -> Bools | None:
        """Return whether each path may not jump to each moment, (B, K); None: all may."""
        barred: Bools | None = None
        if self._limits.hold:
            barred = np.any(self._near(self._held()[:, :, None], moments), axis=1)
        if self._limits.max_use is not None:
            uses = (self._uses[:, :, None] == moments).sum(1) + self._used[moments]
            spent: Bools = uses >= self._limits.max_use
            barred = spent if barred is None else barred | spent
        return barred

    def bars_going_on(self, moments: Ints32) -> Bools | None:
        """Return whether each path may not go on in its unit with a moment, (B,); None: all may.

        What the unit itself played is no repetition, and a moment that lasts is used once.
        """
        barred: Bools | None = None
        hold = self._limits.hold
        if hold:
            near = self._near(self._held(), moments[:, None])
            near &= np.arange(hold) < hold - self._ages[:, None]
            barred = np.any(near, axis=1)
        if self._limits.max_use is not None:
            uses = (self._uses == moments[:, None]).sum(1) + self._used[moments]
            spent: Bools = (uses >= self._limits.max_use) & (moments != self._last)
            barred = spent if barred is None else barred | spent
        return barred

    def _held(self) -> Ints32:
        """Return the moments of the last `hold` frames (B, hold), oldest first."""
        order = (self._frame - self._limits.hold + np.arange(self._limits.hold)) % self._size
        return self._moments[:, order]

    @staticmethod
    def _near(held: Ints32, moments: Ints32) -> Bools:
        # One comparison instead of two: what is below −NEAR_MOMENTS becomes huge without a sign.
        shifted = (moments - held + np.int32(NEAR_MOMENTS)).view(np.uint32)
        result: Bools = shifted <= 2 * NEAR_MOMENTS
        return result

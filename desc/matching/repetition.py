"""Repetition constraints: how often, and how soon, a source position may be played again.

`Limits` are the constraints of a search. The paths of a beam remember what they played:
`TabuWindow` frame by frame, `UnitHistory` unit by unit.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

import numpy as np

from desc.configuration import SelectionConfig
from desc.errors import ConfigurationError
from desc.matching.arrays import Bools, Int32, Positions, Rows
from desc.matching.units import NEAR_POSITIONS, SourcePositions

logger = logging.getLogger(__name__)

NOWHERE = -(1 << 30)
"""A source position that is near no other."""
LAG_FRAMES = 64
"""Frames (1.5 s) after which a decision is final where uses are counted. Paths that differ in
earlier frames are dropped, so that one count serves all."""
REACH_FRAMES = 22
"""A jump up to this many positions (.5 s) ahead stays in the same place."""
NO_UNIT = (0, 0, 0)


@dataclass(frozen=True)
class Limits:
    """Constraints on repetition.

    Attributes
    ----------
    hold : int
        Length of the tabu window in frames: no other unit plays the same source position, or one
        near it, within the window.
    max_use : int or None
        Maximum number of times a source position is played. A position that lasts several frames
        of a unit, as in a slowed recording, counts once.
    longest : int or None
        Maximum number of frames that are played from one place: consecutive frames, and those after
        a jump a little ahead. A single unit of `units` may be longer.
    """

    hold: int
    max_use: int | None
    longest: int | None = None

    @property
    def memory(self) -> int:
        """Frames to remember."""
        return self.hold if self.max_use is None else max(self.hold, LAG_FRAMES)


def feasible_limits(
    selection: SelectionConfig, n_positions: int, n_frames: int, frame_rate: float
) -> Limits:
    """Return the limits of the settings, the tabu window shortened to what can always be kept.

    A frame in the window excludes 2·`NEAR_POSITIONS` + 1 positions, and n_frames − 1 frames can use
    up one position per `max_use` frames. With one position more than the total, every path has a
    row left. Logs a line if the window is shortened. `longest` excludes the positions just ahead;
    it is left out if there are too few.

    Parameters
    ----------
    selection : SelectionConfig
        Gives `hold_s`, `max_use` and `max_unit_s`.
    n_positions : int
        Source positions that may be played.
    n_frames : int
        Frames of the target.
    frame_rate : float
        Frames per second.

    Raises
    ------
    ConfigurationError
        If the positions, each used `max_use` times, are fewer than the frames.
    """
    used_up = 0
    if selection.max_use is not None:
        uses, least = n_positions * selection.max_use, math.ceil(n_frames / n_positions)
        if uses < n_frames:
            raise ConfigurationError(
                f"max_use={selection.max_use} must be at least {least}: {n_positions} source "
                f"positions used {selection.max_use} times are {uses}, fewer than the {n_frames} "
                "frames to match"
            )
        used_up = (n_frames - 1) // selection.max_use
    wanted = math.ceil(selection.hold_s * frame_rate - 1e-9)
    longest = max(0, (n_positions - used_up - 1) // (2 * NEAR_POSITIONS + 1))
    if min(wanted, n_frames - 1) > longest:
        logger.info(
            "hold_s=%g is shortened to %.2f s: the corpus has %d source positions for %d frames",
            selection.hold_s,
            longest / frame_rate,
            n_positions,
            n_frames,
        )
    hold, unit = min(wanted, longest), None
    left = n_positions - used_up - 1 - (2 * NEAR_POSITIONS + 1) * hold
    if selection.max_unit_s is not None:
        unit = max(1, math.floor(selection.max_unit_s * frame_rate + 1e-9))
        if left < REACH_FRAMES:
            if unit < n_frames:
                logger.info(
                    "max_unit_s=%g is not kept: the corpus has only %d source positions",
                    selection.max_unit_s,
                    n_positions,
                )
            unit = None
    return Limits(hold, selection.max_use, unit)


class TabuWindow:
    """Source positions that each path of a beam played lately, in ring buffers.

    Parameters
    ----------
    limits : Limits
        The constraints.
    n_positions : int
        More than any source position.
    """

    def __init__(self, limits: Limits, n_positions: int) -> None:
        self._limits = limits
        self._size = limits.memory
        self._positions: Int32 = np.empty((0, self._size), np.int32)  # (B, frames)
        self._ages = np.empty(0, np.int64)  # frames of the current unit, (B,)
        self._stays = np.empty(0, np.int64)  # frames played from the current place, (B,)
        self._last: Int32 = np.empty(0, np.int32)  # current position, (B,)
        self._uses: Int32 = np.empty((0, self._size if limits.max_use else 0), np.int32)
        self._used = np.zeros(n_positions if limits.max_use else 0, np.int64)
        self._frame = 0

    def start(self, positions: Int32) -> None:
        """Begin paths at these positions (B,)."""
        self._positions = np.full((len(positions), self._size), NOWHERE, np.int32)
        self._uses = np.full((len(positions), self._uses.shape[1]), NOWHERE, np.int32)
        self._ages = self._stays = np.ones(len(positions), np.int64)
        self._last = positions
        self._write(positions, positions)

    def follow(self, parents: Positions, positions: Int32, continues: Bools) -> None:
        """Extend path parents[i] by a position as the new path i, in the same unit or another."""
        last = self._last[parents]
        if self._limits.longest is not None:
            stays = continues | _just_ahead(last, positions)
            self._stays = np.where(stays, self._stays[parents] + 1, 1)
        if self._size:
            self._positions, self._uses = self._positions[parents], self._uses[parents]
            self._ages = np.where(continues, self._ages[parents] + 1, 1)
            lasts = continues & (positions == last)
            self._write(positions, np.where(lasts, np.int32(NOWHERE), positions))
        self._last = positions

    def _write(self, positions: Int32, uses: Int32) -> None:
        if self._size:
            self._positions[:, self._frame % self._size] = positions
            if self._limits.max_use is not None:
                self._uses[:, self._frame % self._size] = uses
        self._frame += 1

    def settle(self) -> Bools | None:
        """Make the oldest remembered frame of the first path final; return which paths agree (B,).

        None if nothing has to be settled. Call it before the next frame.
        """
        if self._limits.max_use is None or self._frame < self._size:
            return None
        oldest = self._uses[:, self._frame % self._size]
        if oldest[0] != NOWHERE:
            self._used[oldest[0]] += 1
        return oldest == oldest[0]

    def keep(self, paths: Bools) -> None:
        """Drop the other paths."""
        self._positions, self._uses = self._positions[paths], self._uses[paths]
        self._ages, self._last = self._ages[paths], self._last[paths]
        if self._limits.longest is not None:
            self._stays = self._stays[paths]

    def forget(self) -> None:
        """Forget the settled frame: its use is counted."""
        self._uses[:, self._frame % self._size] = NOWHERE

    def bars_jumps(self, positions: Int32) -> Bools | None:
        """Return whether each path may not jump to each position, (B, K); None: all may."""
        barred: Bools | None = None
        if self._limits.hold:
            barred = np.any(self._near(self._held()[:, :, None], positions), axis=1)
        if self._limits.max_use is not None:
            uses = (self._uses[:, :, None] == positions).sum(1) + self._used[positions]
            spent = uses >= self._limits.max_use
            barred = spent if barred is None else barred | spent
        if self._limits.longest is not None:
            over = self._over()[:, None] & _just_ahead(self._last[:, None], positions)
            barred = over if barred is None else barred | over
        return barred

    def bars_continuing(self, positions: Int32) -> Bools | None:
        """Return whether each path may not continue its unit at a position, (B,); None: all may.

        Positions of the unit itself are no repetition, and one that lasts is used once.
        """
        barred: Bools | None = None
        hold = self._limits.hold
        if hold:
            near = self._near(self._held(), positions[:, None])
            near &= np.arange(hold) < hold - self._ages[:, None]
            barred = np.any(near, axis=1)
        if self._limits.max_use is not None:
            uses = (self._uses == positions[:, None]).sum(1) + self._used[positions]
            spent = (uses >= self._limits.max_use) & (positions != self._last)
            barred = spent if barred is None else barred | spent
        if self._limits.longest is not None:
            barred = self._over() if barred is None else barred | self._over()
        return barred

    def _over(self) -> Bools:
        """Return which paths (B,) have played from one place for as long as they may."""
        assert self._limits.longest is not None
        return self._stays >= self._limits.longest

    def _held(self) -> Int32:
        """Return the positions of the last `hold` frames (B, hold), oldest first."""
        order = (self._frame - self._limits.hold + np.arange(self._limits.hold)) % self._size
        return self._positions[:, order]

    @staticmethod
    def _near(held: Int32, positions: Int32) -> Bools:
        # One comparison instead of two: what is below −NEAR_POSITIONS becomes huge without a sign.
        shifted = (positions - held + np.int32(NEAR_POSITIONS)).view(np.uint32)
        return shifted <= 2 * NEAR_POSITIONS


def _just_ahead(last: Int32, positions: Int32) -> Bools:
    """Return whether a jump to each position stays in the place of the last one."""
    return (positions > last) & (positions - last <= REACH_FRAMES)


@dataclass(frozen=True, eq=False)
class UnitHistory:
    """Units that each of B paths played, oldest first; the last column is the current unit.

    Attributes
    ----------
    table : ndarray of int64, (B, U, 3)
        First row, length, and first frame of the result; length 0: no unit.
    positions : SourcePositions
        Source positions of the rows.
    limits : Limits
        The constraints.
    """

    table: Rows
    positions: SourcePositions
    limits: Limits

    @classmethod
    def empty(cls, positions: SourcePositions, limits: Limits) -> UnitHistory:
        """Return the history of one path that has played nothing."""
        return cls(np.array([[NO_UNIT]], np.int64), positions, limits)

    @classmethod
    def gathered(cls, parts: list[UnitHistory], owners: Rows, paths: Rows) -> UnitHistory:
        """Return path `paths[i]` of part `owners[i]` for every i."""
        used = np.unique(owners).tolist()
        width = max(parts[k].table.shape[1] for k in used)
        table = np.empty((len(owners), width, 3), np.int64)
        for k in used:
            own, missing = owners == k, width - parts[k].table.shape[1]
            table[own, :missing] = NO_UNIT
            table[own, missing:] = parts[k].table[paths[own]]
        return replace(parts[0], table=table)

    def continues(self, rows: Rows) -> Bools:
        """Return whether each row (B, K) follows its path's last unit."""
        first, length, _ = self.table[:, -1:].transpose(2, 0, 1)
        return (length > 0) & self.positions.continues(first + length - 1, rows)

    def extended(self, paths: Rows, rows: Rows, lengths: Rows, onset: int) -> UnitHistory:
        """Return some paths with one more unit each, without units that no limit can concern."""
        old = self.table[paths]
        new = np.stack([rows, lengths, np.full_like(rows, onset)], 1)
        on = replace(self, table=old).continues(rows[:, None])[:, 0]
        new[on] = old[on, -1]  # a unit that continues moves to the new column
        new[on, 1] += lengths[on]
        old[on, -1] = NO_UNIT
        if self.limits.max_use is None:
            alive = (old[:, :, 1] > 0) & (old[:, :, 1:].sum(2) + self.limits.hold > onset)
            old = old[:, alive.any(0)]
        return replace(self, table=np.concatenate([old, new[:, None]], 1))

    def bars(self, rows: Rows, lengths: Rows, now: int) -> Bools:
        """Return whether each path may not play each unit from frame `now` on, (B, K).

        `max_use` bars a unit that shares a position with that many earlier ones, so that no
        position is ever used too often.

        Parameters
        ----------
        rows, lengths : ndarray of int64, (B, K) or (1, K)
            First row and length of the units.
        now : int
            Frame of the result at which they begin.
        """
        barred = np.zeros((len(self.table), rows.shape[1]), bool)
        near = self._neighbours(rows, lengths)
        hold, max_use, longest = self.limits.hold, self.limits.max_use, self.limits.longest
        if longest is not None:
            barred |= self.continues(rows) & (self.table[:, -1:, 1] + lengths > longest)
        if hold:
            lately = now - self.table[:, :, 1:].sum(2) < hold
            those = near & lately[:, :, None]
            barred |= self._meet(rows, lengths, those, now, radius=NEAR_POSITIONS, hold=hold).any(1)
        if max_use is not None:
            barred |= self._meet(rows, lengths, near, now, radius=0).sum(1) >= max_use
        return barred

    def _neighbours(self, rows: Rows, lengths: Rows) -> Bools:
        """Return which earlier units have positions near those of each unit, (B, U, K).

        A continuation of the last unit is the same unit, and not among them.
        """
        of_row = self.positions.of_row
        first, last = of_row[rows][:, None], of_row[rows + lengths - 1][:, None]
        own_rows, own_lengths = self.table[:, :, 0], self.table[:, :, 1]
        own_first = of_row[own_rows][:, :, None]
        own_last = of_row[own_rows + np.maximum(own_lengths, 1) - 1][:, :, None]
        near = (own_lengths > 0)[:, :, None] & (first - own_last <= NEAR_POSITIONS)
        near &= own_first - last <= NEAR_POSITIONS
        near[:, -1] &= ~self.continues(rows)
        return near

    def _meet(
        self, rows: Rows, lengths: Rows, among: Bools, now: int, *, radius: int, hold: int = 0
    ) -> Bools:
        """Return which units `among` (B, U, K) have a position within `radius` of one of each unit.

        With a hold, only frames at most that far apart in the result count.
        """
        result = np.zeros(among.shape, bool)
        path, unit, k = np.nonzero(among)
        if not len(path):
            return result
        rows, lengths = (np.broadcast_to(a, (len(among), a.shape[1])) for a in (rows, lengths))
        counts = lengths[path, k]
        starts = np.cumsum(counts) - counts
        pair = np.repeat(np.arange(len(path)), counts)
        frame = np.arange(counts.sum()) - np.repeat(starts, counts)  # of the unit to come
        own_row, own_length, onset = (self.table[path, unit, i][pair] for i in range(3))
        position = self.positions.of_row[rows[path, k][pair] + frame]
        first, end = self.positions.rows_within(self.positions.files[own_row], position, radius)
        first = np.maximum(first - own_row, 0)
        if hold:
            first = np.maximum(first, now + frame - onset - hold)
        met = first < np.minimum(end - own_row, own_length)
        result[path, unit, k] = np.logical_or.reduceat(met, starts)
        return result

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
REACH_S = 0.5
"""A jump up to this far ahead stays in the same place, seconds."""
NO_UNIT = (0, 0, 0, 0)


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
    reach : int
        Positions that count as a little ahead; the same position at another speed does, too.
    """

    hold: int
    max_use: int | None
    longest: int | None = None
    reach: int = 0

    @property
    def memory(self) -> int:
        """Frames to remember, at least one."""
        return max(self.hold, 1 if self.max_use is None else LAG_FRAMES)

    def stays(self, last: Int32, positions: Int32) -> Bools:
        """Return whether a jump from the last positions to others stays in the same place."""
        return (positions >= last) & (positions - last <= self.reach)


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
            "hold_s=%g is shortened to %.2f s: the corpus has only %d source positions",
            selection.hold_s,
            longest / frame_rate,
            n_positions,
        )
    hold, unit = min(wanted, longest), None
    reach = max(NEAR_POSITIONS, round(REACH_S * frame_rate))
    left = n_positions - used_up - 1 - (2 * NEAR_POSITIONS + 1) * hold
    if selection.max_unit_s is not None:
        unit = max(1, math.floor(selection.max_unit_s * frame_rate + 1e-9))
        if left <= reach:
            if unit < n_frames:
                logger.info(
                    "max_unit_s=%g is not kept: the corpus has only %d source positions",
                    selection.max_unit_s,
                    n_positions,
                )
            unit = None
    return Limits(hold, selection.max_use, unit, reach)


class TabuWindow:
    """Source positions that each path of a beam played lately, oldest first.

    Parameters
    ----------
    limits : Limits
        The constraints.
    n_positions : int
        More than any source position.
    """

    def __init__(self, limits: Limits, n_positions: int) -> None:
        self._limits = limits
        self._used = np.zeros(n_positions if limits.max_use else 0, np.int64)
        self._positions: Int32  # (frames, B)
        self._uses: Int32  # the same, a lasting position once, (frames, B)
        self._ages: Rows  # frames of the current unit, (B,)
        self._stays: Rows  # frames played from the current place, (B,)

    def start(self, positions: Int32) -> None:
        """Begin paths at these positions (B,)."""
        self._positions = np.full((self._limits.memory, len(positions)), NOWHERE, np.int32)
        self._positions[-1] = positions
        self._uses = self._positions
        self._ages = self._stays = np.ones(len(positions), np.int64)

    def follow(self, parents: Positions, positions: Int32, continues: Bools) -> None:
        """Extend path parents[i] by a position as the new path i, in the same unit or another."""
        last = self._positions[-1, parents]
        stays = continues | self._limits.stays(last, positions)
        self._stays = np.where(stays, self._stays[parents] + 1, 1)
        if self._limits.max_use is not None:
            uses = np.where(continues & (positions == last), np.int32(NOWHERE), positions)
            self._uses = np.concatenate([self._uses[1:, parents], uses[None]])
        self._ages = np.where(continues, self._ages[parents] + 1, 1)
        self._positions = np.concatenate([self._positions[1:, parents], positions[None]])

    def settle(self) -> Bools | None:
        """Make the oldest remembered frame of the first path final; drop paths that differ there.

        Return which paths (B,) are kept, or None if all are. Call it before the next frame.
        """
        if self._limits.max_use is None:
            return None
        oldest = self._uses[0].copy()
        self._uses[0] = NOWHERE  # from now on it counts as used
        if oldest[0] != NOWHERE:
            self._used[oldest[0]] += 1
        kept: Bools = oldest == oldest[0]
        if kept.all():
            return None
        self._positions, self._uses = self._positions[:, kept], self._uses[:, kept]
        self._ages, self._stays = self._ages[kept], self._stays[kept]
        return kept

    def bars_jumps(self, positions: Int32, n_paths: int | None = None) -> Bools:
        """Return whether each path, or each of the first, may not jump to each position, (B, K)."""
        hold, max_use, longest = self._limits.hold, self._limits.max_use, self._limits.longest
        held, stays = self._positions[:, :n_paths], self._stays[:n_paths]
        barred = np.zeros((held.shape[1], len(positions)), bool)
        if hold:
            barred |= _near(held[-hold:, :, None], positions).any(0)
        if max_use is not None:
            uses = (self._uses[:, :n_paths, None] == positions).sum(0) + self._used[positions]
            barred |= uses >= max_use
        if longest is not None and (over := stays >= longest).any():
            barred |= over[:, None] & self._limits.stays(held[-1][:, None], positions)
        return barred

    def bars_continuing(self, positions: Int32) -> Bools:
        """Return whether each path may not continue its unit at a position, (B,).

        Positions of the unit itself are no repetition, and one that lasts is used once.
        """
        hold, max_use, longest = self._limits.hold, self._limits.max_use, self._limits.longest
        barred = np.zeros(len(positions), bool)
        if hold:
            earlier = np.arange(-hold, 0)[:, None] < -self._ages
            barred |= (_near(self._positions[-hold:], positions) & earlier).any(0)
        if max_use is not None:
            uses = (self._uses == positions).sum(0) + self._used[positions]
            barred |= (uses >= max_use) & (positions != self._positions[-1])
        if longest is not None:
            barred |= self._stays >= longest
        return barred


def _near(held: Int32, positions: Int32) -> Bools:
    # One comparison instead of two: what is below −NEAR_POSITIONS becomes huge without a sign.
    return (positions - (held - np.int32(NEAR_POSITIONS))).view(np.uint32) <= 2 * NEAR_POSITIONS


@dataclass(frozen=True, eq=False)
class UnitHistory:
    """Units that each of B paths played, oldest first; the last column is the current unit.

    Attributes
    ----------
    table : ndarray of int64, (B, U, 4)
        First row, length, first frame of the result, and frames played from the unit's place up to
        its end; length 0: no unit.
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
        table = np.empty((len(owners), width, len(NO_UNIT)), np.int64)
        for k in used:
            own, missing = owners == k, width - parts[k].table.shape[1]
            table[own, :missing] = NO_UNIT
            table[own, missing:] = parts[k].table[paths[own]]
        return replace(parts[0], table=table)

    def continues(self, rows: Rows) -> Bools:
        """Return whether each row (B, K) follows its path's last unit."""
        first, length = self.table[:, -1:, :2].transpose(2, 0, 1)
        return (length > 0) & self.positions.continues(first + length - 1, rows)

    def stays(self, rows: Rows) -> Bools:
        """Return whether each row (B, K) follows its path's last unit or lies a little ahead."""
        first, length = self.table[:, -1:, :2].transpose(2, 0, 1)
        of_row = self.positions.of_row
        return (length > 0) & self.limits.stays(of_row[first + length - 1], of_row[rows])

    def extended(self, paths: Rows, rows: Rows, lengths: Rows, onset: int) -> UnitHistory:
        """Return some paths with one more unit each, without units that no limit can concern."""
        old = self.table[paths]
        past = replace(self, table=old)
        stays = old[:, -1, 3] * past.stays(rows[:, None])[:, 0]
        new = np.stack([rows, lengths, np.full_like(rows, onset), stays + lengths], 1)
        on = past.continues(rows[:, None])[:, 0]
        new[on, 0], new[on, 2] = old[on, -1, 0], old[on, -1, 2]  # it moves to the new column
        new[on, 1] += old[on, -1, 1]
        old[on, -1] = NO_UNIT
        if self.limits.max_use is None:
            alive = (old[:, :, 1] > 0) & (old[:, :, 1:3].sum(2) + self.limits.hold > onset)
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
            barred |= self.stays(rows) & (self.table[:, -1:, 3] + lengths > longest)
        if hold:
            lately = now - self.table[:, :, 1:3].sum(2) < hold
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

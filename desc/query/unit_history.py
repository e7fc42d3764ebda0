"""What the paths of a search by units played lately."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from desc.query.corpus_rows import CorpusRows
from desc.query.limits import Bools, Limits
from desc.query.moments import NEAR_MOMENTS, Ints

NO_UNIT = (0, 0, 0)


@dataclass(frozen=True, eq=False)
class UnitHistory:
    """Units of B paths, oldest first; the last column is the one that sounds until now.

    Attributes
    ----------
    table : ndarray of int64, (B, U, 3)
        First row, frames, and frame of the result; 0 frames: no unit.
    corpus : CorpusRows
        What the rows are rows of.
    limits : Limits
        What is to be kept.
    """

    table: Ints
    corpus: CorpusRows
    limits: Limits

    @classmethod
    def none(cls, corpus: CorpusRows, limits: Limits) -> UnitHistory:
        """Return one path that has played nothing."""
        return cls(np.array([[NO_UNIT]], np.int64), corpus, limits)

    @classmethod
    def gathered(cls, parts: list[UnitHistory], owners: Ints, paths: Ints) -> UnitHistory:
        """Return path `paths[i]` of part `owners[i]` for every i."""
        used = np.unique(owners).tolist()
        width = max(parts[k].table.shape[1] for k in used)
        table = np.empty((len(owners), width, 3), np.int64)
        for k in used:
            own, missing = owners == k, width - parts[k].table.shape[1]
            table[own, :missing] = NO_UNIT
            table[own, missing:] = parts[k].table[paths[own]]
        return replace(parts[0], table=table)

    @property
    def first_rows(self) -> Ints:
        """(B, U) rows at which the units begin."""
        return self.table[:, :, 0]

    @property
    def lengths(self) -> Ints:
        """(B, U) frames."""
        return self.table[:, :, 1]

    @property
    def onsets(self) -> Ints:
        """(B, U) frames of the result at which the units begin."""
        return self.table[:, :, 2]

    def goes_on(self, rows: Ints) -> Bools:
        """Return whether each row (B, K) follows its path's last unit."""
        last = self.first_rows[:, -1:] + self.lengths[:, -1:] - 1
        result: Bools = (self.lengths[:, -1:] > 0) & self.corpus.goes_on(last, rows)
        return result

    def extended(self, paths: Ints, rows: Ints, lengths: Ints, onset: int) -> UnitHistory:
        """Return some paths with a unit more each; what no limit can concern is forgotten."""
        old = self.table[paths]
        new = np.stack([rows, lengths, np.full_like(rows, onset)], 1)
        on = replace(self, table=old).goes_on(rows[:, None])[:, 0]
        new[on] = old[on, -1]  # the unit that goes on moves to the new column
        new[on, 1] += lengths[on]
        old[on, -1] = NO_UNIT
        if self.limits.max_use is None:
            alive = (old[:, :, 1] > 0) & (old[:, :, 1:].sum(2) + self.limits.hold > onset)
            old = old[:, alive.any(0)]
        return replace(self, table=np.concatenate([old, new[:, None]], 1))

    def bars(self, rows: Ints, lengths: Ints, now: int) -> Bools:
        """Return whether each path may not play each unit from frame `now` on, (B, K).

        `max_use` bars a unit that has a moment in common with as many earlier ones, which never
        lets a moment be used too often.

        Parameters
        ----------
        rows, lengths : ndarray of int64, (B, K) or (1, K)
            First row and frames of the units.
        now : int
            Frame at which they begin.
        """
        barred = np.zeros((len(self.table), rows.shape[1]), bool)
        near = self._neighbours(rows, lengths)
        hold, max_use = self.limits.hold, self.limits.max_use
        if hold:
            lately = now - self.onsets - self.lengths < hold
            those = near & lately[:, :, None]
            barred |= self._meet(rows, lengths, those, now, radius=NEAR_MOMENTS, hold=hold).any(1)
        if max_use is not None:
            barred |= self._meet(rows, lengths, near, now, radius=0).sum(1) >= max_use
        return barred

    def _neighbours(self, rows: Ints, lengths: Ints) -> Bools:
        """Return of which earlier units the moments come near each unit's, (B, U, K).

        What goes on from the last unit is the same unit, and not among them.
        """
        moments = self.corpus.moments.of_row
        first, last = moments[rows][:, None], moments[rows + lengths - 1][:, None]
        there = self.lengths > 0
        own_first = moments[self.first_rows][:, :, None]
        own_last = moments[self.first_rows + np.maximum(self.lengths, 1) - 1][:, :, None]
        near = there[:, :, None] & (first - own_last <= NEAR_MOMENTS)
        near &= own_first - last <= NEAR_MOMENTS
        near[:, -1] &= ~self.goes_on(rows)
        return near

    def _meet(
        self, rows: Ints, lengths: Ints, among: Bools, now: int, *, radius: int, hold: int = 0
    ) -> Bools:
        """Return of which units `among` (B, U, K) a moment is within `radius` of one of each unit.

        With a hold only frames count that are no more than so many apart in the result.
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
        moments = self.corpus.moments
        moment = moments.of_row[rows[path, k][pair] + frame]
        first, end = moments.rows_within(moments.files[own_row], moment, radius)
        first = np.maximum(first - own_row, 0)
        if hold:
            first = np.maximum(first, now + frame - onset - hold)
        met = first < np.minimum(end - own_row, own_length)
        result[path, unit, k] = np.logical_or.reduceat(met, starts)
        return result

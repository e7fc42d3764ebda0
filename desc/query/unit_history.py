"""What the paths of a search by units played lately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.query.limits import NOWHERE, Bools, Limits
from desc.query.selection import NEAR_ROWS

Ints = npt.NDArray[np.int64]
NO_UNIT = (NOWHERE, 0, 0)


@dataclass(frozen=True, eq=False)
class UnitHistory:
    """Units of B paths, oldest first; the last column is the one that sounds until now.

    Attributes
    ----------
    table : ndarray of int64, (B, U, 3)
        First place (see `row_places`), frames, and frame of the result; 0 frames: no unit.
    """

    table: Ints

    @classmethod
    def none(cls) -> UnitHistory:
        """Return one path that has played nothing."""
        return cls(np.array([[NO_UNIT]], np.int64))

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
        return cls(table)

    @property
    def places(self) -> Ints:
        """(B, U) first places."""
        return self.table[:, :, 0]

    @property
    def lengths(self) -> Ints:
        """(B, U) frames."""
        return self.table[:, :, 1]

    @property
    def onsets(self) -> Ints:
        """(B, U) frames of the result at which the units begin."""
        return self.table[:, :, 2]

    def continued(self, places: Ints) -> Bools:
        """Return whether each place (B,) goes on from the path's last unit."""
        result: Bools = (self.lengths[:, -1] > 0) & (
            places == self.places[:, -1] + self.lengths[:, -1]
        )
        return result

    def extended(
        self, paths: Ints, places: Ints, lengths: Ints, onset: int, limits: Limits
    ) -> UnitHistory:
        """Return some paths with a unit more each; what no limit can concern is forgotten."""
        old = self.table[paths]
        new = np.stack([places, lengths, np.full_like(places, onset)], 1)
        on = UnitHistory(old).continued(places)
        new[on] = old[on, -1]  # the unit that goes on moves to the new column
        new[on, 1] += lengths[on]
        old[on, -1] = NO_UNIT
        if limits.max_use is None:
            alive = (old[:, :, 1] > 0) & (old[:, :, 1:].sum(2) + limits.hold > onset)
            old = old[:, alive.any(0)]
        return UnitHistory(np.concatenate([old, new[:, None]], 1))

    def bars(self, places: Ints, lengths: Ints, now: int, limits: Limits) -> Bools:
        """Return whether each path may not play each unit from frame `now` on, (B, K).

        Parameters
        ----------
        places, lengths : ndarray of int64, (B, K) or (1, K)
            First place and frames of the units.
        now : int
            Frame at which they begin.
        limits : Limits
            `max_use` bars a unit that overlaps as many earlier ones, which never lets a row be
            used too often.
        """
        count = len(self.places), places.shape[1]
        barred = np.zeros(count, bool)
        own_places, own_lengths = self.places[:, :, None], self.lengths[:, :, None]  # (B, U, 1)
        there = own_lengths > 0
        places, lengths = places[:, None, :], lengths[:, None, :]  # (B or 1, 1, K)
        distance = places - own_places
        if limits.hold:
            # Frame i of the unit meets frame j of an earlier one where i − j = k.
            after = now - self.onsets[:, :, None]
            least = np.maximum(-NEAR_ROWS - distance, 1 - own_lengths)
            most = np.minimum(np.minimum(NEAR_ROWS - distance, lengths - 1), limits.hold - after)
            near = there & (least <= most)
            # What goes on from the last unit is the same unit.
            near[:, -1] &= distance[:, -1] != own_lengths[:, -1]
            barred |= near.any(1)
        if limits.max_use is not None:
            overlap = there & (distance < own_lengths) & (distance > -lengths)
            barred |= overlap.sum(1) >= limits.max_use
        return barred

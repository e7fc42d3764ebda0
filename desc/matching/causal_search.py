"""Causal search: a row for each frame, chosen with what is known up to that frame.

The costs are those of `frame_search`: a frame costs the distance between the target and the row
played, a jump also costs a transition and a constant. What needs the future there is replaced:

* A jump is made when it would have paid already. The excess of the distances of the current unit
  over those of the best jumps is added up since the unit began; the search jumps once that exceeds
  three times the cost of the jump (a rule of ski rental).
* The typical distance, in whose unit the other costs are, is the mean of the nearest distances so
  far; after six seconds older frames are forgotten exponentially.
* The change of the target that excuses a jump is what is above the mean of the second before.
* Units longer than a frame are played to their end in the corpus, and jumps lead to beginnings.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from desc.configuration import SelectionConfig
from desc.matching.arrays import Bools, Float32, Float64, Rows
from desc.matching.frame_search import WIDENING
from desc.matching.knn import paired
from desc.matching.nearest import NearestRows
from desc.matching.repetition import Limits, TabuWindow, feasible_limits
from desc.matching.slow_scale import SLOW_S
from desc.matching.transitions import TIE, Transitions

TYPICAL_S = 6.0
"""Time over which the typical distance is measured, seconds."""
PATIENCE = 3.0
"""Excess that makes a jump, as a multiple of its cost. Units are as long as those of a beam search;
with 1.5 they are half as long, nearer to the target frame by frame, and sound worse."""
ENDLESS = 1 << 40
"""Frames of a target whose end is not known."""


class Choice(NamedTuple):
    """The row of a frame, whether it continues the row before, and its cost."""

    row: int
    continues: bool
    cost: float


class _Jump(NamedTuple):
    """A jump: where to, the distance there, and what it costs beside; inf: it is barred."""

    row: int
    distance: float
    extra: float


class CausalSearch:
    """Rows for the frames of one layer, one by one.

    Attributes
    ----------
    row : int
        The row of the last frame, -1 before the first.
    """

    def __init__(self) -> None:
        self.row = -1
        self._typical, self._n_heard, self._excess, self._left = 0.0, 0, 0.0, 0
        self._last: Float32 | None = None
        self._changes: deque[float] = deque([0.0])
        self._jump_now = False
        self._transitions: Transitions
        self._limits: Limits | None = None

    def use(
        self,
        transitions: Transitions,
        nearest: NearestRows,
        usable: Bools,
        *,
        selection: SelectionConfig,
        lengths: Rows | None,
        frame_rate: float,
    ) -> None:
        """Set rows and settings; they may change between two frames.

        Parameters
        ----------
        transitions : Transitions
            Rows of the corpus in the match space with the slow scale, and the costs between them.
        nearest : NearestRows
            Finds the rows to which a jump may lead.
        usable : ndarray of bool, (N,)
            Rows that may be played. A row that no longer is is left at once.
        selection : SelectionConfig
            Costs and limits.
        lengths : ndarray of int64, (N,), optional
            Frames of the unit that begins at each row; None: units are single frames.
        frame_rate : float
            Frames per second.
        """
        limits = feasible_limits(
            selection, transitions.positions.count_of(usable), ENDLESS, frame_rate
        )
        moved = self._limits is None or self._transitions is not transitions
        self._transitions, self._nearest, self._usable = transitions, nearest, usable
        self._selection, self._lengths, self._rate = selection, lengths, frame_rate
        self._query = transitions.query
        if moved:
            self.forget()
        if moved or self._limits != limits:
            self._limits = limits
            self._window = TabuWindow(limits, transitions.positions.count)
            if self.row >= 0:
                self._window.start(transitions.positions.of_row[[self.row]])

    def forget(self) -> None:
        """Forget the target so far, but not what was played."""
        self._n_heard, self._excess, self._last = 0, 0.0, None
        local = round(SLOW_S * self._rate / 2) if self._selection.slow_weight else 0
        self._changes = deque([0.0], maxlen=2 * local + 1)

    def jump(self) -> None:
        """Jump at the next frame, if there is a candidate."""
        self._jump_now = True

    def choose(self, point: Float32) -> Choice:
        """Return the row of the next frame of the target, given its point (d,)."""
        positions = self._transitions.positions
        rows, distances = self._nearest.find(point, self._selection.candidates)
        self._hear(point, float(distances[0]))
        if self.row < 0:
            return self._played(int(rows[0]), float(distances[0]), continues=False)
        following, follows = positions.successors(np.array([self.row]))
        barred = self._window.bars_continuing(positions.of_row[following])
        goes_on = bool(follows[0] and self._usable[following[0]] and not barred[0])
        on = float(paired(self._transitions.points[following], point[None], self._query)[0])
        jump = self._best_jump(point, following, rows, distances, must=not goes_on)
        self._excess = max(0.0, self._excess + on - jump.distance)
        due = self._jump_now or (self._left <= 0 and self._excess > PATIENCE * jump.extra)
        if not goes_on or (due and np.isfinite(jump.extra)):
            return self._played(jump.row, jump.distance + jump.extra, continues=False)
        return self._played(int(following[0]), on, continues=True)

    def _best_jump(
        self, point: Float32, following: Rows, rows: Rows, distances: Float64, *, must: bool
    ) -> _Jump:
        """Return the cheapest jump to some rows, or, if one must be made, to more distant ones."""
        while True:
            extra = self._jump_costs(following, rows)
            best = int((distances + extra).argmin())
            if np.isfinite(extra[best]) or not must:
                break
            count = WIDENING * len(rows)
            rows, distances = self._nearest.find(point, count)
            if len(rows) < count:  # there are no more
                must = False
        return _Jump(int(rows[best]), float(distances[best]), float(extra[best]))

    def _hear(self, point: Float32, nearest: float) -> None:
        """Count a frame of the target: the typical distance, and its change."""
        self._n_heard += 1
        share = max(1 / self._n_heard, 1 / (TYPICAL_S * self._rate))
        self._typical += share * (nearest - self._typical)
        if self._last is not None:
            self._changes.append(float(paired(point[None], self._last[None], self._query)[0]))
        self._last = point

    def _jump_costs(self, following: Rows, rows: Rows) -> Float64:
        """Return the costs (m,) of jumps to rows where another would have followed; inf: barred."""
        change = self._changes[-1]
        if len(self._changes) > 1:
            change = max(0.0, change - sum(self._changes) / len(self._changes))
        octave_cost = self._selection.pitch_continuity * self._typical
        costs = self._transitions.costs(following, rows, change, octave_cost)[0]
        costs += self._selection.continuity * self._typical + TIE
        barred = self._window.bars_jumps(self._transitions.positions.of_row[rows])[0]
        costs[barred | (rows == following)] = np.inf
        return costs

    def _played(self, row: int, cost: float, *, continues: bool) -> Choice:
        position = self._transitions.positions.of_row[[row]]
        if self.row < 0:
            self._window.start(position)
        else:
            none = np.zeros(1, np.intp)
            self._window.follow(none, position, np.array([continues]))
        if not continues or self._left <= 0:
            self._left = 1 if self._lengths is None else int(self._lengths[row])
        if not continues:
            self._excess, self._jump_now = 0.0, False
        self._left -= 1
        self.row = row
        return Choice(row, continues, cost)

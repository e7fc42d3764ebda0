"""Beam search for the cheapest sequence of units longer than a frame, from boundary to boundary.

A unit costs the sum of the distances between its frames and the target's. Unless it continues the
unit before it, it also costs a transition and a constant, as in `frame_search`. Paths of
equal length compete.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from desc.matching.arrays import Float32, Float64, Positions, Rows
from desc.matching.boundaries import UnitBoundaries
from desc.matching.frame_search import WIDENING
from desc.matching.knn import paired
from desc.matching.points import Points
from desc.matching.repetition import UnitHistory
from desc.matching.transitions import Problem

logger = logging.getLogger(__name__)

SINGLE_CANDIDATES = 64
"""Frames tried first where no whole unit is allowed."""


def search_units(
    problem: Problem, boundaries: UnitBoundaries, sketches: Points, starts: Rows
) -> tuple[Rows, Float64]:
    """Choose whole units; return the row of each frame (T,) and its cost (T,).

    The next unit begins where the last one ends, the final one is cut. Units on beats are cut at
    the target's beats, and the first one begins as long before a beat as the target does. With the
    selection `nearest` each unit is the nearest one, without transition costs. If the limits leave
    no whole unit, single frames are taken and a line is logged.

    Parameters
    ----------
    problem : Problem
        At least one frame.
    boundaries : UnitBoundaries
        The possible units.
    sketches : Points
        Their sketches, see `UnitBoundaries.sketches`.
    starts : ndarray of int64, (n,)
        Frames of the target at which units begin, see `UnitBoundaries.target_starts`.
    """
    beam = _UnitBeam(problem, boundaries, sketches, starts)
    rows, costs = beam.run()
    if beam.n_widened:
        logger.info(
            "the limits on repetition left no unit %d times; more distant units or single frames "
            "were used",
            beam.n_widened,
        )
    return rows, costs


@dataclass(frozen=True, eq=False)
class _Paths:
    """Paths of equal length: node and last row of their last unit, cost, history."""

    nodes: Positions
    rows: Rows
    costs: Float64
    history: UnitHistory

    @classmethod
    def together(cls, parts: list[tuple[_Paths, Positions]], width: int) -> _Paths:
        """Return the cheapest `width` of some paths of all parts."""
        costs = np.concatenate([part.costs[those] for part, those in parts])
        best = np.argsort(costs, kind="stable")[:width]
        owners = np.repeat(np.arange(len(parts)), [len(those) for _, those in parts])[best]
        nodes = np.concatenate([part.nodes[those] for part, those in parts])[best]
        rows = np.concatenate([part.rows[those] for part, those in parts])[best]
        own = np.concatenate([those for _, those in parts])[best]
        history = UnitHistory.gathered([part.history for part, _ in parts], owners, own)
        return cls(nodes, rows, costs[best], history)


@dataclass(frozen=True, eq=False)
class _Extensions:
    """Extensions of paths: parent path, first row, length and total cost of each."""

    parents: Positions
    rows: Rows
    lengths: Rows
    costs: Float64

    def allowed(self) -> _Extensions:
        """Return those whose cost is finite."""
        those = np.flatnonzero(np.isfinite(self.costs))
        return _Extensions(*(part[those] for part in vars(self).values()))


class _Nodes:
    """All units of all paths, each with the one before it."""

    def __init__(self) -> None:
        self._parts: list[tuple[Positions, Rows, Rows, Float64]] = []
        self._count = 0

    def add(self, parents: Positions, extensions: _Extensions) -> Positions:
        """Keep units; return their numbers."""
        self._parts.append((parents, extensions.rows, extensions.lengths, extensions.costs))
        self._count += len(parents)
        return np.arange(self._count - len(parents), self._count)

    def traced(self, node: int) -> tuple[Rows, Float64]:
        """Return the row of each frame (T,) of the path to a node, and the cost of each."""
        parents, rows, lengths, costs = (np.concatenate(p) for p in zip(*self._parts, strict=True))
        chain = [node]
        while parents[chain[-1]] >= 0:
            chain.append(int(parents[chain[-1]]))
        chain.reverse()
        spans = [rows[n] + np.arange(lengths[n]) for n in chain]
        before = [0.0, *(costs[n] for n in chain[:-1])]
        per_frame = [
            np.full(lengths[n], costs[n] - total) / lengths[n]
            for n, total in zip(chain, before, strict=True)
        ]
        return np.concatenate(spans), np.concatenate(per_frame)


class _UnitBeam:
    """Paths followed in parallel from boundary to boundary."""

    def __init__(
        self, problem: Problem, boundaries: UnitBoundaries, sketches: Points, starts: Rows
    ) -> None:
        self.n_widened = 0
        self._problem = problem
        self._points, self._rows = problem.points, problem.transitions.points
        self._positions = problem.transitions.positions
        self._boundaries = boundaries
        self._greedy = problem.selection.selection == "nearest"
        self._rng = np.random.default_rng(problem.seed)
        self._starts, self._sketches = boundaries.starts, sketches
        self._usable = problem.usable[self._starts]
        self._n_usable = int(self._usable.sum())
        self._n_candidates = min(problem.selection.candidates, self._n_usable)
        self._anchors = starts
        self._stops = boundaries.target_stops(starts, len(self._points))

    def run(self) -> tuple[Rows, Float64]:
        """Return the rows (T,) of the cheapest path, and the cost of each."""
        n_frames = len(self._points)
        width = 1 if self._greedy else self._problem.selection.beam_width
        nearest = self._nearest(self._anchors, self._n_candidates)
        found = dict(zip([0, *self._anchors[1:].tolist()], nearest, strict=True))
        nodes = _Nodes()
        none = np.full(1, -1)
        history = UnitHistory.empty(self._positions, self._problem.limits)
        waiting: dict[int, list[tuple[_Paths, Positions]]] = defaultdict(list)
        waiting[0].append((_Paths(none, none, np.zeros(1), history), np.zeros(1, np.intp)))
        for frame in range(n_frames):
            if frame not in waiting:
                continue
            paths = _Paths.together(waiting.pop(frame), width)
            new = self._extensions(frame, paths, found.get(frame))
            numbers = nodes.add(paths.nodes[new.parents], new)
            history = paths.history.extended(new.parents, new.rows, new.lengths, frame)
            longer = _Paths(numbers, new.rows + new.lengths - 1, new.costs, history)
            for length in set(new.lengths.tolist()):
                those = np.flatnonzero(new.lengths == length)
                waiting[frame + length].append((longer, those))
        best = _Paths.together(waiting[n_frames], 1)
        return nodes.traced(int(best.nodes[0]))

    def _nearest(self, frames: Rows, count: int) -> Rows:
        """Return the nearest units for the target from each frame on, as positions in `_starts`."""
        sketches = self._boundaries.sketches(self._points, frames, len(self._points) - frames)
        return self._sketches.nearest(sketches, self._usable, count).rows

    def _extensions(self, frame: int, paths: _Paths, near: Rows | None) -> _Extensions:
        """Return the extensions of the paths; if none is allowed, with more units, then frames."""
        continued = self._continued(frame, paths)
        lead = int(self._anchors[0]) if frame == 0 else 0
        count, here = self._n_candidates, np.array([frame + lead])
        if near is None:  # after a unit that was cut short by the end of its file
            near = self._nearest(here, count)[0]
        rows = self._before(self._starts[near], lead)
        found = self._merged(frame, paths, continued, rows, self._boundaries.lengths[rows])
        self.n_widened += not len(found.rows)
        while not len(found.rows) and count < self._n_usable:
            count = min(WIDENING * count, self._n_usable)
            rows = self._before(self._starts[self._nearest(here, count)[0]], lead)
            found = self._merged(frame, paths, continued, rows, self._boundaries.lengths[rows])
        count = SINGLE_CANDIDATES
        while not len(found.rows):  # ends: `feasible_limits` leaves a row to every path
            rows = self._problem.nearest(frame, count).rows[0]
            found = self._merged(frame, paths, continued, rows, np.ones(len(rows), np.int64))
            count *= WIDENING
        return found

    def _before(self, rows: Rows, lead: int) -> Rows:
        """Return the rows that lie `lead` frames earlier in the same file, where there are any."""
        earlier, chain = np.maximum(rows - lead, 0), self._positions.chain
        return earlier[chain[rows] - chain[earlier] == lead]

    def _continued(self, frame: int, paths: _Paths) -> _Extensions:
        """Return each path extended by the unit that follows its last one in the file."""
        if paths.rows[0] < 0:
            rows, follow = np.zeros(1, np.int64), np.zeros(1, bool)
        else:
            rows, follow = self._positions.successors(paths.rows)
        lengths = np.minimum(self._boundaries.lengths[rows], self._stops[frame] - frame)
        follow &= lengths > 0
        lengths = np.maximum(lengths, 1)
        costs = np.where(follow, paths.costs + self._distances(frame, rows, lengths), np.inf)
        costs[paths.history.bars(rows[:, None], lengths[:, None], frame)[:, 0]] = np.inf
        return _Extensions(np.arange(len(paths.rows)), rows, lengths, costs)

    def _merged(
        self, frame: int, paths: _Paths, continued: _Extensions, rows: Rows, lengths: Rows
    ) -> _Extensions:
        """Return the allowed extensions, by continuing or by a jump to one of the rows."""
        lengths = np.minimum(lengths, self._stops[frame] - frame)
        totals = np.repeat(paths.costs[:, None], len(rows), axis=1)  # (B, K)
        if not self._greedy and paths.rows[0] >= 0:
            joins = self._problem.transition_costs(continued.rows, rows, frame)
            totals += joins + self._problem.jump_cost
        totals[paths.history.bars(rows[None], lengths[None], frame)] = np.inf
        parents = totals.argmin(0)
        costs = totals[parents, np.arange(len(rows))] + self._distances(frame, rows, lengths)
        if self._problem.random_cost:
            costs += lengths * self._rng.exponential(self._problem.random_cost, len(rows))
        # A unit reached both ways is kept once: by continuing, if that costs no more.
        same = np.flatnonzero(continued.rows[:, None] == rows)  # nonzero takes 5 times as long
        path, candidate = divmod(same, len(rows))
        on = continued.costs.copy()
        worse = on[path] > costs[candidate]
        costs[candidate[~worse]] = np.inf
        on[path[worse]] = np.inf
        return _Extensions(
            np.concatenate([continued.parents, parents]),
            np.concatenate([continued.rows, rows]),
            np.concatenate([continued.lengths, lengths]),
            np.concatenate([on, costs]),
        ).allowed()

    def _distances(self, frame: int, rows: Rows, lengths: Rows) -> Float64:
        """Return the sum of the distances between each unit's frames and the target's."""
        starts = np.cumsum(lengths) - lengths
        offsets = np.arange(lengths.sum()) - np.repeat(starts, lengths)
        own: Float32 = self._rows[np.repeat(rows, lengths) + offsets]
        apart = paired(own, self._points[frame + offsets], self._problem.transitions.query)
        return np.add.reduceat(apart, starts)

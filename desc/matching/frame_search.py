"""Beam search for the cheapest sequence of rows, frame by frame.

A frame costs the distance between the target and the row played. A jump, any step but to the
successor in the file, also costs a transition (`Transitions.costs`) and a constant. Continuing is
always possible, even where the successor is not among the nearest rows.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from desc.matching.arrays import Bools, Float64, Positions, Rows
from desc.matching.knn import Neighbours, paired
from desc.matching.repetition import TabuWindow
from desc.matching.transitions import Problem

logger = logging.getLogger(__name__)

WIDENING = 8
"""Factor on the number of candidates where all of them are barred."""


def search_frames(problem: Problem, candidates: Neighbours) -> tuple[Rows, Float64]:
    """Choose a row for each frame; return the rows (T,) and the cost of each frame (T,).

    Time and memory are linear in the number of frames. The limits on repetition always hold.
    Without them, and with as many candidates and paths as rows, the result is the optimum. Logs a
    line if candidates had to be added.

    Parameters
    ----------
    problem : Problem
        At least one frame.
    candidates : Neighbours
        Nearest usable rows of each frame, to which a path may jump.
    """
    beam = _Beam(problem)
    rows, costs = beam.run(candidates)
    if beam.n_widened:
        logger.info(
            "%d of %d frames had no candidate left within the limits on repetition; more distant "
            "rows were used",
            beam.n_widened,
            len(rows),
        )
    return rows, costs


class _Step(NamedTuple):
    """Extensions of paths: the parent path, row and total cost of each."""

    parents: Positions
    rows: Rows
    costs: Float64

    def only(self, those: Positions | Bools) -> _Step:
        """Return some of the extensions."""
        return _Step(self.parents[those], self.rows[those], self.costs[those])

    def best(self, count: int) -> _Step:
        """Return the cheapest `count` that are allowed, cheapest first."""
        order = np.argsort(self.costs, kind="stable")[:count]
        return self.only(order[np.isfinite(self.costs[order])])


class _Beam:
    """Paths followed in parallel, each ending in a different row."""

    def __init__(self, problem: Problem) -> None:
        self.n_widened = 0
        self._problem = problem
        self._positions = problem.transitions.positions
        self._width = problem.selection.beam_width
        self._rng = np.random.default_rng(problem.seed)
        self._window = TabuWindow(problem.limits, self._positions.count)

    def run(self, candidates: Neighbours) -> tuple[Rows, Float64]:
        """Return the rows (T,) of the cheapest path, and the cost of each."""
        of_row = self._positions.of_row
        first = _Step(
            np.zeros(candidates.rows.shape[1], np.intp),
            candidates.rows[0],
            candidates.distances[0] + self._random(candidates.rows.shape[1]),
        ).best(self._width)
        self._window.start(of_row[first.rows])
        steps = [first]
        for frame in range(1, len(candidates)):
            current = steps[-1] = self._settled(steps[-1])
            step = self._step(current, frame, candidates.rows[frame], candidates.distances[frame])
            continues = self._positions.continues(current.rows[step.parents], step.rows)
            self._window.follow(step.parents, of_row[step.rows], continues)
            steps.append(step)
        return _traced(steps)

    def _settled(self, step: _Step) -> _Step:
        """Return the paths that agree with the best one on decisions that become final."""
        kept = self._window.settle()
        return step if kept is None else step.only(kept)

    def _step(self, current: _Step, frame: int, rows: Rows, distances: Float64) -> _Step:
        """Return the extensions of the paths; if none is allowed, with more and more candidates."""
        continued = self._continued(current, frame)
        step = self._merged(current, continued, frame, rows, distances)
        self.n_widened += not len(step.rows)
        while not len(step.rows):  # ends: `feasible_limits` leaves a row to every path
            found = self._problem.nearest(frame, WIDENING * len(rows))
            rows, distances = found.rows[0], found.distances[0]
            step = self._merged(current, continued, frame, rows, distances)
        return step

    def _continued(self, current: _Step, frame: int) -> _Step:
        """Return each path extended by the successor of its row."""
        rows, follow = self._positions.successors(current.rows)
        transitions = self._problem.transitions
        point = self._problem.points[frame][None]
        distances = paired(transitions.points[rows], point, transitions.query)
        costs = current.costs + distances
        costs[~follow | self._window.bars_continuing(self._positions.of_row[rows])] = np.inf
        return _Step(np.arange(len(rows)), rows, costs)

    def _merged(
        self, current: _Step, continued: _Step, frame: int, rows: Rows, distances: Float64
    ) -> _Step:
        """Return the best extensions, by continuing in the file or by a jump to one of the rows."""
        distances = distances + self._random(len(rows))
        # Paths that are dearer after any jump than all paths that continue need not be tried.
        dearest = continued.costs.max() if len(continued.costs) == self._width else np.inf
        least = self._problem.jump_cost + distances.min()
        n_paths = max(1, int(np.searchsorted(current.costs + least, dearest)))
        totals = self._problem.transition_costs(continued.rows[:n_paths], rows, frame)  # (B, K)
        totals += current.costs[:n_paths, None] + self._problem.jump_cost
        totals[self._window.bars_jumps(self._positions.of_row[rows], n_paths)] = np.inf
        parents = totals.argmin(0)
        costs = totals[parents, np.arange(len(rows))] + distances
        # A row reached both ways is kept once: by continuing, if that costs no more.
        same = np.flatnonzero(continued.rows[:, None] == rows)  # nonzero takes 5 times as long
        path, candidate = divmod(same, len(rows))
        on = continued.costs.copy()
        worse = on[path] > costs[candidate]
        costs[candidate[~worse]] = np.inf
        on[path[worse]] = np.inf
        return _Step(
            np.concatenate([continued.parents, parents]),
            np.concatenate([continued.rows, rows]),
            np.concatenate([on, costs]),
        ).best(self._width)

    def _random(self, count: int) -> Float64 | float:
        mean = self._problem.random_cost
        return self._rng.exponential(mean, count) if mean else 0.0


def _traced(steps: list[_Step]) -> tuple[Rows, Float64]:
    """Follow the cheapest path back; return its rows and the cost of each frame."""
    rows = np.empty(len(steps), np.int64)
    totals = np.empty(len(steps))
    path = 0
    for t in range(len(steps) - 1, -1, -1):
        rows[t], totals[t] = steps[t].rows[path], steps[t].costs[path]
        path = int(steps[t].parents[path])
    return rows, np.diff(totals, prepend=0.0)

"""Selection of units longer than a frame: a beam search from boundary to boundary.

A unit costs the sum of the distances between its frames and those it answers. What is not the
continuation of the unit before costs a join and a constant, as in `path`. Paths that have come
equally far compete.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from desc.configuration import Note, QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.query.corpus_rows import CorpusRows
from desc.query.limits import Limits, feasible_limits
from desc.query.neighbours import projected, usable_rows
from desc.query.path import TIE, WIDENING
from desc.query.scores import Float32, Float64
from desc.query.search import Matches, Rows, search
from desc.query.selection import Selection, units_of_rows
from desc.query.unit_history import UnitHistory
from desc.query.unit_table import UnitTable

Paths = npt.NDArray[np.intp]
SINGLE_CANDIDATES = 64
"""Frames tried first where no whole unit is allowed."""


def select_units(
    matches: Matches,
    queries: npt.NDArray[np.floating],
    database: DescriptorDatabase,
    standardizer: Standardizer | None = None,
    config: SelectionConfig = SelectionConfig(units="grain"),
    *,
    query: QueryConfig = QueryConfig(),
    exclude_digest: str | None = None,
    seed: int = 0,
    note: Note | None = None,
) -> Selection:
    """Choose whole units of the database, from onset to onset or grains of one length.

    The next unit begins where the last one ends, the final one is cut. With `nearest` each unit is
    the nearest one, without joins and limits. Where the limits leave no whole unit, single frames
    are taken.

    Parameters
    ----------
    matches : Matches
        Nearest rows of the queries; their median distance is the unit of `continuity`.
    queries, database, standardizer, config, query, exclude_digest, seed, note
        As for `select_path`; `config.units` is `onset` or `grain`.

    Raises
    ------
    ConfigurationError
        As `select_path` does; with `onset`, if there are no MFCC among the descriptors.
    """
    points, coordinates = projected(queries, database, standardizer, query)
    if not len(points):
        return Selection(())
    usable = usable_rows(database, query, exclude_digest)
    target = float(np.median(matches.distances[:, 0]))
    leap = config.pitch_continuity * target
    rows = CorpusRows.of(coordinates, usable, database, query, leap=leap)
    limits, width, jump, chance = Limits(0, None), 1, 0.0, 0.0
    if config.selection != "nearest":
        rate = database.config.frame_rate
        limits = feasible_limits(config, rows.n_moments, len(points), rate, note)
        width, jump = config.beam_width, config.continuity * target + TIE
        chance = config.unit_temperature * target if config.selection == "sample" else 0.0
    beam = _UnitBeam(rows, UnitTable.of(database, config), limits, width, config.candidates)
    joins = config.selection != "nearest"
    found, costs = beam.run(points, jump, joins, chance, np.random.default_rng(seed))
    if beam.n_widened and note is not None:
        note(
            f"{beam.n_widened} times no unit was left under hold_s and max_use; units further "
            "away or single frames were taken"
        )
    return Selection(units_of_rows(found, costs, database))


@dataclass(frozen=True, eq=False)
class _Paths:
    """Paths that have come equally far: their last unit's node and row, cost, and history."""

    nodes: Paths
    rows: Rows
    costs: Float64
    history: UnitHistory

    @classmethod
    def together(cls, parts: list[tuple[_Paths, Paths]], width: int) -> _Paths:
        """Return the cheapest `width` of some paths of all parts."""
        costs = np.concatenate([part.costs[those] for part, those in parts])
        best = np.argsort(costs, kind="stable")[:width]
        owners = np.repeat(np.arange(len(parts)), [len(those) for _, those in parts])[best]
        nodes, rows = (
            np.concatenate([getattr(part, name)[those] for part, those in parts])[best]
            for name in ("nodes", "rows")
        )
        own = np.concatenate([those for _, those in parts])[best]
        history = UnitHistory.gathered([part.history for part, _ in parts], owners, own)
        return cls(nodes, rows, costs[best], history)


@dataclass(frozen=True, eq=False)
class _Ways:
    """Ways to go on: the path each goes on from, first row, frames and total cost."""

    parents: Paths
    rows: Rows
    lengths: Rows
    costs: Float64

    def allowed(self) -> _Ways:
        """Return those whose cost is finite."""
        those = np.flatnonzero(np.isfinite(self.costs))
        return _Ways(self.parents[those], self.rows[those], self.lengths[those], self.costs[those])


class _Nodes:
    """All units of all paths, each with the one before it."""

    def __init__(self) -> None:
        self._parts: list[tuple[Paths, Rows, Rows, Float64]] = []
        self._count = 0

    def add(self, parents: Paths, rows: Rows, lengths: Rows, costs: Float64) -> Paths:
        """Keep units; return their numbers."""
        self._parts.append((parents, rows, lengths, costs))
        self._count += len(rows)
        return np.arange(self._count - len(rows), self._count)

    def traced(self, node: int) -> tuple[Rows, Float64]:
        """Return the row of each frame (T,) of the path to a node, and what each added."""
        parents, rows, lengths, costs = (np.concatenate(p) for p in zip(*self._parts, strict=True))
        chain = [node]
        while parents[chain[-1]] >= 0:
            chain.append(int(parents[chain[-1]]))
        chain.reverse()
        spans = [rows[n] + np.arange(lengths[n]) for n in chain]
        per_frame = [
            np.full(lengths[n], (costs[n] - (costs[parents[n]] if parents[n] >= 0 else 0.0)))
            / lengths[n]
            for n in chain
        ]
        return np.concatenate(spans), np.concatenate(per_frame)


class _UnitBeam:
    """Paths followed at once from boundary to boundary."""

    def __init__(
        self, corpus: CorpusRows, table: UnitTable, limits: Limits, width: int, candidates: int
    ) -> None:
        self.n_widened = 0
        self._corpus = corpus
        self._table = table
        self._limits = limits
        self._width = width
        usable = corpus.usable[table.starts]
        n_usable = int(usable.sum())
        self._starts = table.starts[usable]
        self._sketches = table.sketches(corpus.points, self._starts, table.lengths[self._starts])
        self._candidates = min(candidates, n_usable)

    def run(
        self, points: Float32, jump: float, joins: bool, chance: float, rng: np.random.Generator
    ) -> tuple[Rows, Float64]:
        """Return the rows (T,) of the cheapest path, and what each cost."""
        self._points, self._jump, self._joins = points, jump, joins
        self._chance, self._rng = chance, rng
        n_frames, step = len(points), self._table.step
        begins = np.arange(0, n_frames, step)
        self._wanted = self._table.sketches(points, begins, n_frames - begins)
        found = self._nearest(self._wanted, self._candidates)
        nodes = _Nodes()
        none = np.full(1, -1)
        waiting: dict[int, list[tuple[_Paths, Paths]]] = defaultdict(list)
        start = _Paths(none, none, np.zeros(1), UnitHistory.none(self._corpus, self._limits))
        waiting[0].append((start, np.zeros(1, np.intp)))
        for frame in range(n_frames):
            if frame not in waiting:
                continue
            paths = _Paths.together(waiting.pop(frame), self._width)
            near = found.rows[frame // step] if frame % step == 0 else None
            ways = self._ways(frame, paths, near)
            numbers = nodes.add(paths.nodes[ways.parents], ways.rows, ways.lengths, ways.costs)
            history = paths.history.extended(ways.parents, ways.rows, ways.lengths, frame)
            longer = _Paths(numbers, ways.rows + ways.lengths - 1, ways.costs, history)
            for length in set(ways.lengths.tolist()):
                those = np.flatnonzero(ways.lengths == length)
                waiting[frame + length].append((longer, those))
        best = _Paths.together(waiting[n_frames], 1)
        return nodes.traced(int(best.nodes[0]))

    def _nearest(self, sketches: Float32, count: int) -> Matches:
        """Return the nearest unit starts of sketches, as positions in `_starts`."""
        query = replace(self._corpus.query, neighbours=count)
        return search(sketches, self._sketches, np.ones(len(self._starts), bool), query)

    def _ways(self, frame: int, paths: _Paths, near: Rows | None) -> _Ways:
        """Return how the paths go on; where none can, with more candidates, then with frames."""
        on = self._going_on(frame, paths)
        count = self._candidates
        if near is None:  # after a unit that was cut short by the end of its file
            near = self._looked_for(frame, count)
        rows = self._starts[near]
        ways = self._merged(frame, paths, on, rows, self._table.lengths[rows])
        self.n_widened += not len(ways.rows)
        while not len(ways.rows) and count < len(self._starts):
            count = min(WIDENING * count, len(self._starts))
            rows = self._starts[self._looked_for(frame, count)]
            ways = self._merged(frame, paths, on, rows, self._table.lengths[rows])
        count = SINGLE_CANDIDATES
        while not len(ways.rows):  # ends: `feasible_limits` leaves a row to every path
            rows, _ = self._corpus.nearest(self._points[frame], count)
            ways = self._merged(frame, paths, on, rows, np.ones(len(rows), np.int64))
            count *= WIDENING
        return ways

    def _looked_for(self, frame: int, count: int) -> Rows:
        begin = np.array([frame])
        sketch = self._table.sketches(self._points, begin, len(self._points) - begin)
        found: Rows = self._nearest(sketch, count).rows[0]
        return found

    def _going_on(self, frame: int, paths: _Paths) -> _Ways:
        everyone = np.arange(len(paths.rows))
        if paths.rows[0] < 0:
            rows, follow = np.zeros(1, np.int64), np.zeros(1, bool)
        else:
            rows, follow = self._corpus.successors(paths.rows)
        lengths = np.minimum(self._table.lengths[rows], len(self._points) - frame)
        follow &= lengths > 0
        lengths = np.maximum(lengths, 1)
        costs = np.where(follow, paths.costs + self._targets(frame, rows, lengths), np.inf)
        costs[paths.history.bars(rows[:, None], lengths[:, None], frame)[:, 0]] = np.inf
        return _Ways(everyone, rows, lengths, costs)

    def _merged(self, frame: int, paths: _Paths, on: _Ways, rows: Rows, lengths: Rows) -> _Ways:
        """Return the ways on that are allowed, by going on or by a jump to one of the rows."""
        lengths = np.minimum(lengths, len(self._points) - frame)
        totals = np.repeat(paths.costs[:, None], len(rows), axis=1)  # (B, K)
        if self._joins and paths.rows[0] >= 0:
            change = self._corpus.paired(self._points[[frame]], self._points[[frame - 1]])[0]
            totals += self._corpus.joins(on.rows, rows, float(change)) + self._jump
        totals[paths.history.bars(rows[None], lengths[None], frame)] = np.inf
        parents = totals.argmin(0)
        costs = totals[parents, np.arange(len(rows))] + self._targets(frame, rows, lengths)
        if self._chance:
            costs += lengths * self._rng.exponential(self._chance, len(rows))
        # A unit that is reached both ways is kept once: by going on where that is no dearer.
        path, candidate = np.nonzero(on.rows[:, None] == rows)
        on_costs = on.costs.copy()
        worse = on_costs[path] > costs[candidate]
        costs[candidate[~worse]] = np.inf
        on_costs[path[worse]] = np.inf
        return _Ways(
            np.concatenate([on.parents, parents]),
            np.concatenate([on.rows, rows]),
            np.concatenate([on.lengths, lengths]),
            np.concatenate([on_costs, costs]),
        ).allowed()

    def _targets(self, frame: int, rows: Rows, lengths: Rows) -> Float64:
        """Return the sum of the distances of each unit's frames to those they answer."""
        starts = np.cumsum(lengths) - lengths
        offsets = np.arange(lengths.sum()) - np.repeat(starts, lengths)
        own = self._corpus.points[np.repeat(rows, lengths) + offsets]
        distances = self._corpus.paired(own, self._points[frame + offsets])
        sums: Float64 = np.add.reduceat(distances, starts)
        return sums

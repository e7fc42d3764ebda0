"""Unit selection over a whole sequence: a beam search for the cheapest path through the rows.

A frame costs the distance between what was asked for and the row that is played. A jump, which is
anything but going on in the file, costs what `CorpusRows.joins` says of the row that would have
come next and the one jumped to, and `continuity` times the median distance of a frame to its
nearest row. Going on is always possible, also where the next row is not among the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from desc.configuration import Note, QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError
from desc.query.corpus_rows import CorpusRows, paired
from desc.query.limits import History, Limits, feasible_limits
from desc.query.neighbours import projected, usable_rows
from desc.query.scores import Float32, Float64
from desc.query.search import Matches, Rows, search
from desc.query.selection import Selection, units_of_rows

TIE = 1e-9
"""Added to every jump, so that of equal paths the one with fewer units is taken."""
WIDENING = 8
"""Factor on the number of candidates where all of them are barred."""


def select_path(
    matches: Matches,
    queries: npt.NDArray[np.floating],
    database: DescriptorDatabase,
    standardizer: Standardizer | None = None,
    config: SelectionConfig = SelectionConfig(),
    *,
    query: QueryConfig = QueryConfig(),
    exclude_digest: str | None = None,
    seed: int = 0,
    note: Note | None = None,
) -> Selection:
    """Choose rows over the whole sequence; cost is distances to the frames and joins.

    Time and memory are linear in the number of frames. The limits `hold_s` and `max_use` are
    always kept; without them, and with as many candidates and paths as rows, the result is the
    cheapest there is.

    Parameters
    ----------
    matches : Matches
        Of the queries, by the same standardizer, settings and exclusion. Where they hold fewer
        than `config.candidates` rows per frame, the missing ones are searched for.
    queries : ndarray, (T, D)
        Descriptors to be answered, in descriptor units.
    database : DescriptorDatabase
        What may be played.
    standardizer : Standardizer or None
        Statistics of the run; None: those of the database.
    config : SelectionConfig
        Costs and limits. With `sample`, jumping to a candidate costs a random amount more,
        exponential with a mean of `unit_temperature` times the median nearest distance.
    query : QueryConfig
        Distance and weights.
    exclude_digest : str, optional
        See `desc.query.nearest`.
    seed : int
        Of the random amounts.
    note : callable, optional
        Told in one line each if the hold is shortened, or candidates had to be added.

    Raises
    ------
    ConfigurationError
        If the database cannot answer so many frames with `max_use`, or matches and queries differ
        in length.
    """
    if len(matches) != len(queries):
        raise ConfigurationError(
            f"{len(matches)} frames of matches must be as many as the {len(queries)} queries"
        )
    points, coordinates = projected(queries, database, standardizer, query)
    if not len(points):
        return Selection(())
    usable = usable_rows(database, query, exclude_digest)
    n_usable = int(usable.sum())
    target = float(np.median(matches.distances[:, 0]))
    leap = config.pitch_continuity * target
    corpus = CorpusRows.of(coordinates, usable, database, query, leap=leap)
    rate = database.config.frame_rate
    limits = feasible_limits(config, corpus.n_moments, len(points), rate, note)
    if matches.rows.shape[1] < min(config.candidates, n_usable):
        wide = replace(query, neighbours=config.candidates)
        matches = search(points, coordinates, usable, wide)
    chance = config.unit_temperature * target if config.selection == "sample" else 0.0
    rng = np.random.default_rng(seed) if chance else None
    jump = config.continuity * target + TIE
    beam = _Beam(corpus, limits, width=config.beam_width, jump=jump, chance=chance, rng=rng)
    rows, costs = beam.run(points, matches)
    if beam.n_widened and note is not None:
        note(
            f"{beam.n_widened} of {len(rows)} frames had no candidate left under hold_s and "
            "max_use; rows further away were taken"
        )
    return Selection(units_of_rows(rows, costs, database))


def distances_to(
    rows: Rows,
    queries: npt.NDArray[np.floating],
    database: DescriptorDatabase,
    standardizer: Standardizer | None = None,
    config: QueryConfig = QueryConfig(),
) -> Float64:
    """Return the distance (T,) between each query (T, D) and its row (T,), as `nearest` does."""
    points, coordinates = projected(queries, database, standardizer, config)
    return paired(points, coordinates[rows], config)


@dataclass(frozen=True, eq=False)
class _Step:
    """Ways to go on: the path each goes on from, its row and its cost so far."""

    parents: npt.NDArray[np.intp]
    rows: Rows
    costs: Float64

    def best(self, count: int) -> _Step:
        """Return the cheapest `count` that are allowed, cheapest first."""
        order = np.argsort(self.costs, kind="stable")[:count]
        order = order[np.isfinite(self.costs[order])]
        return _Step(self.parents[order], self.rows[order], self.costs[order])


class _Beam:
    """Paths followed at once, each ending in another row."""

    def __init__(
        self,
        corpus: CorpusRows,
        limits: Limits,
        *,
        width: int,
        jump: float,
        chance: float,
        rng: np.random.Generator | None,
    ) -> None:
        self.n_widened = 0
        self._corpus = corpus
        self._width = width
        self._jump = jump
        self._chance = chance
        self._rng = rng
        self._history = History(limits, corpus.moments.count)

    def run(self, points: Float32, matches: Matches) -> tuple[Rows, Float64]:
        """Return the rows (T,) of the cheapest path, and what each cost."""
        moments = self._corpus.moments.of_row
        first = _Step(
            np.zeros(matches.rows.shape[1], np.intp),
            matches.rows[0],
            matches.distances[0] + self._random(matches.rows.shape[1]),
        ).best(self._width)
        self._history.start(moments[first.rows])
        steps = [first]
        changes = self._corpus.paired(points[1:], points[:-1])
        for t in range(1, len(points)):
            current = steps[-1] = self._settled(steps[-1])
            target = points[t], float(changes[t - 1])
            step = self._step(current, target, matches.rows[t], matches.distances[t])
            goes_on = self._corpus.goes_on(current.rows[step.parents], step.rows)
            self._history.follow(step.parents, moments[step.rows], goes_on)
            steps.append(step)
        return _traced(steps)

    def _settled(self, step: _Step) -> _Step:
        """Return the paths that agree with the best one about what is final."""
        agree = self._history.settle()
        if agree is None:
            return step
        if not agree.all():
            self._history.keep(agree)
            step = _Step(step.parents[agree], step.rows[agree], step.costs[agree])
        self._history.forget()
        return step

    def _step(
        self, current: _Step, target: tuple[Float32, float], rows: Rows, distances: Float64
    ) -> _Step:
        """Return how the paths go on; where none can, with more and more candidates."""
        point, change = target
        going_on = self._going_on(current, point)
        step = self._merged(current, going_on, rows, distances, change)
        self.n_widened += not len(step.rows)
        while not len(step.rows):  # ends: `feasible_limits` leaves a row to every path
            rows, distances = self._corpus.nearest(point, WIDENING * len(rows))
            step = self._merged(current, going_on, rows, distances, change)
        return step

    def _going_on(self, current: _Step, point: Float32) -> _Step:
        rows, follow = self._corpus.successors(current.rows)
        distances = self._corpus.distances(point[None], self._corpus.points[rows])[0]
        costs = np.where(follow, current.costs + distances, np.inf)
        barred = self._history.bars_going_on(self._corpus.moments.of_row[rows])
        if barred is not None:
            costs[barred] = np.inf
        return _Step(np.arange(len(rows)), rows, costs)

    def _merged(
        self, current: _Step, going_on: _Step, rows: Rows, distances: Float64, change: float
    ) -> _Step:
        """Return the best ways on, by going on in the file or by a jump to one of the rows."""
        joins = self._corpus.joins(going_on.rows, rows, change)  # (B, K)
        joins += current.costs[:, None] + self._jump
        barred = self._history.bars_jumps(self._corpus.moments.of_row[rows])
        if barred is not None:
            joins[barred] = np.inf
        parents = joins.argmin(0)
        costs = joins[parents, np.arange(len(rows))] + distances + self._random(len(rows))
        # A row that is reached both ways is kept once: by going on where that is no dearer.
        path, candidate = np.nonzero(going_on.rows[:, None] == rows)
        on = going_on.costs.copy()
        worse = on[path] > costs[candidate]
        costs[candidate[~worse]] = np.inf
        on[path[worse]] = np.inf
        return _Step(
            np.concatenate([going_on.parents, parents]),
            np.concatenate([going_on.rows, rows]),
            np.concatenate([on, costs]),
        ).best(self._width)

    def _random(self, count: int) -> Float64 | float:
        return 0.0 if self._rng is None else self._rng.exponential(self._chance, count)


def _traced(steps: list[_Step]) -> tuple[Rows, Float64]:
    """Follow the cheapest path back; return its rows and the cost of each frame."""
    rows = np.empty(len(steps), np.int64)
    totals = np.empty(len(steps))
    path = 0
    for t in range(len(steps) - 1, -1, -1):
        rows[t], totals[t] = steps[t].rows[path], steps[t].costs[path]
        path = int(steps[t].parents[path])
    return rows, np.diff(totals, prepend=0.0)

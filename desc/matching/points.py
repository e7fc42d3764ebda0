"""`Points`: the rows of a database as points of a space, searched exactly or by inverted lists."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from desc.configuration import INDEXED_DISTANCES, QueryConfig
from desc.matching.arrays import Bools, Float32, Rows
from desc.matching.index import INSTALL, InvertedLists, has_faiss
from desc.matching.knn import (
    Neighbours,
    ScoreTable,
    can_keep_table,
    ranked,
    release,
    search,
)
from desc.matching.nearest_one import can_find_one, find_one

logger = logging.getLogger(__name__)

MANY_ROWS = 1 << 20
"""Rows (6.8 h at a hop of 1024) from which points are kept in the cache and `auto` is `ivf`."""
CANDIDATES, FEWEST_CANDIDATES, MAX_CANDIDATES = 4, 32, 1 << 14
"""Candidates of an index per neighbour, fewest and most of a query; more are searched exactly."""
RANKED_ROWS = 1 << 12
"""Candidates ranked at once. Reading a row maps 64 kB around it into memory."""
USUAL, RECALL = 50, 0.996
"""Neighbours by which the cells to read are chosen, and the share of them to be found."""
MEASURED_FILES, MEASURED_ROWS, FEWEST_CELLS = 4, 64, 4
"""Files, and rows of each, by which that is measured, from so many cells on."""
FURTHER, LEAST_SHARE = 2, 0.01
"""Times as many cells are read, and the least share of them. Frames of other music have neighbours
in more cells than rows of the database: in so many they find .98 of them in 1 and in 10 million
rows, without, .93 and .89."""


@dataclass(frozen=True, eq=False)
class Points:
    """The rows of a database as points of a space.

    Attributes
    ----------
    values : ndarray of float32, (N, d)
        The points; memory-mapped where there are many.
    query : QueryConfig
        The distance.
    lists : InvertedLists or None
        Their index; None: they are searched exactly.
    n_probe : int
        Cells of the index that a search reads.
    """

    values: Float32
    query: QueryConfig
    lists: InvertedLists | None = None
    n_probe: int = 1

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def _table(self) -> ScoreTable | None:
        """Score table for exact searches; 25,000 rows of 100 take 20 ms and 10 MB."""
        keeps = can_keep_table(self.values, self.query)
        return ScoreTable(self.values, self.query) if keeps else None

    def nearest(self, queries: Float32, usable: Bools, count: int) -> Neighbours:
        """Return the `count` nearest usable rows of points (T, d), or all if there are fewer.

        Distances are exact. With an index a neighbour may be missed, and the next one is returned
        in its place.
        """
        count = min(count, int(usable.sum()))
        wanted = max(FEWEST_CANDIDATES, CANDIDATES * count)
        if self.lists is None or not len(queries) or wanted > MAX_CANDIDATES:
            n_pairs, n_columns = len(queries) * len(self), self.values.shape[1]
            if count == 1 and can_find_one(self.query, n_pairs, n_columns):
                return find_one(queries, self.values, usable, self.query)
            return search(queries, self.values, usable, count, self.query, table=self._table)
        n_probe = self.n_probe * max(1, count // USUAL)
        candidates = self.lists.candidates(queries, usable, wanted, n_probe)
        few = (candidates >= 0).sum(1) < count
        if few.any():
            exact = search(queries[few], self.values, usable, count, self.query)
            candidates[few] = -1
            candidates[few, :count] = exact.rows
        parts = []
        for start in range(0, len(queries), step := max(1, RANKED_ROWS // wanted)):
            part = slice(start, start + step)
            parts.append(ranked(queries[part], self.values, candidates[part], count, self.query))
            release(self.values)
        rows, distances = ([getattr(one, name) for one in parts] for name in ("rows", "distances"))
        return Neighbours(np.concatenate(rows), np.concatenate(distances))


def wants_lists(query: QueryConfig, n_rows: int) -> bool:
    """Return whether the settings want an index of so many rows; without faiss, log a line."""
    if query.index != "auto":
        return query.index == "ivf"
    if n_rows < MANY_ROWS or query.distance not in INDEXED_DISTANCES:
        return False
    if not has_faiss():
        logger.info("faiss is not installed, so the search of %d rows is slow: %s", n_rows, INSTALL)
    return has_faiss()


def measured(points: Points, starts: Rows) -> dict[str, float]:
    """Return the cells to read, `n_probe`, and their `recall`, by rows of the database.

    Rows of some files, evenly spread, are looked for in all other files. `FURTHER` times the fewest
    cells with the wanted recall are read, `LEAST_SHARE` of all at least. Logs a line.

    Parameters
    ----------
    points : Points
        With lists.
    starts : ndarray of int, (F + 1,)
        First row of each file, and the number of rows.
    """
    values, asked, starts = points.values, [], np.unique(starts)
    for index in np.unique(np.linspace(0, len(starts) - 2, MEASURED_FILES).round().astype(int)):
        first, stop = starts[index : index + 2]
        rows = np.unique(np.linspace(first, stop - 1, MEASURED_ROWS).astype(np.int64))
        usable = np.ones(len(values), bool)
        usable[first:stop] = stop - first == len(values)
        queries = np.array(values[rows])
        asked.append((queries, usable, search(queries, values, usable, USUAL, points.query).rows))
    n_cells = 1 if points.lists is None else points.lists.n_cells

    def recall_in(n_probe: int) -> float:
        own = replace(points, n_probe=n_probe)
        found = [
            (own.nearest(queries, usable, USUAL).rows[:, None] == true[:, :, None]).any(2).ravel()
            for queries, usable, true in asked
        ]
        return float(np.concatenate(found).mean())

    n_probe = min(FEWEST_CELLS, n_cells)
    while recall_in(n_probe) < RECALL and n_probe < n_cells:
        n_probe = min(n_probe * 3 // 2, n_cells)
    n_probe = min(max(FURTHER * n_probe, round(LEAST_SHARE * n_cells)), n_cells)
    recall = recall_in(n_probe)
    logger.info(
        "index of %d rows: it finds %.1f %% of the %d nearest in %d of %d cells",
        *(len(values), 100 * recall, USUAL, n_probe, n_cells),
    )
    return {"n_probe": n_probe, "recall": recall}

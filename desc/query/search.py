"""Exact nearest neighbours of points among points.

Scores of all rows are made block by block and only the smallest one of every `GROUP` rows is
kept, and of those the smallest one of every `CLUSTER` groups. The K-th smallest of the latter
bounds the distance of the K-th neighbour from above, so the few groups that reach below the bound
hold all neighbours; their rows are compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.configuration import QueryConfig
from desc.query.scores import Float32, Float64, Scores, make_scores

Rows = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]
Pairs = tuple[Positions, Positions]

GROUP, CLUSTER = 16, 4
"""Rows of which one score is kept, and groups of which the bound sees one: among 8, 16, 32 and
1, 2, 4, 8 the quickest together for 1 and for 50 neighbours in 100,000 rows."""
MIN_CANDIDATES = 4
"""Fewest rows that are compared exactly."""
MAX_SCORES = 1 << 23
"""Kept scores per block of queries, 32 MB."""
MAX_CANDIDATE_VALUES = 1 << 22
"""Numbers gathered at once when groups are opened, 16 MB."""


@dataclass(frozen=True, eq=False)
class Matches:
    """The nearest rows of each frame.

    Attributes
    ----------
    rows : ndarray of int64, (T, K)
        Rows of the database, nearest first; rows equally near in ascending order.
    distances : ndarray of float64, (T, K)
        Their distances in the match space; cosine: 1 − cos, from 0 to 2.
    """

    rows: Rows
    distances: Float64

    def __len__(self) -> int:
        return len(self.rows)


def search(
    queries: Float32,
    coordinates: Float32,
    usable: npt.NDArray[np.bool_],
    config: QueryConfig,
) -> Matches:
    """Return the nearest usable rows of coordinates (N, d) for queries (T, d).

    Parameters
    ----------
    queries, coordinates : ndarray of float32, (T, d) and (N, d)
        Points of the match space.
    usable : ndarray of bool, (N,)
        Rows that may be found, at least one.
    config : QueryConfig
        Distance and the number of neighbours.
    """
    n_neighbours = min(config.neighbours, int(usable.sum()))
    padding = -len(coordinates) % (GROUP * CLUSTER)
    padded = np.pad(coordinates, ((0, padding), (0, 0)), mode="edge")
    usable = np.pad(usable, (0, padding))
    scores = make_scores(padded, usable, config)
    step = max(16, min(scores.block_shape[1], MAX_SCORES * GROUP // len(padded)))
    rows = np.empty((len(queries), n_neighbours), np.int64)
    distances = np.empty((len(queries), n_neighbours))
    # Scores beyond the range of float32 are infinite, which is what they should be.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            prepared = scores.prepare(block)
            minima = _group_minima(scores, prepared)
            limit, query, group = _groups_within(
                scores, minima, prepared, max(n_neighbours, MIN_CANDIDATES)
            )
            for part in _parts(query, group, scores.table.shape[1]):
                found, near = _open_groups(scores, prepared, limit, part, usable)
                exact = scores.exact(padded[near], block[found])
                into = slice(start + part[0][0], start + part[0][-1] + 1)
                rows[into], distances[into] = _best(found, near, exact, n_neighbours)
    return Matches(rows, distances)


def _group_minima(scores: Scores, prepared: Float32) -> Float32:
    """Return the smallest score of each group of rows, (G, Q)."""
    n_queries, n_rows = len(prepared), scores.block_shape[0]
    queries = np.ascontiguousarray(prepared.T)
    minima = np.empty((len(scores.table) // GROUP, n_queries), np.float32)
    buffer = np.empty(n_rows * n_queries, np.float32)
    for start in range(0, len(scores.table), n_rows):
        rows = scores.table[start : start + n_rows]
        out = buffer[: len(rows) * n_queries].reshape(len(rows), n_queries)
        scores.block(rows, queries, out)
        first, count = start // GROUP, len(rows) // GROUP
        grouped = out.reshape(count, GROUP, n_queries)
        np.minimum.reduce(grouped, axis=1, out=minima[first : first + count])
    return minima


def _groups_within(
    scores: Scores, minima: Float32, prepared: Float32, count: int
) -> tuple[Float32, Positions, Positions]:
    """Return the score (Q,) above which no row is among the `count` nearest, and where to look.

    The latter are pairs of query and group, in ascending order of the query.
    """
    n_groups, n_queries = minima.shape
    clustered = minima.reshape(n_groups // CLUSTER, CLUSTER, n_queries)
    smallest = np.ascontiguousarray(clustered.min(axis=1).T)
    if count <= smallest.shape[1]:
        limit = scores.limit(_nth_smallest(smallest, count), prepared)
    elif count <= n_groups:
        limit = scores.limit(_nth_smallest(minima.T, count), prepared)
    else:
        limit = np.full(n_queries, np.inf, np.float32)
    query, cluster = np.nonzero(smallest <= limit[:, None])
    pair, member = np.nonzero(clustered[cluster, :, query] <= limit[query][:, None])
    return limit, query[pair], cluster[pair] * CLUSTER + member


def _nth_smallest(values: Float32, count: int) -> Float32:
    """Return the `count`-th smallest value of each row."""
    nth: Float32 = np.partition(values, count - 1, axis=1)[:, count - 1]
    return nth


def _parts(query: Positions, group: Positions, width: int) -> Iterator[Pairs]:
    """Split the pairs of query and group between queries so that each part is small in memory."""
    limit = max(1, MAX_CANDIDATE_VALUES // (GROUP * width))
    ends = np.flatnonzero(np.diff(query, append=-1)) + 1
    start = first = 0
    while first < len(ends):
        stop = max(first + 1, int(np.searchsorted(ends, start + limit, side="right")))
        end = int(ends[stop - 1])
        yield query[start:end], group[start:end]
        start, first = end, stop


def _open_groups(
    scores: Scores,
    prepared: Float32,
    limit: Float32,
    part: Pairs,
    usable: npt.NDArray[np.bool_],
) -> Pairs:
    """Return (query, row) of all rows of the groups whose scores are within the limit."""
    query, group = part
    grouped = scores.table.reshape(-1, GROUP, scores.table.shape[1])
    within = scores.pairs(grouped[group], prepared[query]) <= limit[query][:, None]
    within &= usable.reshape(-1, GROUP)[group]
    pair, member = np.nonzero(within)
    return query[pair], group[pair] * GROUP + member


def _best(query: Positions, row: Positions, distance: Float64, count: int) -> tuple[Rows, Float64]:
    """Return the `count` nearest candidates of each query, ties to the lower row."""
    order = np.lexsort((row, distance, query))
    starts = np.flatnonzero(np.diff(query[order], prepend=-1))
    take = order[starts[:, None] + np.arange(count)]
    return row[take], distance[take]

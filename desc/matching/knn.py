"""Exact k-nearest-neighbour search, and the distances of the match space.

Euclidean and cosine distances are ordered by one float32 matrix product. Scores of all rows are
computed block by block. Only the smallest score of every `GROUP` rows is kept, and the smallest
of every `CLUSTER` groups. The K-th smallest of the latter bounds the distance of the K-th neighbour
from above, so the few groups that reach below the bound hold all neighbours; their rows are
compared exactly, in float64. Rows of a group lie far apart in the corpus: consecutive rows are
alike, and several neighbours in one cluster would loosen the bound. Minkowski distances are
computed by scipy, block by block.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from desc.configuration import QueryConfig
from desc.matching.arrays import Bools, Float32, Float64, Positions, Rows

Pairs = tuple[Positions, Positions]

UNIT_ROUNDOFF = 2.0**-24
"""Largest relative error of one float32 operation."""
GROUP, CLUSTER = 8, 16
"""Rows per kept score, and groups per cluster: among 4, 8, 16 and 8, 16 the fastest for the 50
neighbours of predicted frames in ten minutes of sounds."""
BLOCK_GROUPS, BLOCK_QUERIES = 16, 512
"""Groups and queries scored at once, so that the scores stay in the processor's cache."""
CENTRE_ROWS = 4096
"""Least number of rows, evenly spread, whose mean is the origin of scores; of fewer rows all."""
LARGE_P = 16.0
"""Minkowski exponent above which the largest difference is scored."""
MIN_CANDIDATES = 4
"""Fewest rows that are compared exactly."""
MAX_SCORES = 1 << 24
"""Kept scores per block of queries, 64 MB."""
MAX_CANDIDATE_VALUES = 1 << 20
"""Numbers gathered at once when groups are opened, 4 MB: with 16 MB, which no cache holds, a search
takes a third longer."""
MAX_KEPT_VALUES = 1 << 24
"""Numbers of the largest table that is kept for further searches, 64 MB."""
MAX_ROWS = 1 << 19
"""Rows searched at once; more are searched in parts, so that they need not be in memory."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The K nearest rows of each of T frames.

    Attributes
    ----------
    rows : ndarray of int64, (T, K)
        Rows of the database, nearest first; equally near rows in ascending order.
    distances : ndarray of float64, (T, K)
        Their distances in the match space; cosine: 1 − cos, from 0 to 2.
    """

    rows: Rows
    distances: Float64

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Neighbours(rows {self.rows.shape}, distances {self.distances.shape})"


def search(
    queries: Float32,
    coordinates: Float32,
    usable: Bools,
    count: int,
    query: QueryConfig,
    *,
    table: ScoreTable | None = None,
) -> Neighbours:
    """Return the `count` nearest usable rows of coordinates (N, d) for queries (T, d).

    Distances are exact to float64 given coordinates in float32.

    Parameters
    ----------
    queries, coordinates : ndarray of float32, (T, d) and (N, d)
        Points of the match space.
    usable : ndarray of bool, (N,)
        Rows that may be found, at least one.
    count : int
        Number of neighbours; all usable rows if there are fewer.
    query : QueryConfig
        Distance.
    table : ScoreTable, optional
        That of the coordinates, if they are searched more than once: see `can_keep_table`.
    """
    count = min(count, int(usable.sum()))
    if len(coordinates) > MAX_ROWS:
        return _search_in_parts(queries, coordinates, usable, count, query)
    rows = np.empty((len(queries), count), np.int64)
    distances = np.empty((len(queries), count))
    least = max(count, MIN_CANDIDATES)
    candidates: _Minkowski | _Product
    if _exponent(query) is None:
        candidates = _Product(table or ScoreTable(coordinates, query), usable, least)
    else:
        candidates = _Minkowski(coordinates, usable, least, query)
    # Scores beyond the range of float32 become infinite, as they should.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(queries), candidates.step):
            block = queries[start : start + candidates.step]
            for found, near in candidates.of(block):
                exact = paired(coordinates[near], block[found], query)
                into = slice(start + found[0], start + found[-1] + 1)
                rows[into], distances[into] = _best(found, near, exact, count)
    return Neighbours(rows, distances)


def _search_in_parts(
    queries: Float32, coordinates: Float32, usable: Bools, count: int, query: QueryConfig
) -> Neighbours:
    parts = []
    for first in range(0, len(coordinates), MAX_ROWS):
        part = slice(first, first + MAX_ROWS)
        if usable[part].any():
            found = search(queries, coordinates[part], usable[part], count, query)
            parts.append(Neighbours(first + found.rows, found.distances))
        release(coordinates)
    return merged(parts, count)


def release(values: Float32) -> None:
    """Take a memory-mapped array out of this process's memory until it is read again."""
    mapping = getattr(values.base, "base", None)  # of a view of a memory map
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def merged(parts: Sequence[Neighbours], count: int) -> Neighbours:
    """Return the `count` nearest of the neighbours that were found in several sets of rows."""
    rows = np.concatenate([part.rows for part in parts], 1)
    distances = np.concatenate([part.distances for part in parts], 1)
    order = np.lexsort((rows, distances))[:, :count]
    return Neighbours(np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1))


def ranked(
    queries: Float32, coordinates: Float32, candidates: Rows, count: int, query: QueryConfig
) -> Neighbours:
    """Return the `count` nearest of some candidate rows (T, C) of each query, by exact distances.

    At least `count` candidates of a query are rows; the others may be −1, none.
    """
    rows = np.empty((len(queries), count), np.int64)
    distances = np.empty((len(queries), count))
    for found, near in _parts(*_pairs(candidates), queries.shape[1]):
        exact = paired(coordinates[near], queries[found], query)
        into = slice(found[0], found[-1] + 1)
        rows[into], distances[into] = _best(found, near, exact, count)
    return Neighbours(rows, distances)


def _pairs(candidates: Rows) -> Pairs:
    query, place = np.nonzero(candidates >= 0)
    return query, candidates[query, place]


def pairwise_squares(a: Float32, b: Float32, query: QueryConfig) -> Float64:
    """Return the squared distances (n, m) between points (n, d) and (m, d), in float64.

    Euclidean ones by a matrix product: 0 may become 1e-15 of the squared lengths, less than a digit
    of the coordinates changes.
    """
    if query.distance == "euclidean":  # importing scipy takes longer than a whole search
        x, y = a.astype(np.float64), b.astype(np.float64)
        lengths = np.einsum("nd,nd->n", x, x)[:, None] + np.einsum("md,md->m", y, y)
        return np.maximum(lengths - 2 * (x @ y.T), 0)
    from scipy.spatial.distance import cdist

    options = {"p": query.minkowski_p} if query.distance == "minkowski" else {}
    distances = cdist(a, b, query.distance, **options)
    # scipy's cosine distance of a vector of length 0 is NaN.
    return np.square(np.nan_to_num(distances, nan=1.0, posinf=np.inf))


def paired(a: Float32, b: Float32, query: QueryConfig) -> Float64:
    """Return the distances (n,) between points (n, d) and (n, d) or (1, d), in float64."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    if query.distance == "cosine":
        products = np.einsum("nd,nd->n", x, y)
        lengths = np.sqrt(np.einsum("nd,nd->n", x, x) * np.einsum("nd,nd->n", y, y))
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        return 1 - np.minimum(cosines, 1)
    difference = x - y
    p = _exponent(query)
    if p is None:
        return np.sqrt(np.einsum("nd,nd->n", difference, difference))
    difference = np.abs(difference)
    if p == 1:
        return difference.sum(1)
    largest = difference.max(1, initial=0)
    difference /= np.where(largest > 0, largest, 1)[:, None]
    return largest * (difference**p).sum(1) ** (1 / p)


def _exponent(query: QueryConfig) -> float | None:
    """Return the exponent of a Minkowski distance other than the euclidean, else None."""
    p = {"cityblock": 1.0, "minkowski": query.minkowski_p}.get(query.distance, 2.0)
    return None if p == 2 else p


class _Minkowski:
    """Few rows of a database that hold the `count` neighbours, by scipy's distances.

    Attributes
    ----------
    step : int
        Queries taken at once.
    """

    def __init__(self, coordinates: Float32, usable: Bools, count: int, query: QueryConfig) -> None:
        self.step = max(1, MAX_SCORES // 2 // len(coordinates))  # of 8 bytes
        self._coordinates, self._usable = coordinates, usable
        self._nth = min(count, int(usable.sum())) - 1
        self._p = _exponent(query) or 2.0

    def of(self, queries: Float32) -> Iterator[Pairs]:
        """Yield pairs of query and candidate row, whole queries in ascending order."""
        from scipy.spatial.distance import cdist

        # max ≤ (Σ^p)^(1/p) ≤ d^(1/p)·max: the largest difference bounds what would overflow.
        large = self._p > LARGE_P
        metric = "chebyshev" if large else "cityblock" if self._p == 1 else "minkowski"
        options = {"p": self._p} if metric == "minkowski" else {}
        scores = cdist(queries, self._coordinates, metric, **options)
        scores[:, ~self._usable] = np.inf
        limit = np.partition(scores, self._nth, axis=1)[:, self._nth] * (1 + 1e-9)
        if large:
            limit *= queries.shape[1] ** (1 / self._p)
        found, near = np.nonzero((scores <= limit[:, None]) & self._usable)
        yield from _parts(found, near, queries.shape[1])


def can_keep_table(coordinates: Float32, query: QueryConfig) -> bool:
    """Return whether a search of these rows (N, d) uses a `ScoreTable` that is not too large."""
    return _exponent(query) is None and coordinates.size <= MAX_KEPT_VALUES


class ScoreTable:
    """Rows prepared for scores that are one matrix product: columns of x · q + last column of x.

    Euclidean: |x|² − 2·q·x = |q − x|² − |q|². Cosine: −cos(q, x); a vector of length 0 has cosine 0
    with every other.

    Parameters
    ----------
    coordinates : ndarray of float32, (N, d)
        The rows.
    query : QueryConfig
        Distance.

    Attributes
    ----------
    values : ndarray of float32, (P, d + 1)
        One row each, and after them some that are there to fill groups, P a multiple of
        `GROUP` · `CLUSTER`. The last column of the latter is +inf.
    cosine : bool
        Whether the distance is the cosine distance.
    """

    def __init__(self, coordinates: Float32, query: QueryConfig) -> None:
        n_rows, dim = coordinates.shape
        self.cosine = query.distance == "cosine"
        # The product loses digits far from the origin, so the origin is put among the rows.
        sample = coordinates[:: max(1, n_rows // CENTRE_ROWS)]
        self._centre = sample.mean(0, dtype=np.float64).astype(np.float32)
        placed = self.placed(coordinates)
        self.values = np.zeros((n_rows + -n_rows % (GROUP * CLUSTER), dim + 1), np.float32)
        if not self.cosine:
            np.einsum("nd,nd->n", placed, placed, out=self.values[:n_rows, -1])
        np.multiply(placed, -1 if self.cosine else -2, out=self.values[:n_rows, :-1])
        self.values[n_rows:, -1] = np.inf

    def placed(self, points: Float32) -> Float32:
        """Return points (n, d), normalised or relative to the centre of the rows."""
        return normalised(points) if self.cosine else points - self._centre


class _Product:
    """The same by the float32 scores of a table.

    Attributes
    ----------
    step : int
        Queries taken at once.
    """

    def __init__(self, table: ScoreTable, usable: Bools, count: int) -> None:
        self._rows, self._count, self._values = table, count, table.values
        self._usable = np.pad(usable, (0, len(table.values) - len(usable)))
        if not usable.all():
            self._values = table.values.copy()
            self._values[~self._usable, -1] = np.inf
        self.step = max(16, min(BLOCK_QUERIES, MAX_SCORES * GROUP // len(table.values)))

    def _limit(self, best: Float32, prepared: Float32) -> Float32:
        """Return the highest score (Q,) of a row that is as near as one with score `best`."""
        # |error of a score| ≤ γ (|q| + |x|)² with γ near (d + 2) roundings; a row as near as the
        # best has |x| ≤ |q| + distance. Twice for the two scores compared, twice for safety.
        gamma = 4 * (prepared.shape[1] + 8) * UNIT_ROUNDOFF
        if self._rows.cosine:
            return upwards(best + np.float64(gamma))
        squares = np.einsum("nd,nd->n", prepared[:, :-1], prepared[:, :-1], dtype=np.float64)
        nearest = np.maximum(best + squares, 0)
        return upwards(best + gamma * (4 * squares + nearest))

    def of(self, queries: Float32) -> Iterator[Pairs]:
        """Yield pairs of query and candidate row, whole queries in ascending order."""
        placed = self._rows.placed(queries)
        prepared = np.hstack([placed, np.ones((len(queries), 1), np.float32)])
        limit, query, group = self._groups_within(self._group_minima(prepared), prepared)
        for part in _parts(query, group, GROUP * self._values.shape[1]):
            yield self._open_groups(prepared, limit, part)

    def _group_minima(self, prepared: Float32) -> Float32:
        """Return the smallest score (G, Q) of each group, rows g, g + G, g + 2·G, …"""
        grouped = self._values.reshape(GROUP, -1, self._values.shape[1])
        queries = np.ascontiguousarray(prepared.T)
        minima = np.empty((grouped.shape[1], len(prepared)), np.float32)
        scores = np.empty((GROUP, BLOCK_GROUPS, len(prepared)), np.float32)
        for start in range(0, len(minima), BLOCK_GROUPS):
            smallest = minima[start : start + BLOCK_GROUPS]
            out = scores[:, : len(smallest)]
            np.matmul(grouped[:, start : start + BLOCK_GROUPS], queries, out=out)
            np.minimum.reduce(out, axis=0, out=smallest)
        return minima

    def _groups_within(
        self, minima: Float32, prepared: Float32
    ) -> tuple[Float32, Positions, Positions]:
        """Return the score (Q,) above which no row is a neighbour, and the groups to open.

        The latter are pairs of query and group, in ascending order of the query.
        """
        n_groups, n_queries = minima.shape
        clustered = minima.reshape(CLUSTER, n_groups // CLUSTER, n_queries)
        smallest = np.ascontiguousarray(clustered.min(axis=0).T)
        nth = self._count - 1
        limit = np.full(n_queries, np.inf, np.float32)
        if nth < n_groups:
            bounds = smallest if nth < smallest.shape[1] else minima.T
            limit = self._limit(np.partition(bounds, nth, axis=1)[:, nth], prepared)
        query, cluster = np.nonzero(smallest <= limit[:, None])
        pair, member = np.nonzero(limit[query][:, None] >= clustered[:, cluster, query].T)
        return limit, query[pair], member * (n_groups // CLUSTER) + cluster[pair]

    def _open_groups(self, prepared: Float32, limit: Float32, part: Pairs) -> Pairs:
        """Return (query, row) of all rows of the groups whose scores are within the limit."""
        query, group = part
        rows = group[:, None] + len(self._values) // GROUP * np.arange(GROUP)
        scores = np.matmul(self._values.take(rows, axis=0), prepared[query][:, :, None])[:, :, 0]
        pair, member = np.nonzero((scores <= limit[query][:, None]) & self._usable.take(rows))
        return query[pair], rows[pair, member]


def normalised(vectors: Float32) -> Float32:
    """Return vectors (n, d) scaled to length 1; those of length 0 stay."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]
    scaled = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    return scaled.astype(np.float32)


def upwards(values: Float64) -> Float32:
    """Return numbers rounded up."""
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def _parts(query: Positions, other: Positions, width: int) -> Iterator[Pairs]:
    """Split pairs between queries, so that each part with `width` numbers a pair is small."""
    limit = max(1, MAX_CANDIDATE_VALUES // width)
    ends = np.flatnonzero(np.diff(query, append=-1)) + 1
    start = first = 0
    while first < len(ends):
        stop = max(first + 1, int(np.searchsorted(ends, start + limit, side="right")))
        end = int(ends[stop - 1])
        yield query[start:end], other[start:end]
        start, first = end, stop


def _best(query: Positions, row: Positions, distance: Float64, count: int) -> tuple[Rows, Float64]:
    """Return the `count` nearest candidates of each query, ties to the lower row."""
    order = np.lexsort((row, distance, query))
    starts = np.flatnonzero(np.diff(query[order], prepend=-1))
    take = order[starts[:, None] + np.arange(count)]
    return row[take], distance[take]

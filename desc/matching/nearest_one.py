"""The single nearest row of many queries, exact, by faiss' fused product and minimum.

faiss returns the smallest distance in every shard of the rows. Only the shards that reach within
rounding of the best can hold the nearest row, hardly ever more than one; their rows are compared
as in `knn`.
"""

from __future__ import annotations

import sys

import numpy as np

from desc.configuration import QueryConfig
from desc.matching.arrays import Bools, Float32, Positions, Rows
from desc.matching.index import faiss_module, has_faiss
from desc.matching.knn import UNIT_ROUNDOFF, Neighbours, paired, release, upwards

SHARD_ROWS, BLOCK_QUERIES = 512, 8192
"""Rows of a shard, and most queries taken at once."""
MAX_MINIMA = 1 << 26
"""Distances of queries to shards that are kept at once, 4 bytes each."""
WORTH = 1 << 31
"""Pairs of query and row from which importing faiss (.3 s) is worth it."""
MAX_COLUMNS = 32
"""Columns from which the product and minimum of `knn` are faster."""


def can_find_one(query: QueryConfig, n_pairs: int, n_columns: int) -> bool:
    """Return whether `find_one` knows the distance, and is faster for so many pairs of points."""
    is_loaded = "faiss" in sys.modules and sys.modules["faiss"] is not None
    known = query.distance == "euclidean" and n_columns < MAX_COLUMNS
    return known and (is_loaded or (n_pairs >= WORTH and has_faiss()))


def find_one(
    queries: Float32, coordinates: Float32, usable: Bools, query: QueryConfig
) -> Neighbours:
    """Return the nearest usable row of each query, as `knn.search` does; the distance is euclidean.

    Parameters are those of `search`.
    """
    found, distances = np.empty(len(queries), np.int64), np.empty(len(queries))
    centre = coordinates.mean(0, dtype=np.float64).astype(np.float32)  # rounding errors are small
    n_shards = -(-len(coordinates) // SHARD_ROWS)
    n_queries = max(1, min(BLOCK_QUERIES, MAX_MINIMA // n_shards))
    for start in range(0, len(queries), n_queries):
        block = queries[start : start + n_queries]
        number, near = _candidates(block - centre, coordinates, usable, centre)
        exact = paired(coordinates[near], block[number], query)
        order = np.lexsort((near, exact, number))
        best = order[np.flatnonzero(np.diff(number[order], prepend=-1))]
        found[start : start + len(block)] = near[best]
        distances[start : start + len(block)] = exact[best]
    release(coordinates)
    return Neighbours(found[:, None], distances[:, None])


def _candidates(
    queries: Float32, coordinates: Float32, usable: Bools, centre: Float32
) -> tuple[Positions, Rows]:
    """Return pairs of query and row, all that are as near as the nearest within rounding.

    Queries are relative to the centre.
    """
    knn, firsts = faiss_module().knn, range(0, len(coordinates), SHARD_ROWS)
    shards = [first + np.flatnonzero(usable[first : first + SHARD_ROWS]) for first in firsts]
    shards = [rows for rows in shards if len(rows)]
    minima = np.empty((len(shards), len(queries)), np.float32)
    for smallest, rows in zip(minima, shards, strict=True):
        smallest[:] = knn(queries, coordinates[rows] - centre, 1)[0][:, 0]
    # As in `knn`: |error| ≤ γ (|q| + |x|)², and a row as near as the best has |x| ≤ |q| + distance.
    gamma = 4 * (queries.shape[1] + 8) * UNIT_ROUNDOFF
    squares = np.einsum("nd,nd->n", queries, queries, dtype=np.float64)
    best = np.maximum(minima.min(0), 0)
    limit = upwards(best + gamma * (4 * squares + best))
    near_enough = upwards(limit - squares)
    numbers, near = [], []
    for shard in np.flatnonzero((minima <= limit).any(1)):
        number, rows = np.flatnonzero(minima[shard] <= limit), shards[shard]
        points = coordinates[rows] - centre
        scores = np.einsum("nd,nd->n", points, points) - 2 * queries[number] @ points.T
        # In one dimension, as nonzero takes five times the time in two.
        one, row = divmod(np.flatnonzero(scores <= near_enough[number, None]), len(rows))
        numbers.append(number[one])
        near.append(rows[row])
    return np.concatenate(numbers), np.concatenate(near)

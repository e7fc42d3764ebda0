"""Scores that order database rows like a distance does, in float32 and in blocks.

A score is quick and nearly right; `slack` says how far it can be off, so that whoever keeps all
rows within it and takes `exact` distances among them makes no mistake.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from desc.configuration import QueryConfig

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

UNIT_ROUNDOFF = 2.0**-24
"""Largest relative error of one float32 operation."""
LARGE_P = 16.0
"""Above it |difference|^p leaves the range of float32, and the largest difference is scored."""


class Scores(Protocol):
    """Rows of a database ready to be scored.

    Attributes
    ----------
    table : ndarray of float32, (P, d + 1)
        One row each; the last column holds +inf for rows that must not be found.
    block_shape : tuple of int
        Rows and queries whose scores are made at once, so that they stay in the cache.
    """

    table: Float32
    block_shape: tuple[int, int]

    def prepare(self, queries: Float32) -> Float32:
        """Return queries (Q, d) as the score functions take them, (Q, d + 1)."""

    def block(self, rows: Float32, queries: Float32, out: Float32) -> None:
        """Write the scores of rows (R, d + 1) of the table for queries (d + 1, Q) to out (R, Q)."""

    def pairs(self, rows: Float32, queries: Float32) -> Float32:
        """Return the scores (P, g) of rows (P, g, d + 1) for one query (P, d + 1) each."""

    def limit(self, best: Float32, queries: Float32) -> Float32:
        """Return the highest score (Q,) a row can have that is as near as one scored `best`."""

    def exact(self, rows: Float32, queries: Float32) -> Float64:
        """Return the distances (n,) between rows (n, d) and queries (n, d), in float64."""


def make_scores(coordinates: Float32, usable: npt.NDArray[np.bool_], config: QueryConfig) -> Scores:
    """Return the scores for the distance of the settings.

    Parameters
    ----------
    coordinates : ndarray of float32, (P, d)
        Rows in the space of matching.
    usable : ndarray of bool, (P,)
        Rows that may be found.
    config : QueryConfig
        Chooses the distance.
    """
    p = {"cityblock": 1.0, "minkowski": config.minkowski_p}.get(config.distance, 2.0)
    if config.distance == "cosine":
        return _CosineScores(coordinates, usable)
    if p == 2.0:
        return _EuclideanScores(coordinates, usable)
    return _MinkowskiScores(coordinates, usable, p)


def _table(coordinates: Float32, last: npt.ArrayLike, usable: npt.NDArray[np.bool_]) -> Float32:
    table = np.empty((len(coordinates), coordinates.shape[1] + 1), np.float32)
    table[:, :-1] = coordinates
    table[:, -1] = np.where(usable, last, np.inf)
    return table


def _upwards(values: Float64) -> Float32:
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


class _ProductScores:
    """Scores that are one matrix product: −2·q·x + last column of x."""

    block_shape = (1024, 512)

    def block(self, rows: Float32, queries: Float32, out: Float32) -> None:
        np.matmul(rows, queries, out=out)

    def pairs(self, rows: Float32, queries: Float32) -> Float32:
        product: Float32 = np.matmul(rows, queries[:, :, None])[:, :, 0]
        return product


class _EuclideanScores(_ProductScores):
    """|x|² − 2·q·x = |q − x|² − |q|²."""

    def __init__(self, coordinates: Float32, usable: npt.NDArray[np.bool_]) -> None:
        # The product loses digits far from the origin, so the origin is put among the rows.
        self._centre = coordinates.mean(0, dtype=np.float64).astype(np.float32)
        centred = coordinates - self._centre
        squares = np.einsum("nd,nd->n", centred, centred)
        centred *= -2
        self.table = _table(centred, squares, usable)

    def prepare(self, queries: Float32) -> Float32:
        return np.hstack([queries - self._centre, np.ones((len(queries), 1), np.float32)])

    def limit(self, best: Float32, queries: Float32) -> Float32:
        # |error of a score| ≤ γ (|q| + |x|)² with γ near (d + 2) roundings; a row as near as the
        # best has |x| ≤ |q| + distance. Twice for the two scores compared, twice for safety.
        gamma = 4 * (queries.shape[1] + 8) * UNIT_ROUNDOFF
        squares = np.einsum("nd,nd->n", queries[:, :-1], queries[:, :-1], dtype=np.float64)
        nearest = np.maximum(best + squares, 0)
        return _upwards(best + gamma * (4 * squares + nearest))

    def exact(self, rows: Float32, queries: Float32) -> Float64:
        difference = rows.astype(np.float64) - queries
        distances: Float64 = np.sqrt(np.einsum("nd,nd->n", difference, difference))
        return distances


class _CosineScores(_ProductScores):
    """−cos(q, x); a vector of length 0 has cosine 0 with every other."""

    def __init__(self, coordinates: Float32, usable: npt.NDArray[np.bool_]) -> None:
        self.table = _table(-_normalised(coordinates), 0, usable)

    def prepare(self, queries: Float32) -> Float32:
        return np.hstack([_normalised(queries), np.ones((len(queries), 1), np.float32)])

    def limit(self, best: Float32, queries: Float32) -> Float32:
        return _upwards(best + np.float64(4 * (queries.shape[1] + 8) * UNIT_ROUNDOFF))

    def exact(self, rows: Float32, queries: Float32) -> Float64:
        x, q = rows.astype(np.float64), queries.astype(np.float64)
        products = np.einsum("nd,nd->n", x, q)
        lengths = np.sqrt(np.einsum("nd,nd->n", x, x) * np.einsum("nd,nd->n", q, q))
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        distances: Float64 = 1 - np.minimum(cosines, 1)
        return distances


def _normalised(vectors: Float32) -> Float32:
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]
    scaled = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    result: Float32 = scaled.astype(np.float32)
    return result


class _MinkowskiScores:
    """Σ|q − x|^p, or max|q − x| where p is above `LARGE_P`."""

    block_shape = (512, 128)

    def __init__(self, coordinates: Float32, usable: npt.NDArray[np.bool_], p: float) -> None:
        self.table = _table(coordinates, 0, usable)
        self._p = p

    def prepare(self, queries: Float32) -> Float32:
        return np.hstack([queries, np.zeros((len(queries), 1), np.float32)])

    def block(self, rows: Float32, queries: Float32, out: Float32) -> None:
        columns = np.ascontiguousarray(rows.T)
        out[:] = columns[-1][:, None]
        term = np.empty_like(out)
        for x, q in zip(columns[:-1], queries[:-1], strict=True):
            np.subtract(x[:, None], q, out=term)
            self._join(out, self._power(term))

    def pairs(self, rows: Float32, queries: Float32) -> Float32:
        terms = self._power(rows[:, :, :-1] - queries[:, None, :-1])
        joined = terms.max(-1) if self._p > LARGE_P else terms.sum(-1)
        total: Float32 = joined + rows[:, :, -1]
        return total

    def limit(self, best: Float32, queries: Float32) -> Float32:
        d = queries.shape[1] - 1
        roundings = 1 + 8 * (d + self._p + 8) * UNIT_ROUNDOFF
        # max ≤ (Σ^p)^(1/p) ≤ d^(1/p)·max bounds what the largest difference says of the distance.
        factor = d ** (1 / self._p) * roundings if self._p > LARGE_P else roundings
        return _upwards(best * np.float64(factor) + 1e-36)  # 1e-36: powers that underflow

    def exact(self, rows: Float32, queries: Float32) -> Float64:
        difference = np.abs(rows.astype(np.float64) - queries)
        if self._p == 1:
            total: Float64 = difference.sum(1)
            return total
        # Relative to the largest one, so that no power overflows.
        largest = difference.max(1)
        difference /= np.where(largest > 0, largest, 1)[:, None]
        distances: Float64 = largest * (difference**self._p).sum(1) ** (1 / self._p)
        return distances

    def _power(self, term: Float32) -> Float32:
        np.abs(term, out=term)
        if 1 < self._p <= LARGE_P:
            if self._p == 3:  # ten times quicker than power where that is not vectorised
                np.multiply(term * term, term, out=term)
            else:
                np.power(term, np.float32(self._p), out=term)
        return term

    def _join(self, total: Float32, term: Float32) -> None:
        (np.maximum if self._p > LARGE_P else np.add)(total, term, out=total)

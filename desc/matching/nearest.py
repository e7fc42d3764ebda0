"""`NearestRows`: exact nearest neighbours of one point at a time, prepared for many of them."""

from __future__ import annotations

import numpy as np

from desc.matching.arrays import Bools, Float32, Float64, Rows
from desc.matching.knn import paired
from desc.matching.points import Points
from desc.matching.space import BLOCK_ROWS

LEADING = 32
"""Principal axes that are compared with every row."""
GROUP = 128
"""Rows of which only the smallest score is looked at first."""
MARGIN = 1e-5
"""Share of the squared norms by which rounding may change a score."""
MANY = 1 << 10
"""Rows left by the bound from which scores of all columns come first: of a point far from all rows
the bound says little."""
GATHER_COST = 6
"""Time per row of a product with gathered rows, relative to one with all rows."""
MEASURED = 20000
"""Rows by which the axes are found."""


class NearestRows:
    """Nearest rows of single points, exact where `points` is.

    The squared distance along the leading principal axes of the rows, plus that of the lengths of
    what lies outside of them, bounds the distance from below. It is computed for all rows, the
    distance itself only where the bound is small enough. If that leaves many, their float32 scores
    over all columns come between.
    Points with an index are searched by it. Other distances than the euclidean are searched without
    preparation, far more slowly.

    Parameters
    ----------
    points : Points
        The rows.
    usable : ndarray of bool, (N,), optional
        Rows that may be found; by default all.
    axes : PrincipalAxes, optional
        The principal axes, if they are known.
    """

    def __init__(
        self, points: Points, usable: Bools | None = None, axes: PrincipalAxes | None = None
    ) -> None:
        self._points, self._axes = points, axes
        if axes is None and points.lists is None and points.query.distance == "euclidean":
            self._axes = PrincipalAxes(points.values)
        self._usable = np.ones(len(points), bool) if usable is None else usable
        self._count = int(self._usable.sum())
        if self._axes:
            self._bounds = np.where(self._usable, self._axes.norms, np.float32(np.inf))

    def restricted(self, usable: Bools) -> NearestRows:
        """Return the same for these rows (N,) alone, at least one."""
        return NearestRows(self._points, usable, self._axes)

    def find(self, point: Float32, count: int) -> tuple[Rows, Float64]:
        """Return the `count` nearest rows of a point (d,), nearest first, and their distances.

        All usable rows if there are fewer; equally near rows in ascending order.
        """
        count = min(count, self._count)
        if not self._axes:
            found = self._points.nearest(point[None], self._usable, count)
            return found.rows[0], found.distances[0]
        scores, square = self._axes.scores(point)
        scores += self._bounds
        rows = np.flatnonzero(scores <= self._limit(scores, count))
        distances = self._distances(point, rows)
        farthest = np.partition(distances, count - 1)[count - 1]
        margin = MARGIN * (square + self._axes.largest)
        rows = np.flatnonzero(scores <= np.float32(farthest**2 - square + margin))
        if len(rows) > MANY:
            scores = self._axes.whole_scores(self._points.values, point, rows)
            rows = rows[scores <= np.float32(self._limit(scores, count) + 2 * margin)]
        distances = self._distances(point, rows)
        order = np.lexsort((rows, distances))[:count]
        return rows[order], distances[order]

    def _distances(self, point: Float32, rows: Rows) -> Float64:
        return paired(self._points.values[rows], point[None], self._points.query)

    @staticmethod
    def _limit(scores: Float32, count: int) -> float:
        """Return a score that at least `count` rows do not exceed, and not many more."""
        if len(scores) >= GROUP * count:
            whole = len(scores) // GROUP * GROUP
            smallest = scores[:whole].reshape(GROUP, -1).min(0)
            limit = float(np.partition(smallest, count - 1)[count - 1])
            if np.isfinite(limit):
                return limit
        return float(np.partition(scores, count - 1)[count - 1])


class PrincipalAxes:
    """The leading principal axes of rows; the rows along them, and their length outside of them."""

    def __init__(self, points: Float32) -> None:
        self._centre = points.mean(0, dtype=np.float64).astype(np.float32)
        some = points[:: max(1, len(points) // MEASURED)] - self._centre
        axes = np.linalg.eigh(some.T.astype(np.float64) @ some)[1][:, ::-1]
        self._axes = np.ascontiguousarray(axes[:, :LEADING])
        self._rows = np.empty((self._axes.shape[1] + 1, len(points)), np.float32)
        for start in range(0, len(points), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            self._rows[:, block] = self._placed(points[block]).T
        self.norms: Float32 = np.einsum("dn,dn->n", self._rows, self._rows)
        # Scores of all columns are rounded as the centre is long, too.
        self.largest = float(self.norms.max(initial=0) + self._centre @ self._centre)

    def scores(self, point: Float32) -> tuple[Float32, float]:
        """Return −2·q·x for each row (N,), and |q|², of points as the rows are kept."""
        placed = self._placed(point[None])[0]
        return (-2 * placed) @ self._rows, float(placed @ placed)

    def whole_scores(self, points: Float32, point: Float32, rows: Rows) -> Float32:
        """Return |x|² − 2·q·x over all columns for some rows (n,), from the centre of all."""
        placed = point - self._centre
        gather = GATHER_COST * len(rows) < len(points)
        products = points[rows] @ placed if gather else (points @ placed)[rows]
        return self.norms[rows] - 2 * (products - self._centre @ placed)

    def _placed(self, points: Float32) -> Float32:
        """Return points (n, d) along the axes, and their length outside of them, (n, axes + 1)."""
        # In float64: in float32 the root of a small difference is wrong by 1e-3 of the lengths.
        centred = points.astype(np.float64) - self._centre
        along = centred @ self._axes
        squares = np.einsum("nd,nd->n", centred, centred) - np.einsum("na,na->n", along, along)
        outside = np.sqrt(np.maximum(squares, 0))[:, None]
        return np.hstack([along, outside]).astype(np.float32)

"""`CorpusRows`: the rows of a database as a search for a path sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from desc.configuration import QueryConfig
from desc.database import DescriptorDatabase
from desc.query.limits import Bools, Places
from desc.query.scores import Float32, Float64, make_scores
from desc.query.search import Rows, search
from desc.query.selection import row_places


@dataclass(frozen=True, eq=False)
class CorpusRows:
    """Rows that may be chosen.

    Attributes
    ----------
    points : ndarray of float32, (N, d)
        In the space of matching.
    usable : ndarray of bool, (N,)
        Which may be played.
    places : ndarray of int32, (N,)
        See `row_places`.
    query : QueryConfig
        Chooses the distance.
    """

    points: Float32
    usable: Bools
    places: Places
    query: QueryConfig

    @classmethod
    def of(
        cls,
        points: Float32,
        usable: npt.NDArray[np.bool_],
        database: DescriptorDatabase,
        query: QueryConfig,
    ) -> CorpusRows:
        """Return the rows of a database."""
        return cls(points, usable, row_places(database).astype(np.int32), query)

    def distances(self, a: Float32, b: Float32) -> Float64:
        """Return the distances (n, m) between points (n, d) and (m, d)."""
        from scipy.spatial.distance import cdist

        options = {"p": self.query.minkowski_p} if self.query.distance == "minkowski" else {}
        found: Float64 = cdist(a, b, self.query.distance, **options)
        if self.query.distance == "cosine":
            found = np.nan_to_num(found, nan=1.0)  # of a vector of length 0
        return found

    def paired(self, a: Float32, b: Float32) -> Float64:
        """Return the distances (n,) between points (n, d) and (n, d)."""
        return paired(a, b, self.query)

    def nearest(self, point: Float32, count: int) -> tuple[Rows, Float64]:
        """Return the `count` nearest rows of a point (d,), or all, and their distances."""
        matches = search(
            point[None], self.points, self.usable, replace(self.query, neighbours=count)
        )
        return matches.rows[0], matches.distances[0]

    def successors(self, rows: Rows) -> tuple[Rows, Bools]:
        """Return the rows that go on from these, and whether there are any; else the rows."""
        later = np.minimum(rows + 1, len(self.places) - 1)
        follow = self.places[later] == self.places[rows] + 1
        return np.where(follow, later, rows), follow


def paired(a: Float32, b: Float32, config: QueryConfig) -> Float64:
    """Return the distances (n,) between points (n, d) and (n, d)."""
    if not len(a):
        return np.zeros(0)
    return make_scores(a[:1], np.ones(1, bool), config).exact(b, a)

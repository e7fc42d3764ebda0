"""`CorpusRows`: the rows of a database as a search for a path sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from desc.configuration import QueryConfig
from desc.database import DescriptorDatabase
from desc.query.limits import Bools
from desc.query.moments import Moments
from desc.query.scores import Float32, Float64, make_scores
from desc.query.search import Rows, search
from desc.query.selection import row_places
from desc.query.transposing import VOICED

STEP_ROWS = 20000
"""Rows by which `step` is measured."""
FREE_STEPS = 1.5
OCTAVE = 12.0
"""Semitones of the dearest leap."""


@dataclass(frozen=True, eq=False)
class CorpusRows:
    """Rows that may be chosen.

    Attributes
    ----------
    points : ndarray of float32, (N, d)
        In the space of matching.
    usable : ndarray of bool, (N,)
        Which may be played.
    places : ndarray of int64, (N,)
        See `row_places`.
    moments : Moments
        By which a sound is known again.
    query : QueryConfig
        Chooses the distance.
    step : float
        Median distance between a row and the next one of its file, by some rows; 1 where the
        rows do not change.
    semitones : ndarray of float32, (N,)
        Pitch of each row, NaN where it has none.
    leap : float
        What the leap of an octave costs.
    """

    points: Float32
    usable: Bools
    places: Rows
    moments: Moments
    query: QueryConfig
    step: float
    semitones: Float32
    leap: float

    @classmethod
    def of(
        cls,
        points: Float32,
        usable: npt.NDArray[np.bool_],
        database: DescriptorDatabase,
        query: QueryConfig,
        *,
        leap: float = 0.0,
    ) -> CorpusRows:
        """Return the rows of a database; leaps cost nothing where f0 is no descriptor."""
        places = row_places(database)
        rows = np.flatnonzero(np.diff(places) == 1)
        rows = rows[:: max(1, len(rows) // STEP_ROWS)]
        steps = paired(points[rows], points[rows + 1], query)
        step = float(np.median(steps)) if len(steps) else 0.0
        moments, semitones = Moments.of(database), _semitones(database)
        leap = leap if "f0" in database.config.groups else 0.0
        return cls(points, usable, places, moments, query, step or 1.0, semitones, leap)

    @property
    def n_moments(self) -> int:
        """Moments that may be heard."""
        return len(np.unique(self.moments.of_row[self.usable]))

    def joins(self, ahead: Rows, rows: Rows, change: float) -> Float64:
        """Return what it costs to go to rows (m,) where others (n,) would have come next, (n, m).

        The square of their distance, scaled so that the cost is the distance at 1.5 times `step`,
        or 1.5 times what is asked for changes there, whichever is more: what changes no more than
        music does is nearly free, a leap is dear, and an attack is no leap. Where both have a
        pitch, their interval, of an octave at the most, is added as a share of `leap`.

        Parameters
        ----------
        ahead, rows : ndarray of int
        change : float
            Distance between the frame that is asked for and the one before.
        """
        distances = self.distances(self.points[ahead], self.points[rows])
        distances *= distances / (FREE_STEPS * max(self.step, change))
        if self.leap:
            interval = np.abs(self.semitones[ahead][:, None] - self.semitones[rows])
            distances += self.leap / OCTAVE * np.nan_to_num(np.minimum(interval, OCTAVE))
        return distances

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
        follow = self.goes_on(rows, later)
        return np.where(follow, later, rows), follow

    def goes_on(self, rows: Rows, later: Rows) -> Bools:
        """Return whether each later row (n,) follows the row (n,) in its file."""
        result: Bools = self.places[later] == self.places[rows] + 1
        return result


def _semitones(database: DescriptorDatabase) -> Float32:
    """Return the pitch (N,) of rows, NaN for those that are not voiced, or all without f0."""
    if "f0" not in database.config.groups:
        return np.full(len(database), np.nan, np.float32)
    pitch, voicing = database.config.groups["f0"]
    voiced = database.values[:, voicing] > VOICED
    found: Float32 = np.where(voiced, OCTAVE * database.values[:, pitch], np.float32(np.nan))
    return found


def paired(a: Float32, b: Float32, config: QueryConfig) -> Float64:
    """Return the distances (n,) between points (n, d) and (n, d)."""
    if not len(a):
        return np.zeros(0)
    return make_scores(a[:1], np.ones(1, bool), config).exact(b, a)

"""Nearest rows of a database for frames of descriptors."""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from desc.configuration import Note, QueryConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError, DescError
from desc.query.scores import Float32
from desc.query.search import Matches, search
from desc.query.space import BLOCK_ROWS, MatchSpace, matching_space

KEPT_PROJECTIONS = 2
"""Projections kept per database: the model's and one more."""


def nearest(
    queries: npt.NDArray[np.floating],
    database: DescriptorDatabase,
    standardizer: Standardizer | None = None,
    config: QueryConfig = QueryConfig(),
    *,
    exclude_digest: str | None = None,
    note: Note | None = None,
) -> Matches:
    """Return the `config.neighbours` nearest rows of each query, or all where there are fewer.

    Distances are exact to float64 given coordinates in float32; rows equally near come in
    ascending order.

    Parameters
    ----------
    queries : ndarray, (T, D)
        Descriptors to be matched, in descriptor units.
    database : DescriptorDatabase
        The rows that may be found.
    standardizer : Standardizer or None
        Statistics of the run; None: those of the database.
    config : QueryConfig
        Distance, weights and the number of neighbours; what `match_space` asks for is done
        before, by `moved_to_corpus`.
    exclude_digest : str, optional
        Rows of files with this content are left out, unless `config.allow_self_match`. Where
        nothing would remain they stay in.
    note : callable, optional
        Told in one line when they stay in.

    Raises
    ------
    ConfigurationError
        If the queries have another number of columns, or the weights are wrong.
    DescError
        If a query is not finite, naming its frame, or a row is not, naming its file.
    """
    points, coordinates = projected(queries, database, standardizer, config)
    usable = usable_rows(database, config, exclude_digest, note)
    return search(points, coordinates, usable, config)


def projected(
    queries: npt.NDArray[np.floating],
    database: DescriptorDatabase,
    standardizer: Standardizer | None = None,
    config: QueryConfig = QueryConfig(),
) -> tuple[Float32, Float32]:
    """Return queries (T, D) and all rows as points (T, d) and (N, d) of the space of matching.

    Raises
    ------
    ConfigurationError, DescError
        As `nearest` does.
    """
    _check_queries(queries, database.config.n_columns)
    statistics = standardizer or database_statistics(database)
    space = matching_space(database.config, statistics, config)
    return space.project(queries), _projection(database, space)


def database_statistics(database: DescriptorDatabase) -> Standardizer:
    """Return mean and scale of a database's columns, computed once."""
    return _cache(database).statistics(database)


def _check_queries(queries: npt.NDArray[np.floating], n_columns: int) -> None:
    if queries.ndim != 2 or queries.shape[1] != n_columns:
        raise ConfigurationError(f"queries of shape {queries.shape} must be (T, {n_columns})")
    broken = np.flatnonzero(~np.isfinite(queries).all(1))
    if len(broken):
        raise DescError(
            f"frame {broken[0]} of the {len(queries)} frames to be matched is not finite "
            f"({len(broken)} such frames); descriptors must be finite numbers"
        )


def usable_rows(
    database: DescriptorDatabase,
    config: QueryConfig,
    exclude_digest: str | None = None,
    note: Note | None = None,
) -> npt.NDArray[np.bool_]:
    """Return whether each row (N,) may answer; the arguments are those of `nearest`."""
    if not len(database.values):
        raise DescError("the database holds no frames to be matched with")
    usable = np.ones(len(database.values), bool)
    if exclude_digest is None or config.allow_self_match:
        return usable
    usable &= ~database.rows_of(exclude_digest)
    if usable.any():
        return usable
    if note is not None:
        note("the database holds nothing but the recording itself, so it is matched with itself")
    return np.ones(len(database.values), bool)


class _Cache:
    """What was computed from one database: its statistics and its last projections."""

    def __init__(self) -> None:
        self._statistics: Standardizer | None = None
        self._projections: OrderedDict[bytes, Float32] = OrderedDict()

    def statistics(self, database: DescriptorDatabase) -> Standardizer:
        if self._statistics is None:
            values = database.values
            blocks = (values[i : i + BLOCK_ROWS] for i in range(0, len(values), BLOCK_ROWS))
            self._statistics = Standardizer.fit(blocks, database.config)
        return self._statistics

    def projection(self, database: DescriptorDatabase, space: MatchSpace) -> Float32:
        if space.key not in self._projections:
            self._projections[space.key] = _checked_projection(database, space)
        self._projections.move_to_end(space.key)
        while len(self._projections) > KEPT_PROJECTIONS:
            self._projections.popitem(last=False)
        return self._projections[space.key]


_CACHES: WeakKeyDictionary[DescriptorDatabase, _Cache] = WeakKeyDictionary()


def _cache(database: DescriptorDatabase) -> _Cache:
    return _CACHES.setdefault(database, _Cache())


def _projection(database: DescriptorDatabase, space: MatchSpace) -> Float32:
    return _cache(database).projection(database, space)


def _checked_projection(database: DescriptorDatabase, space: MatchSpace) -> Float32:
    coordinates = space.project(database.values)
    broken = np.flatnonzero(~np.isfinite(coordinates).all(1))
    if len(broken):
        reference = database.reference(int(broken[0]))
        raise DescError(
            f"{reference.source}: the descriptors at sample {reference.start_sample} are not "
            f"finite ({len(broken)} such rows in the database); leave the file out or extract anew"
        )
    return coordinates

"""`PreparedDatabase`: what matching computes of a database once, for one set of settings."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np

from desc.configuration import QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.errors import DescError
from desc.matching.arrays import Float32
from desc.matching.boundaries import UnitBoundaries
from desc.matching.causal import Sounds
from desc.matching.levels import levels_db
from desc.matching.likeness import distance_between_recordings
from desc.matching.nearest import NearestRows
from desc.matching.point_cache import database_points
from desc.matching.points import Points
from desc.matching.slow_scale import slow_scale_key, with_slow_scale
from desc.matching.space import BLOCK_ROWS, MatchSpace, matching_space
from desc.matching.transitions import Transitions
from desc.matching.units import SourcePositions


@dataclass(frozen=True, eq=False, repr=False)
class PreparedDatabase:
    """A database and the settings of a search; what the search needs is computed on first use.

    Attributes
    ----------
    database : DescriptorDatabase
        The sounds.
    standardizer : Standardizer or None
        Statistics that scale the match space; None: those of the database.
    query, selection : QueryConfig, SelectionConfig
        Settings of the distance and of the choice of units.
    """

    database: DescriptorDatabase
    standardizer: Standardizer | None = None
    _: KW_ONLY
    query: QueryConfig = QueryConfig()
    selection: SelectionConfig = SelectionConfig()

    @cached_property
    def corpus_statistics(self) -> Standardizer:
        """Mean and scale of the database's columns."""
        values = self.database.values
        blocks = (values[i : i + BLOCK_ROWS] for i in range(0, len(values), BLOCK_ROWS))
        return Standardizer.fit(blocks, self.database.config)

    @cached_property
    def space(self) -> MatchSpace:
        """The match space."""
        statistics = self.standardizer or self.corpus_statistics
        return matching_space(self.database.config, statistics, self.query)

    @cached_property
    def corpus_points(self) -> Points:
        """Rows of the database in the match space.

        Raises
        ------
        DescError
            If a row is not finite, naming its file; or if the index needs faiss.
        StorageError
            If the cache cannot be written.
        """
        return database_points(self.database, self.space.key, self._projected, self.query)

    @property
    def coordinates(self) -> Float32:
        """Rows of the database in the match space, (N, d); see `corpus_points`."""
        return self.corpus_points.values

    @cached_property
    def transitions(self) -> Transitions:
        """Transition costs between the rows, in the match space with the slow scale."""
        database, positions = self.database, SourcePositions.of(self.database)

        def heard(rows: slice) -> Float32:
            firsts = np.flatnonzero(np.diff(positions.chain[rows], prepend=-2) > 1)
            settings = self.selection, database.config, firsts
            return with_slow_scale(self.coordinates[rows], database.values[rows], *settings)

        points, scale = self.corpus_points, slow_scale_key(self.selection, database.config)
        if scale:
            points = database_points(database, f"{self.space.key} {scale}", heard, self.query)
        return Transitions.of(points, positions, database)

    @cached_property
    def boundaries(self) -> UnitBoundaries:
        """Units longer than a frame: onsets, beats or grains, as `selection.units` says."""
        return UnitBoundaries.of(self.database, self.transitions.positions, self.selection)

    @cached_property
    def unit_sketches(self) -> Points:
        """Sketches of these units, by which they are searched for."""
        boundaries, rows, database = self.boundaries, self.transitions.points, self.database

        def sketched(units: slice) -> Float32:
            starts = boundaries.starts[units]
            return boundaries.sketches(rows, starts, boundaries.lengths[starts])

        scale = slow_scale_key(self.selection, database.config)
        space = f"{self.space.key} {scale} {boundaries.units} {boundaries.look}"
        counts = np.bincount(database.file_index[boundaries.starts], minlength=len(database.files))
        return database_points(database, space, sketched, self.query, counts.tolist())

    @cached_property
    def loudest_db(self) -> float:
        """Level of the loudest row in dB, the reference of the silence gate; needs mfcc."""
        values = self.database.values
        blocks = (values[i : i + BLOCK_ROWS] for i in range(0, len(values), BLOCK_ROWS))
        return float(max(levels_db(block, self.database.config).max() for block in blocks))

    @cached_property
    def sounds(self) -> Sounds:
        """The database, prepared for the selection `causal`."""
        lengths = None if self.selection.units == "frame" else self.boundaries.in_corpus
        loudest_db = -np.inf if self.selection.silence_gate_db is None else self.loudest_db
        nearest = NearestRows(self.transitions.corpus_points)
        return Sounds(
            database=self.database,
            space=self.space,
            transitions=self.transitions,
            nearest=nearest,
            selection=self.selection,
            lengths=lengths,
            loudest_db=float(loudest_db),
        )

    @cached_property
    def own_distance(self) -> float | None:
        """Result of `distance_between_recordings`."""
        return distance_between_recordings(self.corpus_points, self.database)

    def _projected(self, rows: slice) -> Float32:
        """Return rows of the database in the match space; they must be finite."""
        coordinates = self.space.project(self.database.values[rows])
        broken = np.flatnonzero(~np.isfinite(coordinates).all(1))
        if len(broken):
            reference = self.database.reference(rows.start + int(broken[0]))
            raise DescError(
                f"{reference.source}: the descriptors at sample {reference.start_sample} are not "
                f"finite ({len(broken)} such rows); leave the file out or extract it again"
            )
        return coordinates

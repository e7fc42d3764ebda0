"""`Matcher`: play a target with the sounds of a database (audio mosaicing)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from desc.concatenation import Playlist
from desc.configuration import RenderConfig
from desc.configuration.fields import check_integer, check_type
from desc.database import DescriptorDatabase
from desc.dataframes import dataframe
from desc.descriptors.sequence import DescriptorSequence
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError, DescError
from desc.matching.arrays import Bools, Float32, Float64, Rows, Values
from desc.matching.attacks import with_attacks
from desc.matching.causal import UnitStream, check_causal, units_of_frames
from desc.matching.frame_search import search_frames
from desc.matching.knn import Neighbours, paired
from desc.matching.levels import (
    levels_db,
    muted,
    played_power,
    residual_target,
    split_at,
    with_fitted_gains,
    with_gain_curves,
    with_gains,
    with_transposition,
)
from desc.matching.likeness import nearest_distances, warn_if_far
from desc.matching.prepared import PreparedDatabase
from desc.matching.repetition import Limits, feasible_limits
from desc.matching.slow_scale import SLOW_S, with_slow_scale
from desc.matching.space import (
    check_selection,
    matching_space,
)
from desc.matching.target import moment_matched, target_values, usable_rows
from desc.matching.transitions import Problem
from desc.matching.unit_search import search_units
from desc.matching.units import Units, rows_of_units, to_playlist, units_of_rows

if TYPE_CHECKING:
    import pandas as pd

    from desc.prediction import Prediction

    Target = Prediction | DescriptorSequence | Values


@dataclass(frozen=True, eq=False, repr=False)
class Match:
    """Result of matching T frames against a database.

    Attributes
    ----------
    target : ndarray of float32, (T, D)
        Matched descriptors, after moment matching if `match_space` is above 0.
    points : ndarray of float32, (T, d)
        The target in the match space.
    rows : ndarray of int64, (T,)
        Row of the database that each frame plays.
    distances : ndarray of float64, (T,)
        Distance of each frame to its row.
    units : tuple of Unit
        The selected units, of all layers.
    playlist : Playlist
        The units as pieces of files.
    matcher : Matcher
        The matcher that was used, with the statistics of the match space.
    usable : ndarray of bool, (N,)
        Rows of the database that might be played.
    """

    target: Float32
    points: Float32
    rows: Rows
    distances: Float64
    units: Units
    playlist: Playlist
    matcher: Matcher
    usable: Bools

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        n_files = len({event.source for event in self.playlist.events})
        return (
            f"Match({len(self)} frames: {len(self.units)} units of {n_files} files, mean distance "
            f"{self.distances.mean():.3g})"
        )

    @cached_property
    def neighbours(self) -> Neighbours:
        """The `query.neighbours` nearest rows of each frame, searched for on first use."""
        matcher = self.matcher
        return matcher.corpus_points.nearest(self.points, self.usable, matcher.query.neighbours)

    @cached_property
    def nearest_distances(self) -> Float64:
        """Distances of up to 1,000 frames, evenly spread, to the nearest row."""
        return nearest_distances(self.points, self.matcher.corpus_points, self.usable)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a table with a row per frame: time, file, sample, speed, distance and unit.

        `sample` is the centre of the frame in its file, `unit` counts the units of the first layer.

        Raises
        ------
        DescError
            If pandas is not installed.
        """
        database = self.matcher.database
        files = [database.files[index] for index in database.file_index[self.rows]]
        lengths = [unit.n_frames for unit in self.units if not unit.layer]
        columns: dict[str, Any] = {
            "time_s": np.arange(len(self)) / database.config.frame_rate,
            "source": [file.source for file in files],
            "sample": database.centre_samples[self.rows],
            "speed": [file.speed for file in files],
            "distance": self.distances,
            "unit": np.repeat(np.arange(len(lengths)), lengths),
        }
        return dataframe(columns, index=("frame", np.arange(len(self))))


@dataclass(frozen=True, eq=False, repr=False)
class Matcher(PreparedDatabase):
    """Matches descriptors with the sounds of a database, by one set of settings.

    Attributes
    ----------
    database : DescriptorDatabase
        The sounds.
    standardizer : Standardizer or None
        Statistics that scale the match space. None: those of a prediction's model, or, for other
        targets, those of the database.
    query, selection, rendering : QueryConfig, SelectionConfig, RenderConfig
        Settings of the distance, of the choice of units and of the playlist's fades.

    Raises
    ------
    ConfigurationError
        If the weights are wrong, the standardizer belongs to other descriptors, or the database
        lacks descriptors that the selection needs.
    DescError
        If the database contains no frames.
    """

    _: KW_ONLY
    rendering: RenderConfig = RenderConfig()
    _of_models: dict[bytes, Matcher] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        remedy = "DescriptorDatabase.from_corpus(open_corpus(folder, config)) makes one"
        check_type("database", self.database, DescriptorDatabase, remedy)
        config = self.database.config
        check_selection(self.selection, config)
        if not len(self.database):
            raise DescError("the database contains no frames to match")
        neutral = Standardizer(np.zeros(config.n_columns), np.ones(config.n_columns), config)
        space = matching_space(config, self.standardizer or neutral, self.query)
        if self.selection.selection == "causal":
            check_causal(self.selection, self.query, space)

    def __repr__(self) -> str:
        return (
            f"Matcher({self.database.values.shape} rows of {len(self.database.files)} files, "
            f"selection {self.selection.selection!r}, units {self.selection.units!r}, "
            f"distance {self.query.distance!r})"
        )

    def match(
        self,
        target: Target,
        *,
        before: Values | None = None,
        seed: int | None = None,
        exclude_digest: str | None = None,
    ) -> Match:
        """Choose units of the database for a target.

        Logs a warning if a prediction or a recording is far from the database.

        Parameters
        ----------
        target : Prediction, DescriptorSequence or ndarray (T, D)
            Descriptors to match, columns as in the database, at least one frame.
        before : ndarray (n, D), optional
            Frames before the target, which its slow scale hears too, unless the target is moved
            by `query.match_space`. By default the target's own.
        seed : int, optional
            Seed of the selection `sample`. By default a prediction's own, else 0.
        exclude_digest : str, optional
            Digest of a recording whose rows are not used, unless `query.allow_self_match`. By
            default that of the predicted or described recording.

        Raises
        ------
        ConfigurationError
            If the target has other columns or no frames, or the database cannot match that many
            frames within the limits.
        DescError
            If a frame of the target is not finite, or a row of the database is not.
        """
        matcher = self._with_statistics_of(target)
        if matcher is not self:
            return matcher.match(target, before=before, seed=seed, exclude_digest=exclude_digest)
        if seed is None:
            described = np.ndarray, DescriptorSequence
            seed = 0 if isinstance(target, described) else target.sampling.draw_seed
        values = self.moved(target)
        if not len(values):
            raise ConfigurationError("a target must have at least one frame")
        if before is None:
            before = values[:0] if isinstance(target, np.ndarray) else target.before
        if self.query.match_space:
            before = values[:0]  # it would not fit to what was moved
        points = self.space.project(values)
        usable = usable_rows(target, exclude_digest, self.database, self.query)
        causal = self.selection.selection == "causal"
        if causal:
            stream = UnitStream(self.sounds, usable, before)
            units = units_of_frames(stream.next(frame) for frame in values)
        else:
            units = self._units(values, self._heard(values, before), usable, seed)
        rows = rows_of_units(units)
        match = Match(
            target=values,
            points=points,
            rows=rows,
            distances=paired(points, self.coordinates[rows], self.query),
            units=units,
            playlist=to_playlist(units, self.database, self.rendering, fade_ends=causal),
            matcher=self,
            usable=usable,
        )
        if not isinstance(target, np.ndarray) and not self.query.match_space:
            distances = match.nearest_distances
            warn_if_far(target.source, distances, self.own_distance, causal=causal)
        return match

    def neighbours(
        self,
        target: Target,
        k: int | None = None,
        *,
        exclude_digest: str | None = None,
    ) -> Neighbours:
        """Return the k nearest rows of each frame, or all if there are fewer.

        The parameters are those of `match`; `k` is `query.neighbours` by default. Moment matching
        is applied first if `query.match_space` is above 0.
        """
        matcher = self._with_statistics_of(target)
        points = matcher.space.project(self.moved(target))
        usable = usable_rows(target, exclude_digest, self.database, self.query)
        count = self.query.neighbours if k is None else k
        check_integer("k", count, 1)
        return matcher.corpus_points.nearest(points, usable, count)

    def moved(self, target: Target) -> Float32:
        """Return the descriptors (T, D) of a target after moment matching by `query.match_space`.

        Errors are those of `match`.
        """
        values = target_values(target, self.database.config)
        if not self.query.match_space or not len(values):
            return values
        return moment_matched(values, self.corpus_statistics, self.query.match_space)

    def _with_statistics_of(self, target: Target) -> Matcher:
        """Return the matcher itself, or one with a prediction's statistics if it has none."""
        if self.standardizer is not None or isinstance(target, (np.ndarray, DescriptorSequence)):
            return self
        standardizer = target.standardizer
        key = standardizer.mean.tobytes() + standardizer.scale.tobytes()
        if key not in self._of_models:
            self._of_models.clear()  # only the last model's coordinates are kept
            self._of_models[key] = replace(self, standardizer=standardizer)
        return self._of_models[key]

    def _heard(self, values: Values, before: Values) -> Float32:
        """Return descriptors (T, D) in the match space with the slow scale, given those before."""
        whole = np.concatenate([before, values])
        points = self.space.project(whole)
        heard = with_slow_scale(points, whole, self.selection, self.database.config)
        return heard[len(before) :]

    def _units(self, target: Values, points: Float32, usable: Bools, seed: int) -> Units:
        """Return the units of all layers, with gains and transposition."""
        database, gate_db = self.database, self.selection.silence_gate_db
        limit_db = self.selection.unit_gain_db
        silent = np.zeros(len(target), bool)
        if gate_db is not None:
            silent = levels_db(target, database.config) < self.loudest_db + gate_db

        def chosen(points: Float32) -> Units:
            rows, costs = self._rows(target, points, usable, seed)
            return split_at(units_of_rows(rows, costs, database), silent)

        def placed(units: Units) -> Units:
            selection, positions = self.selection, self.transitions.positions
            units = with_attacks(muted(units, silent), target, database, positions)
            units = with_transposition(units, target, database, selection.transpose_semitones)
            return with_gain_curves(units, target, database, limit_db=selection.gain_curve_db)

        units = placed(with_gains(chosen(points), target, database, limit_db=limit_db))
        for layer in range(1, self.selection.layers):
            played = played_power(units, len(target), database)
            residual = residual_target(target, played, database)
            rest = chosen(self._heard(residual, residual[:0]))
            further = with_fitted_gains(rest, target, played, database, limit_db=limit_db)
            units += tuple(replace(unit, layer=layer) for unit in placed(further))
        return units

    def _rows(
        self, target: Values, points: Float32, usable: Bools, seed: int
    ) -> tuple[Rows, Float64]:
        """Return the row of each frame (T,) and its cost, by the search of the settings."""
        selection = self.selection
        by_frame, greedy = selection.units == "frame", selection.selection == "nearest"
        count = selection.candidates if by_frame and not greedy else 1
        near = self.transitions.corpus_points.nearest(points, usable, count)
        if by_frame and greedy:
            return near.rows[:, 0], near.distances[:, 0]
        limits, config = Limits(0, None), self.database.config
        if not greedy:
            n_positions = self.transitions.positions.count_of(usable)
            limits = feasible_limits(selection, n_positions, len(points), config.frame_rate)
        typical = float(np.median(near.distances[:, 0]))
        local = round(SLOW_S * config.frame_rate / 2) if selection.slow_weight else 0
        problem = Problem(points, usable, typical, limits, selection, self.transitions, local, seed)
        if by_frame:
            return search_frames(problem, near)
        starts = self.boundaries.target_starts(target, config)
        return search_units(problem, self.boundaries, self.unit_sketches, starts)

"""Beam search over single frames."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from desc.configuration import QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.matching import Match, Matcher, repeat_share
from desc.matching.repetition import feasible_limits
from tests.hearing import comes_back

CONFIG = DescriptorConfig(descriptors=("mfcc",))
GRANULAR = SelectionConfig.styled("granular")  # frames alone
Values = npt.NDArray[np.float32]


def make_values(rng: np.random.Generator, n: int) -> Values:
    return np.cumsum(rng.standard_normal((n, CONFIG.n_columns)), 0).astype(np.float32)


def make_database(*files: Values) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(values, CONFIG, f"file{i}.wav", f"digest{i}", len(values) * 1024)
        for i, values in enumerate(files)
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def choose(
    queries: Values,
    database: DescriptorDatabase,
    config: SelectionConfig = GRANULAR,
    query: QueryConfig = QueryConfig(),
    **options: Any,
) -> Match:
    return Matcher(database, query=query, selection=config).match(queries, **options)


def joins(between: npt.NDArray, changes: npt.NDArray) -> npt.NDArray:
    """Return the cost of joins at each frame, (T, 8, 8), by distances between rows of two files.

    `changes` (T - 1,) are the distances between the frames that are asked for.
    """
    step = np.median([between[row, row + 1] for row in (0, 1, 2, 4, 5, 6)])
    scales = 1.5 * np.maximum(np.append(0.0, changes), step)
    return between**2 / scales[:, None, None]


def cost_of(rows: tuple[int, ...], to: npt.NDArray, between: npt.NDArray, jump: float) -> float:
    total = to[0, rows[0]]
    ends = (3, 7)  # last rows of the files of 4 and 4 rows
    for t in range(1, len(rows)):
        before, row = rows[t - 1], rows[t]
        total += to[t, row]
        if before in ends:
            total += between[t, before, row] + jump
        elif row != before + 1:
            total += between[t, before + 1, row] + jump
    return float(total)


@pytest.mark.parametrize("distance", ["euclidean", "cityblock", "cosine"])
@pytest.mark.parametrize("continuity", [0.0, 0.5, 2.0])
def test_without_limits_it_is_the_cheapest_path(distance: str, continuity: float) -> None:
    rng = np.random.default_rng(3)
    query = QueryConfig(distance=distance)
    for _ in range(3):
        database = make_database(make_values(rng, 4), make_values(rng, 4))
        queries = make_values(rng, 5)
        matcher = Matcher(database, query=query, selection=GRANULAR)
        points, rows = matcher.space.project(queries), matcher.coordinates
        to, between = cdist(points, rows, distance), cdist(rows, rows, distance)
        jump = continuity * np.median(to.min(1))
        changes = np.diag(cdist(points[1:], points[:-1], distance))
        between = joins(between, changes)
        cheapest = min(cost_of(path, to, between, jump) for path in product(range(8), repeat=5))
        config = replace(GRANULAR, hold_s=0.0, continuity=continuity)
        selection = choose(queries, database, config, query)
        found = tuple(selection.rows.tolist())
        assert cost_of(found, to, between, jump) == pytest.approx(cheapest, abs=1e-6)
        assert sum(unit.cost for unit in selection.units) == pytest.approx(cheapest, abs=1e-6)


def test_attacks_of_the_target_have_no_transition_cost(rng: np.random.Generator) -> None:
    """One file has a tone, another strokes of two frames; the target is a tone with strokes."""
    tone = 0.1 * make_values(rng, 200)
    strokes = np.tile(tone[:50], (4, 1))
    strokes[10::25, 1:4] += 12.0
    strokes[11::25, 1:4] += 6.0
    database = make_database(tone, strokes[50:], make_values(rng, 400))
    asked = tone[20:120].copy()
    for frame in (30, 70):
        asked[frame, 1:4] += 12.0
        asked[frame + 1, 1:4] += 6.0
    selection = choose(asked, database)
    values = database.values[selection.rows]
    sound = np.abs(values[:, 1:4] - tone[20:120, 1:4]).mean(1)
    assert (values[[30, 70], 1:4] - tone[[50, 90], 1:4]).mean(1) == pytest.approx(12.0, abs=3.0)
    assert np.median(np.delete(sound, [30, 31, 70, 71])) < 0.5
    assert len(selection.units) <= 9


def test_an_excerpt_of_the_corpus_comes_back_as_one_unit(rng: np.random.Generator) -> None:
    values = make_values(rng, 400)
    values[100:180] = values[20]  # a stretch of equal rows does not lead astray
    database = make_database(values, make_values(rng, 300), values[50:250])
    for first, last in ((400, 650), (250, 400), (60, 260)):
        selection = choose(database.values[first:last], database)
        assert len(selection.units) == 1
        assert selection.units[0].cost == pytest.approx(0, abs=1e-6)
    assert choose(database.values[400:650], database).units[0].first_row == 400


@settings(max_examples=40, deadline=None)
@given(
    n_rows=st.integers(2, 150),
    n_frames=st.integers(1, 150),
    hold_s=st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    max_use=st.sampled_from([None, 1, 2, 5]),
    width=st.integers(1, 9),
    candidates=st.integers(1, 20),
    selection=st.sampled_from(["beam", "sample"]),
    seed=st.integers(0, 1000),
)
def test_limits_always_hold(
    *,
    n_rows: int,
    n_frames: int,
    hold_s: float,
    max_use: int | None,
    width: int,
    candidates: int,
    selection: str,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    first = random.integers(1, n_rows)
    # Few different values, so that all paths want the same rows.
    values = random.integers(0, 3, (n_rows, CONFIG.n_columns)).astype(np.float32)
    database = make_database(values[:first], values[first:])
    queries = random.integers(0, 2, (n_frames, 1)) * np.ones((1, CONFIG.n_columns))
    config = SelectionConfig(
        selection, hold_s=hold_s, max_use=max_use, beam_width=width, candidates=candidates
    )
    if max_use is not None and n_rows * max_use < n_frames:
        with pytest.raises(
            ConfigurationError, match=f"{n_rows} source positions .* {n_frames} frames"
        ):
            choose(queries, database, config)
        return
    limits = feasible_limits(config, n_rows, n_frames, CONFIG.frame_rate)
    chosen = choose(queries, database, config)
    assert len(chosen.rows) == n_frames
    assert not comes_back(chosen.units, database, limits.hold)
    if max_use is not None:
        assert np.bincount(chosen.rows).max() <= max_use


def test_a_row_may_be_used_up_over_a_long_time(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(make_values(rng, 300))
    queries = np.tile(database.values[40:50], (60, 1))  # 600 frames, all wanting the same ten rows
    chosen = choose(queries, database, SelectionConfig(max_use=2, hold_s=0.0))
    assert (np.bincount(chosen.rows, minlength=300) == 2).all()
    with caplog.at_level(logging.INFO, "desc"):
        chosen = choose(queries, database, SelectionConfig(max_use=3))
    assert np.bincount(chosen.rows).max() <= 3
    assert not comes_back(chosen.units, database, 20)
    assert [line for line in caplog.messages if "shortened" in line]
    assert [line for line in caplog.messages if "more distant rows" in line]


def test_what_a_corpus_cannot_satisfy_is_said_before(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(make_values(rng, 30))
    queries = make_values(rng, 100)
    with pytest.raises(
        ConfigurationError,
        match="at least 4: 30 source positions used 3 times are 90, fewer than the 100 frames",
    ):
        choose(queries, database, SelectionConfig(max_use=3))
    with caplog.at_level(logging.INFO, "desc"):
        selection = choose(queries, database, SelectionConfig(hold_s=1.0))
        assert "hold_s=1 is shortened to 0.12 s" in caplog.messages[0]
        assert not comes_back(selection.units, database, 5)
        caplog.clear()
        choose(queries, database, SelectionConfig(hold_s=0.1))
        assert not any("shortened" in line for line in caplog.messages)


def test_excluded_content_is_not_played(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 100), make_values(rng, 80))
    match = choose(database.values[:60], database, exclude_digest="digest0")
    assert match.rows.min() >= 100


def test_the_beam_beats_the_nearest_rows_where_it_should(rng: np.random.Generator) -> None:
    database = make_database(*(make_values(rng, 500) for _ in range(3)))
    queries = make_values(rng, 200)
    match, nearest = (
        choose(queries, database),
        choose(queries, database, SelectionConfig("nearest")),
    )
    assert repeat_share(match.units, database, within_s=0.5) == 0
    assert len(match.units) < 100
    assert (match.distances >= nearest.distances - 1e-9).all()
    np.testing.assert_allclose(nearest.distances, nearest.neighbours.distances[:, 0])
    longer = choose(queries, database, SelectionConfig(continuity=4.0))
    assert len(longer.units) < len(match.units)


def test_sample_follows_its_seed(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 500))
    queries = make_values(rng, 80)
    beam = choose(queries, database)
    config = replace(GRANULAR, selection="sample")
    drawn = choose(queries, database, config, seed=1)
    assert drawn.units == choose(queries, database, config, seed=1).units
    assert drawn.units != choose(queries, database, config, seed=2).units
    assert drawn.rows.tolist() != beam.rows.tolist()
    cold = replace(config, unit_temperature=0.0)
    assert choose(queries, database, cold).units == beam.units

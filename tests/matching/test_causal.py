"""The causal selection: no look ahead, exact neighbours, limits, layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from desc.configuration import QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.envelope import envelope_db
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.matching import Matcher
from desc.matching.knn import search
from desc.matching.nearest import NearestRows
from desc.matching.parts import joined
from desc.matching.points import Points
from desc.matching.slow_scale import heard_now, onset_strength, with_slow_scale
from tests.hearing import comes_back

CONFIG = DescriptorConfig(descriptors=("mfcc",))
Values = npt.NDArray[np.float32]


def make_values(rng: np.random.Generator, n: int) -> Values:
    walk = np.cumsum(rng.standard_normal((n, CONFIG.n_columns)), 0)
    return (walk / (1 + np.arange(n))[:, None] ** 0.25).astype(np.float32)


def make_database(*files: Values) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(values, CONFIG, f"file{i}.wav", f"digest{i}", len(values) * 1024)
        for i, values in enumerate(files)
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def causal(style: str = "phrases", **settings: object) -> SelectionConfig:
    return SelectionConfig.styled(style, selection="causal", **settings)


@pytest.fixture(scope="module")
def database() -> DescriptorDatabase:
    rng = np.random.default_rng(1)
    return make_database(make_values(rng, 300), make_values(rng, 400))


@pytest.mark.parametrize(
    ("style", "units"),
    [("granular", "frame"), ("phrases", "onset"), ("phrases", "beat"), ("loops", "grain")],
)
def test_the_future_changes_nothing(
    database: DescriptorDatabase, rng: np.random.Generator, style: str, units: str
) -> None:
    target = make_values(rng, 70)
    other = np.concatenate([target[:50], make_values(rng, 20) + 9])
    matcher = Matcher(database, selection=causal(style, units=units, layers=2))
    one, two = matcher.match(target), matcher.match(other)
    np.testing.assert_array_equal(one.rows[:50], two.rows[:50])
    early = [[u for u in match.units if u.frames.stop < 50] for match in (one, two)]
    assert early[0] == early[1]
    gains = [
        {(u.layer, u.onset_frame): u.gain_db for u in m.units if u.onset_frame < 50}
        for m in (one, two)
    ]
    assert gains[0] == gains[1], "a gain is decided where its unit begins"


def test_a_recording_finds_itself_and_plays_on(database: DescriptorDatabase) -> None:
    before, target = database.values[:40], database.values[40:200]
    match = Matcher(database, selection=causal(max_unit_s=None)).match(target, before=before)
    np.testing.assert_array_equal(match.rows, np.arange(40, 200))
    assert len(match.units) == 1
    assert match.units[0].gain_db == 0


def test_higher_continuity_makes_longer_units(
    database: DescriptorDatabase, rng: np.random.Generator
) -> None:
    target = make_values(rng, 120)
    counts = [
        len(Matcher(database, selection=causal(continuity=c)).match(target).units)
        for c in (0.0, 2.0, 20.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 2 * counts[2]


def test_units_begin_and_end_where_those_of_the_corpus_do(
    database: DescriptorDatabase, rng: np.random.Generator
) -> None:
    target = make_values(rng, 80)
    selection = causal("granular", units="grain", grain_ms=232.0, hold_s=0.0)
    match = Matcher(database, selection=selection).match(target)
    ends = np.cumsum([300, 400])
    for unit in match.units[:-1]:
        assert unit.n_frames % 10 == 0 or unit.rows.stop in ends
    selection = causal("granular", units="onset")
    matcher = Matcher(database, selection=selection)
    starts = set(matcher.boundaries.starts.tolist())
    assert {unit.first_row for unit in matcher.match(target).units} <= starts


@pytest.mark.parametrize("hold_s", [0.25, 1.0])
def test_the_tabu_window_holds(
    database: DescriptorDatabase, rng: np.random.Generator, hold_s: float
) -> None:
    match = Matcher(database, selection=causal(hold_s=hold_s)).match(make_values(rng, 120))
    assert not comes_back(match.units, database, round(hold_s * CONFIG.frame_rate))


def test_what_needs_the_end_of_the_target_is_refused(database: DescriptorDatabase) -> None:
    with pytest.raises(ConfigurationError, match="max_use=2 must not be set where"):
        Matcher(database, selection=causal(max_use=2))
    for query, rule in (
        (QueryConfig(match_space=0.5), r"match_space=0\.5 must be 0"),
        (QueryConfig(descriptor_weights="delta=1"), "descriptor_weights='delta=1' must leave out"),
    ):
        with pytest.raises(ConfigurationError, match=rule):
            Matcher(database, query=query, selection=causal())


def test_parts_fade_like_the_whole(database: DescriptorDatabase, rng: np.random.Generator) -> None:
    values = np.array(database.values[40:80])
    match = Matcher(database, selection=causal("granular")).match(values)
    whole = joined([match], [0]).playlist
    assert whole == match.playlist
    assert whole.events[0].fade_in_ms > 0


@pytest.mark.parametrize("distance", ["euclidean", "cityblock"])
def test_nearest_rows_are_those_of_the_exact_search(
    rng: np.random.Generator, distance: str
) -> None:
    points = rng.standard_normal((5000, 40)).astype(np.float32) * np.linspace(4, 0.1, 40)
    points = points.astype(np.float32) + np.float32(50)
    points[1000:1010] = points[7]
    query, usable = QueryConfig(distance=distance), rng.random(5000) < 0.7
    prepared = NearestRows(Points(points, query)).restricted(usable)
    for point in (points[7], points[99] + 0.1, points.mean(0), points[3] + 100):
        for count in (1, 10, 50):
            rows, distances = prepared.find(point, count)
            expected = search(point[None], points, usable, count, query)
            np.testing.assert_array_equal(rows, expected.rows[0])
            np.testing.assert_array_equal(distances, expected.distances[0])
    few = np.zeros(5000, bool)
    few[[5, 9]] = True
    assert sorted(prepared.restricted(few).find(points[0], 50)[0]) == [5, 9]


def test_rows_of_which_few_axes_say_nothing_are_found_exactly(rng: np.random.Generator) -> None:
    """Many columns of equal spread: any point is nearly as far from all rows."""
    points = rng.standard_normal((20000, 120)).astype(np.float32) + np.float32(3)
    usable = rng.random(20000) < 0.9
    prepared = NearestRows(Points(points, QueryConfig())).restricted(usable)
    for scale in (0.5, 2.0, 20.0):
        point = points.mean(0) + np.float32(scale) * rng.standard_normal(120).astype(np.float32)
        rows, distances = prepared.find(point, 50)
        expected = search(point[None], points, usable, 50, QueryConfig())
        np.testing.assert_array_equal(rows, expected.rows[0])
        np.testing.assert_array_equal(distances, expected.distances[0])


def test_rows_that_hardly_leave_the_axes_are_found_exactly(rng: np.random.Generator) -> None:
    """Outside of the axes the point is far away, and rounding would be larger than the rows."""
    points = rng.standard_normal((20000, 60)).astype(np.float32)
    points[:, 2:] *= 1e-4
    prepared, usable = NearestRows(Points(points, QueryConfig())), np.ones(20000, bool)
    for _ in range(100):
        point = points[rng.integers(20000)].copy()
        point[2:] += rng.standard_normal(58)
        rows, distances = prepared.find(point, 10)
        expected = search(point[None], points, usable, 10, QueryConfig())
        np.testing.assert_array_equal(rows, expected.rows[0])
        np.testing.assert_array_equal(distances, expected.distances[0])


def test_the_slow_scale_of_now_is_the_last_row_of_the_causal_one(
    database: DescriptorDatabase,
) -> None:
    values = np.asarray(database.values[300:])
    selection, points = causal(), values[:, :13]
    every = with_slow_scale(points, values, selection, CONFIG)
    strength = onset_strength(envelope_db(values, CONFIG))
    for n in (1, 5, 60, 300, 400):
        now = heard_now(points[:n], strength[:n], selection, CONFIG.frame_rate)
        np.testing.assert_allclose(now, every[n - 1], rtol=1e-4, atol=1e-4)
    changed = values.copy()
    changed[200:] += 5
    later = with_slow_scale(changed[:, :13], changed, selection, CONFIG)
    np.testing.assert_allclose(later[:200], every[:200], atol=1e-4)

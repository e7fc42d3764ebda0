from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from desc.configuration import DISTANCES, QueryConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError, DescError
from desc.matching import Matcher, matching_space
from desc.matching.knn import paired, pairwise_squares, search

CONFIG = DescriptorConfig(descriptors=("mfcc",))
D = CONFIG.n_columns
Values = npt.NDArray[np.float32]


def make_database(*files: Values) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(values, CONFIG, f"file{i}.wav", f"digest{i}", len(values) * 1024)
        for i, values in enumerate(files)
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def make_values(rng: np.random.Generator, n: int, offset: float = 0.0) -> Values:
    scale = 30 / (1 + np.arange(D))
    return (offset + scale * rng.standard_normal((n, D))).astype(np.float32)


@pytest.fixture
def database(rng: np.random.Generator) -> DescriptorDatabase:
    return make_database(make_values(rng, 300), make_values(rng, 411), make_values(rng, 1000))


@pytest.fixture
def standardizer(database: DescriptorDatabase) -> Standardizer:
    return Standardizer.fit([database.values], CONFIG)


def brute_force(
    queries: Values, rows: Values, count: int, metric: str, **options: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    distances = cdist(queries.astype(np.float64), rows.astype(np.float64), metric, **options)
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(distances, order, 1)


@pytest.mark.parametrize("count", [1, 7, 50])
@pytest.mark.parametrize("distance", DISTANCES)
def test_neighbours_are_those_of_brute_force(
    database: DescriptorDatabase,
    standardizer: Standardizer,
    rng: np.random.Generator,
    distance: str,
    count: int,
) -> None:
    config = QueryConfig(distance=distance, neighbours=count)
    queries = make_values(rng, 90)
    matches = Matcher(database, standardizer, query=config).neighbours(queries)
    space = matching_space(CONFIG, standardizer, config)
    options = {"p": config.minkowski_p} if distance == "minkowski" else {}
    rows, distances = brute_force(
        space.project(queries), space.project(database.values), count, distance, **options
    )
    np.testing.assert_array_equal(matches.rows, rows)
    np.testing.assert_allclose(matches.distances, distances, rtol=1e-12, atol=1e-14)
    assert matches.rows.dtype == np.int64
    assert matches.distances.dtype == np.float64


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0, 16.0, 17.0, 300.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_minkowski_of_any_exponent_and_scale(
    rng: np.random.Generator, p: float, scale: float
) -> None:
    rows = (scale * rng.standard_normal((500, 5))).astype(np.float32)
    queries = (scale * rng.standard_normal((20, 5))).astype(np.float32)
    config = QueryConfig(distance="minkowski", minkowski_p=p, neighbours=3)
    matches = search(queries, rows, np.ones(500, bool), config.neighbours, config)
    differences = np.abs(queries[:, None].astype(np.float64) - rows)
    largest = differences.max(-1)
    expected = largest * ((differences / largest[..., None]) ** p).sum(-1) ** (1 / p)
    order = np.argsort(expected, 1, kind="stable")[:, :3]
    np.testing.assert_allclose(matches.distances, np.take_along_axis(expected, order, 1))
    if p < 100:  # above, float64 itself cannot always tell neighbours apart
        np.testing.assert_array_equal(matches.rows, order)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 200),
    d=st.integers(1, 6),
    count=st.integers(1, 60),
    distance=st.sampled_from(DISTANCES),
    offset=st.sampled_from([0.0, 100.0, 1e4]),
    seed=st.integers(0, 1000),
)
def test_ties_go_to_the_lower_row(
    *, n: int, d: int, count: int, distance: str, offset: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    # Few different values, so that rows repeat and distances tie.
    rows = (offset + random.integers(-1, 2, (n, d))).astype(np.float32)
    queries = (offset + random.integers(-1, 2, (5, d))).astype(np.float32)
    usable = random.random(n) < 0.8
    usable[random.integers(n)] = True
    config = QueryConfig(distance=distance, neighbours=count)
    matches = search(queries, rows, usable, config.neighbours, config)
    for query, found, distances in zip(queries, matches.rows, matches.distances, strict=True):
        expected = paired(rows, np.broadcast_to(query, rows.shape), config)
        order = np.lexsort((np.arange(n), np.where(usable, expected, np.inf)))
        order = order[: min(count, usable.sum())]
        np.testing.assert_array_equal(found, order)
        np.testing.assert_array_equal(distances, expected[order])


def test_digits_lost_far_from_the_origin_do_not_matter(rng: np.random.Generator) -> None:
    rows = (1e4 + rng.standard_normal((5000, 13))).astype(np.float32)
    queries = (1e4 + rng.standard_normal((50, 13))).astype(np.float32)
    queries[0] = 0  # and one far from all rows
    matches = search(queries, rows, np.ones(5000, bool), 5, QueryConfig())
    np.testing.assert_array_equal(matches.rows, brute_force(queries, rows, 5, "euclidean")[0])


def test_enormous_numbers(rng: np.random.Generator) -> None:
    rows = rng.standard_normal((500, 4)).astype(np.float32)
    queries = np.array([[1e30, 0, 0, 0], [0, -1e15, 0, 0]], np.float32)
    for distance in DISTANCES:
        config = QueryConfig(distance=distance, neighbours=2)
        matches = search(queries, rows, np.ones(500, bool), config.neighbours, config)
        assert np.isfinite(matches.distances).all()
        if distance == "cosine":
            expected = brute_force(queries, rows, 2, "cosine")[0]
            np.testing.assert_array_equal(matches.rows, expected)


def test_equal_rows_by_the_thousand_stay_exact_and_small(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desc.matching.knn.MAX_CANDIDATE_VALUES", 1 << 12)
    rows = rng.standard_normal((6000, 13)).astype(np.float32)
    rows[1000:5000] = 3  # silence
    queries = rng.standard_normal((40, 13)).astype(np.float32)
    queries[::3] = 3
    matches = search(queries, rows, np.ones(6000, bool), 3, QueryConfig())
    np.testing.assert_array_equal(matches.rows[::3], [[1000, 1001, 1002]] * 14)
    np.testing.assert_array_equal(matches.rows, brute_force(queries, rows, 3, "euclidean")[0])


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("distance", DISTANCES)
def test_squares_of_all_pairs(distance: str, offset: float, rng: np.random.Generator) -> None:
    """Also far from the origin, where they are as exact as the last digit of the coordinates."""
    a, b = make_values(rng, 30, offset), make_values(rng, 50, offset)
    b[:30] = a
    query = QueryConfig(distance=distance)
    squares = pairwise_squares(a, b, query)
    last_digit = D * (np.spacing(np.float32(offset + 30)) / 2) ** 2
    true = [paired(b, point[None], query) ** 2 for point in a]
    np.testing.assert_allclose(squares, true, rtol=1e-12, atol=last_digit)
    assert (squares >= 0).all()


def test_cosine_of_a_zero_vector_is_zero() -> None:
    rows = np.array([[0, 0], [1, 0], [-1, 0]], np.float32)
    queries = np.array([[2, 0], [0, 0]], np.float32)
    config = QueryConfig(distance="cosine", neighbours=3)
    matches = search(queries, rows, np.ones(3, bool), config.neighbours, config)
    np.testing.assert_array_equal(matches.rows, [[1, 0, 2], [0, 1, 2]])
    np.testing.assert_array_equal(matches.distances, [[0, 1, 2], [1, 1, 1]])


def test_more_neighbours_than_rows(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 5))
    matches = Matcher(database, query=QueryConfig(neighbours=50)).neighbours(make_values(rng, 3))
    assert matches.rows.shape == (3, 5)
    np.testing.assert_array_equal(np.sort(matches.rows, 1), [range(5)] * 3)


def test_no_queries(database: DescriptorDatabase) -> None:
    matches = Matcher(database, query=QueryConfig(neighbours=2)).neighbours(
        np.zeros((0, D), np.float32)
    )
    assert matches.rows.shape == matches.distances.shape == (0, 2)


def test_own_content_is_left_out(database: DescriptorDatabase) -> None:
    queries = database.values[300:320]  # of file1
    config = QueryConfig(neighbours=4)
    own = Matcher(database, query=config).neighbours(queries)
    np.testing.assert_array_equal(own.rows[:, 0], range(300, 320))
    other = Matcher(database, query=config).neighbours(queries, exclude_digest="digest1")
    assert not ((other.rows >= 300) & (other.rows < 711)).any()
    unknown = Matcher(database, query=config).neighbours(queries, exclude_digest="elsewhere")
    np.testing.assert_array_equal(unknown.rows, own.rows)
    allowed = QueryConfig(neighbours=4, allow_self_match=True)
    kept = Matcher(database, query=allowed).neighbours(queries, exclude_digest="digest1")
    np.testing.assert_array_equal(kept.rows, own.rows)


def test_neighbours_are_fewer_where_rows_are_left_out(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 5), make_values(rng, 50))
    config = QueryConfig(neighbours=20)
    matches = Matcher(database, query=config).neighbours(
        make_values(rng, 2), exclude_digest="digest1"
    )
    np.testing.assert_array_equal(np.sort(matches.rows, 1), [range(5)] * 2)


def test_the_recording_alone_is_matched_with_itself_and_a_line_says_so(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(make_values(rng, 60))
    with caplog.at_level(logging.INFO, "desc"):
        found = Matcher(database).neighbours(database.values, exclude_digest="digest0")
    np.testing.assert_array_equal(found.rows[:, 0], range(60))
    [line] = caplog.messages
    assert "itself" in line


def test_without_a_run_the_database_gives_the_statistics(
    database: DescriptorDatabase, standardizer: Standardizer, rng: np.random.Generator
) -> None:
    queries = make_values(rng, 30)
    alone = Matcher(database).neighbours(queries)
    fitted = Matcher(database, standardizer).neighbours(queries)
    np.testing.assert_array_equal(alone.rows, fitted.rows)
    np.testing.assert_allclose(alone.distances, fitted.distances, rtol=1e-6)


def test_a_query_alone_and_among_others_finds_the_same(
    database: DescriptorDatabase, standardizer: Standardizer, rng: np.random.Generator
) -> None:
    queries = make_values(rng, 700)
    config = QueryConfig(neighbours=3)
    together = Matcher(database, standardizer, query=config).neighbours(queries)
    for index in (0, 13, 699):
        alone = Matcher(database, standardizer, query=config).neighbours(queries[index : index + 1])
        np.testing.assert_array_equal(alone.rows[0], together.rows[index])
        np.testing.assert_array_equal(alone.distances[0], together.distances[index])


def test_queries_that_are_not_finite_are_named(
    database: DescriptorDatabase, rng: np.random.Generator
) -> None:
    queries = make_values(rng, 20)
    queries[7, 3] = np.nan
    queries[9, 0] = np.inf
    with pytest.raises(DescError, match=r"frame 7 of the 20 .* \(2 such frames\)"):
        Matcher(database).neighbours(queries)


def test_rows_that_are_not_finite_are_named(
    rng: np.random.Generator, standardizer: Standardizer
) -> None:
    broken = make_values(rng, 20)
    broken[4, 0] = np.nan
    database = make_database(make_values(rng, 10), broken)
    with pytest.raises(DescError, match=r"file1\.wav.*sample 3584"):
        Matcher(database, standardizer).neighbours(make_values(rng, 2))


def test_queries_of_other_width_are_refused(database: DescriptorDatabase) -> None:
    with pytest.raises(ConfigurationError, match=r"\(4, 13\) must be \(T, 39\)"):
        Matcher(database).neighbours(np.zeros((4, 13), np.float32))

"""The `Matcher`: moment matching, predictions, the out-of-distribution check, silence."""

from __future__ import annotations

import inspect
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from desc.configuration import QueryConfig, Sampling, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError, DescError
from desc.matching import Matcher
from desc.matching.knn import search
from desc.matching.levels import MUTED_DB
from desc.prediction import Prediction

CONFIG = DescriptorConfig(descriptors=("mfcc",))
GRANULAR = SelectionConfig.styled("granular")  # frames alone
LEVEL = np.sqrt(CONFIG.n_mels)
Values = npt.NDArray[np.float32]


def make_values(rng: np.random.Generator, n: int) -> Values:
    return np.cumsum(rng.standard_normal((n, CONFIG.n_columns)), 0).astype(np.float32)


def make_database(*files: Values, config: DescriptorConfig = CONFIG) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(values, config, f"file{i}.wav", f"digest{i}", len(values) * 1024)
        for i, values in enumerate(files)
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def make_prediction(values: Values, standardizer: Standardizer, **sampling: Any) -> Prediction:
    made_by = standardizer, "run", "LSTM", "0" * 32
    return Prediction(values, CONFIG, "song.wav", "digest0", Sampling(**sampling), *made_by)


def moment_matcher(database: DescriptorDatabase, amount: float, **more: Any) -> Matcher:
    return Matcher(database, query=QueryConfig(match_space=amount), **more)


def test_a_shape_is_found_in_a_corpus_of_other_level_and_spread(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 300))
    shifted = database.values * np.float32(3) + np.float32(500)
    np.testing.assert_array_equal(Matcher(database).match(shifted).target, shifted)
    match = moment_matcher(database, 1.0).match(shifted)
    np.testing.assert_allclose(match.target, database.values, atol=1e-3)
    np.testing.assert_array_equal(match.neighbours.rows[:, 0], range(300))
    half = Standardizer.fit([moment_matcher(database, 0.5).match(shifted).target], CONFIG)
    own = Standardizer.fit([database.values], CONFIG)
    np.testing.assert_allclose(half.scale, own.scale * np.sqrt(3), rtol=1e-3)
    np.testing.assert_allclose(half.mean, own.mean + (2 * own.mean + 500) / 2, rtol=1e-3)


def test_moment_matching_takes_effect_wherever_a_query_is_taken(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 300))
    shifted = database.values[:100] * np.float32(3) + np.float32(500)
    matcher, plain = moment_matcher(database, 1.0), Matcher(database)
    found = matcher.neighbours(shifted, 3)
    np.testing.assert_array_equal(found.rows, plain.neighbours(matcher.moved(shifted), 3).rows)
    assert (found.rows != plain.neighbours(shifted, 3).rows).any()
    match = matcher.match(shifted)
    np.testing.assert_array_equal(match.neighbours.rows[:, 0], found.rows[:, 0])
    assert match.distances.max() < plain.match(shifted).distances.min()


def test_short_and_still_targets_can_be_moved(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 100))
    own, matcher = Standardizer.fit([database.values], CONFIG), moment_matcher(database, 1.0)
    for queries in (np.full((5, CONFIG.n_columns), 7, np.float32), database.values[:1]):
        moved = matcher.moved(queries)
        np.testing.assert_allclose(moved, np.tile(own.mean, (len(queries), 1)), rtol=1e-4)
    assert matcher.moved(queries[:0]).shape == (0, CONFIG.n_columns)


def test_a_match_searches_once_and_lists_as_many_neighbours_as_asked(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beam takes its fifty candidates from the search that lists the neighbours."""
    searched: list[int] = []

    def counted(queries: Values, *given: Any, **named: Any) -> Any:
        searched.append(len(queries))
        return search(queries, *given, **named)

    monkeypatch.setattr("desc.matching.points.search", counted)
    database, queries = make_database(make_values(rng, 300)), make_values(rng, 40)
    for neighbours in (1, 3, 80):
        searched.clear()
        query = QueryConfig(neighbours=neighbours)
        match = Matcher(database, query=query, selection=GRANULAR).match(queries)
        assert searched == [40]
        assert match.neighbours.rows.shape == (40, neighbours)
        of_one = Matcher(database, selection=GRANULAR).match(queries)
        assert match.units == of_one.units, "a list decides no unit"


def test_one_distance_decides_neighbours_rows_and_distances(rng: np.random.Generator) -> None:
    """Neighbours of one distance cannot be given to a selection by another."""
    database = make_database(make_values(rng, 200), make_values(rng, 200))
    queries = make_values(rng, 50)
    for distance in ("euclidean", "cosine", "cityblock"):
        matcher = Matcher(database, query=QueryConfig(distance=distance))
        match, every = matcher.match(queries), matcher.neighbours(queries, 400)
        own = every.distances[every.rows == match.rows[:, None]]
        np.testing.assert_allclose(match.distances, own)
        np.testing.assert_array_equal(match.neighbours.rows, every.rows[:, :1])
    assert "neighbours" not in inspect.signature(Matcher.match).parameters


def test_results_show_their_shapes_in_few_words(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 200), make_values(rng, 100))
    matcher = Matcher(database, query=QueryConfig(neighbours=3))
    match = matcher.match(make_values(rng, 50))
    for shown in (repr(match), repr(matcher), repr(match.neighbours)):
        assert len(shown.splitlines()) <= 2
        assert len(shown) < 200
    assert "50 frames" in repr(match)
    assert "(50, 3)" in repr(match.neighbours)
    assert "(300, 39) rows of 2 files" in repr(matcher)


def test_a_match_of_a_prediction_takes_statistics_seed_and_recording_from_it(
    rng: np.random.Generator,
) -> None:
    database = make_database(make_values(rng, 200), make_values(rng, 200))
    values, scale = database.values[20:80], np.ones(CONFIG.n_columns)
    of_model = Standardizer(np.zeros(CONFIG.n_columns), scale, CONFIG)
    selection = SelectionConfig("sample")
    prediction = make_prediction(values, of_model, seed=3, draw=2)
    matcher = Matcher(database, selection=selection)
    match = matcher.match(prediction)
    explicit = Matcher(database, of_model, selection=selection)
    digest, seed = prediction.digest, prediction.sampling.draw_seed
    assert match.units == explicit.match(values, seed=seed, exclude_digest=digest).units
    assert match.units != explicit.match(values, seed=seed + 1, exclude_digest=digest).units
    assert match.rows.min() >= 200, "the recording itself is left out"
    assert match.matcher is matcher.match(prediction).matcher, "its coordinates are kept"
    found = matcher.neighbours(prediction, 2).distances
    np.testing.assert_array_equal(
        found, explicit.neighbours(values, 2, exclude_digest=digest).distances
    )
    assert explicit.match(prediction).matcher is explicit


def test_a_recording_is_not_matched_with_itself(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 200), make_values(rng, 200))
    sequence = DescriptorSequence(database.values[:50], CONFIG, "file0.wav", "digest0", 50 * 1024)
    assert Matcher(database).match(sequence).rows.min() >= 200
    allowed = Matcher(database, query=QueryConfig(allow_self_match=True))
    assert allowed.match(sequence).rows.tolist() == list(range(50))


def test_a_match_is_a_table(rng: np.random.Generator) -> None:
    match = Matcher(make_database(make_values(rng, 200))).match(make_values(rng, 50))
    table = match.to_dataframe()
    assert list(table) == ["time_s", "source", "sample", "speed", "distance", "unit"]
    assert len(table) == 50
    np.testing.assert_array_equal(table["sample"], match.rows * CONFIG.hop_length)
    assert table["unit"].iloc[-1] == len(match.units) - 1


def test_targets_and_databases_without_frames_are_refused(rng: np.random.Generator) -> None:
    matcher = Matcher(make_database(make_values(rng, 50)))
    with pytest.raises(ConfigurationError, match="at least one frame"):
        matcher.match(np.zeros((0, CONFIG.n_columns), np.float32))
    with pytest.raises(DescError, match="no frames"):
        Matcher(make_database(make_values(rng, 0)))


def test_targets_with_other_descriptors_are_refused(rng: np.random.Generator) -> None:
    matcher = Matcher(make_database(make_values(rng, 50)))
    config = replace(CONFIG, n_fft=4096)
    other = DescriptorSequence(make_values(rng, 9), config, "song.wav", "", 9 * 1024)
    with pytest.raises(ConfigurationError, match=r"song\.wav: .* other settings"):
        matcher.match(other)


def test_wrong_weights_are_refused_before_anything_is_matched(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 50))
    for text, message in (("foo=2", "foo=2"), ("mfcc=0", "at least one column")):
        with pytest.raises(ConfigurationError, match=message):
            Matcher(database, query=QueryConfig(descriptor_weights=text))


def test_a_far_target_is_told_by_name(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(*(make_values(rng, 200) for _ in range(3)))
    matcher = Matcher(database)
    near, far = (
        DescriptorSequence(values, CONFIG, "song.wav", "digest1", len(values) * 1024)
        for values in (database.values[200:300], database.values[:50] + np.float32(200))
    )
    with caplog.at_level(logging.INFO, "desc"):
        matcher.match(near)
        assert not caplog.messages
        match = matcher.match(far)
        [line] = caplog.messages
        moment_matcher(database, 0.5).match(far)
    assert caplog.messages == [line]
    assert "song.wav" in line
    assert "--match_space" in line
    assert f"{matcher.own_distance:.2f}" in line
    assert f"{np.median(match.neighbours.distances[:, 0]):.2f}" in line


def test_the_corpus_is_compared_with_other_content(rng: np.random.Generator) -> None:
    values = make_values(rng, 150)
    assert Matcher(make_database(values)).own_distance is None
    twins = [
        DescriptorSequence(values, CONFIG, name, "one", len(values) * 1024) for name in ("a", "b")
    ]
    assert Matcher(DescriptorDatabase.from_sequences(twins, "/corpus")).own_distance is None
    shifted = make_database(values, values + np.float32(0.001))
    assert Matcher(shifted).own_distance == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("units", ["frame", "grain"])
def test_what_is_quiet_is_silent(units: str, rng: np.random.Generator) -> None:
    values = make_values(rng, 300)
    values[:, 0] = 10 * LEVEL  # every mel band at 10 dB, the loudest row at 20
    values[7, 0] = 20 * LEVEL
    database = make_database(values)
    queries = values[100:140].copy()
    queries[10:25, 0] = -41 * LEVEL
    queries[30, 0] = -39 * LEVEL
    config = SelectionConfig(units=units, silence_gate_db=-60.0, unit_gain_db=0.0)
    chosen = Matcher(database, selection=config).match(queries)
    assert len(chosen.rows) == 40
    gains = np.concatenate([np.full(unit.n_frames, unit.gain_db) for unit in chosen.units])
    np.testing.assert_array_equal(gains == MUTED_DB, (np.arange(40) // 5 - 2) // 3 == 0)
    open_gate = SelectionConfig(units=units, unit_gain_db=0.0)
    free = Matcher(database, selection=open_gate).match(queries)
    np.testing.assert_array_equal(free.rows, chosen.rows)
    assert sum(u.cost for u in free.units) == pytest.approx(sum(u.cost for u in chosen.units))


def test_a_gate_needs_mfcc() -> None:
    config = DescriptorConfig(descriptors=("rms", "centroid"))
    values = np.ones((5, config.n_columns), np.float32)
    database = make_database(values, config=config)
    gate = SelectionConfig(silence_gate_db=-60.0)
    with pytest.raises(ConfigurationError, match="silence_gate_db=-60 must have mfcc"):
        Matcher(database, selection=gate)


def test_settings() -> None:
    with pytest.raises(ConfigurationError, match="match_space=2 must be a number from 0 to 1"):
        QueryConfig(match_space=2)
    with pytest.raises(ConfigurationError, match="silence_gate_db=3 must be"):
        SelectionConfig(silence_gate_db=3)


def test_the_former_name_of_the_beam_search_is_understood() -> None:
    assert SelectionConfig("path") == SelectionConfig("beam") == SelectionConfig()

"""What is done to a target: moved towards an unlike corpus, gated, judged by its distance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from desc.configuration import QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError
from desc.query import far_from, moved_to_corpus, nearest, own_distance, select
from desc.query.gains import MUTED_DB, split_at
from desc.query.selection import Selection, Unit

CONFIG = DescriptorConfig()
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


def test_a_shape_is_found_in_a_corpus_of_other_level_and_spread(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 300))
    shifted = database.values * np.float32(3) + np.float32(500)
    np.testing.assert_array_equal(moved_to_corpus(shifted, database, 0.0), shifted)
    moved = moved_to_corpus(shifted, database, 1.0)
    np.testing.assert_allclose(moved, database.values, atol=1e-3)
    np.testing.assert_array_equal(nearest(moved, database).rows[:, 0], range(300))
    half = Standardizer.fit([moved_to_corpus(shifted, database, 0.5)], CONFIG)
    own = Standardizer.fit([database.values], CONFIG)
    np.testing.assert_allclose(half.scale, own.scale * np.sqrt(3), rtol=1e-3)
    np.testing.assert_allclose(half.mean, own.mean + (2 * own.mean + 500) / 2, rtol=1e-3)


def test_short_and_still_targets_can_be_moved(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 100))
    own = Standardizer.fit([database.values], CONFIG)
    for queries in (np.full((5, CONFIG.n_columns), 7, np.float32), database.values[:1]):
        moved = moved_to_corpus(queries, database, 1.0)
        np.testing.assert_allclose(moved, np.tile(own.mean, (len(queries), 1)), rtol=1e-4)
    assert moved_to_corpus(queries[:0], database, 1.0).shape == (0, CONFIG.n_columns)


def test_a_far_target_is_told(rng: np.random.Generator) -> None:
    database = make_database(*(make_values(rng, 200) for _ in range(3)))
    own = own_distance(database)
    assert own is not None
    near = nearest(database.values[200:300], database, exclude_digest="digest1")
    assert far_from(near, own) is None
    far = nearest(database.values[:50] + np.float32(200), database)
    line = far_from(far, own)
    assert line is not None
    assert "--match_space" in line
    assert f"{own:.2f}" in line
    assert f"{np.median(far.distances):.2f}" in line


def test_the_corpus_is_compared_with_other_content(rng: np.random.Generator) -> None:
    values = make_values(rng, 150)
    assert own_distance(make_database(values)) is None
    assert far_from(nearest(values, make_database(values)), None) is None
    twins = [
        DescriptorSequence(values, CONFIG, name, "one", len(values) * 1024) for name in ("a", "b")
    ]
    assert own_distance(DescriptorDatabase.from_sequences(twins, "/corpus")) is None
    shifted = make_database(values, values + np.float32(0.001))
    assert own_distance(shifted) == pytest.approx(0, abs=0.01)


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
    matches = nearest(queries, database)
    chosen = select(matches, queries, database, None, config)
    assert chosen.n_frames == len(chosen.rows) == 40
    gains = np.concatenate([np.full(unit.n_frames, unit.gain_db) for unit in chosen.units])
    np.testing.assert_array_equal(gains == MUTED_DB, (np.arange(40) // 5 - 2) // 3 == 0)
    open_gate = SelectionConfig(units=units, unit_gain_db=0.0)
    free = select(matches, queries, database, None, open_gate)
    np.testing.assert_array_equal(free.rows, chosen.rows)
    assert sum(u.cost for u in free.units) == pytest.approx(sum(u.cost for u in chosen.units))


def test_units_are_cut_where_silence_begins_and_ends() -> None:
    silent = np.zeros(12, bool)
    silent[3:5] = True
    units = (Unit(20, 6, 0, cost=6.0), Unit(50, 6, 6))
    cut = split_at(Selection(units), silent).units
    assert [(u.first_row, u.n_frames, u.onset_frame, u.cost) for u in cut] == [
        (20, 3, 0, 3.0), (23, 2, 3, 2.0), (25, 1, 5, 1.0), (50, 6, 6, 0.0)
    ]  # fmt: skip


def test_a_gate_needs_mfcc() -> None:
    config = DescriptorConfig(descriptors=("rms", "centroid"))
    values = np.ones((5, config.n_columns), np.float32)
    database = make_database(values, config=config)
    gate = SelectionConfig(silence_gate_db=-60.0)
    matches = nearest(values, database)
    with pytest.raises(ConfigurationError, match="silence_gate_db=-60 must have mfcc"):
        select(matches, values, database, None, gate)


def test_settings() -> None:
    with pytest.raises(ConfigurationError, match="match_space=2 must be a number from 0 to 1"):
        QueryConfig(match_space=2)
    with pytest.raises(ConfigurationError, match="silence_gate_db=3 must be"):
        SelectionConfig(silence_gate_db=3)

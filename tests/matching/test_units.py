from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc.configuration import SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_digest
from desc.descriptors.sequence import DescriptorSequence
from desc.matching import Matcher, Unit, repeat_share
from desc.matching.units import SourcePositions, rows_of_units, units_of_rows

CONFIG = DescriptorConfig(descriptors=("mfcc",))


@pytest.fixture
def database(rng: np.random.Generator) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(
            rng.standard_normal((n, CONFIG.n_columns)).astype(np.float32), CONFIG, name, name, n
        )
        for name, n in (("a", 10), ("b", 6))
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def units_of(rows: list[int], database: DescriptorDatabase) -> tuple[Unit, ...]:
    return units_of_rows(np.array(rows, np.int64), np.full(len(rows), 0.5), database)


def test_consecutive_rows_of_a_file_become_one_unit(database: DescriptorDatabase) -> None:
    #       unit  | new | back | unit, up to the end of file a | file b
    rows = [3, 4, 5, 7, 6, 7, 8, 9, 10, 11, 11]
    units = units_of(rows, database)
    assert units == (
        Unit(3, 3, 0, cost=1.5),
        Unit(7, 1, 3, cost=0.5),
        Unit(6, 4, 4, cost=2.0),
        Unit(10, 2, 8, cost=1.0),
        Unit(11, 1, 10, cost=0.5),
    )
    assert rows_of_units(units).tolist() == rows


def test_frames_that_do_not_follow_in_the_file_are_no_unit(database: DescriptorDatabase) -> None:
    centres = database.centre_samples.copy()
    centres[5:10] += CONFIG.hop_length  # a frame is missing before row 5
    gap = replace(database, centre_samples=centres)
    units = units_of([3, 4, 5, 6], gap)
    assert [(unit.first_row, unit.n_frames) for unit in units] == [(3, 2), (5, 2)]


def test_a_file_matched_with_itself_is_one_unit(database: DescriptorDatabase) -> None:
    for selection in ("nearest", "beam"):
        settings = SelectionConfig(selection, unit_gain_db=0.0)
        match = Matcher(database, selection=settings).match(database.values[10:])
        assert [(u.first_row, u.n_frames) for u in match.units] == [(10, 6)]


def test_no_rows_are_no_units(database: DescriptorDatabase) -> None:
    assert units_of([], database) == ()
    assert not len(rows_of_units(()))
    assert repeat_share((), database) == 0


def test_repeats_are_counted_across_units() -> None:
    database = make_database([50])
    units = (Unit(10, 4, 0), Unit(30, 2, 4), Unit(12, 3, 6), Unit(40, 1, 9))
    # Of the third unit all three frames are within two rows of 10 … 13.
    assert repeat_share(units, database) == pytest.approx(3 / 10)
    assert repeat_share(units, database, within_s=0.02) == 0


def test_repeats_are_counted_anywhere_and_in_all_layers() -> None:
    database = make_database([3000])
    far_apart = (Unit(10, 4, 0), Unit(500, 2000, 4), Unit(10, 4, 2004))
    assert repeat_share(far_apart, database) == pytest.approx(4 / 2008)
    assert repeat_share(far_apart, database, within_s=0.5) == 0
    at_once = (Unit(10, 8, 0), Unit(10, 4, 0, layer=1), Unit(900, 4, 4, layer=1, gain_db=-200.0))
    # All four frames of the second layer, and frames 1 to 5 of the first: within two of
    # what the second played. Silence repeats nothing.
    assert repeat_share(at_once, database) == pytest.approx(9 / 12)
    split = (Unit(10, 4, 0), Unit(14, 4, 4))  # one unit, divided where silence began
    assert repeat_share(split, database) == 0


def test_repeats_are_those_of_every_pair_of_frames(rng: np.random.Generator) -> None:
    database = make_database([30, 20], [0.5])
    of_row = SourcePositions.of(database).of_row
    units, onset = [], {0: 0, 1: 0}
    for layer in (0,) * 12 + (1,) * 12:
        first, n = (int(rng.integers(0, 26)) + 30 * int(rng.integers(0, 2))) % 46, 3
        units.append(Unit(first, n, onset[layer], layer=layer))
        onset[layer] += n
    for within_s in (np.inf, 0.3):
        played = [
            (unit.onset_frame + i, unit.layer, number, of_row[unit.first_row + i])
            for number, unit in enumerate(units)
            for i in range(unit.n_frames)
        ]
        continued = {
            (n - 1, n)
            for n in range(1, len(units))
            if units[n].first_row == units[n - 1].rows.stop and units[n].layer == units[n - 1].layer
        }
        repeated = [
            any(
                (f, la) < (frame, layer)
                and abs(int(p) - int(position)) <= 2
                and n != number
                and (n, number) not in continued
                and (frame - f) / CONFIG.frame_rate <= within_s
                for f, la, n, p in played
            )
            for frame, layer, number, position in played
        ]
        assert repeat_share(tuple(units), database, within_s) == pytest.approx(np.mean(repeated))


def test_repeats_at_other_speeds_are_counted() -> None:
    database = make_database([40], [0.5])
    again = (Unit(10, 4, 0), Unit(40 + 20, 4, 4), Unit(40 + 60, 2, 8))
    assert repeat_share(again, database) == pytest.approx(4 / 10)  # positions 10, 11, 11, 12


def test_the_end_of_a_file_is_not_near_the_next() -> None:
    positions = SourcePositions.of(make_database([3, 2]))
    assert positions.chain.tolist() == [0, 1, 2, 4, 5]
    assert positions.of_row.tolist() == [0, 1, 2, 5, 6]


def test_a_source_position_is_the_same_at_any_speed() -> None:
    positions = SourcePositions.of(make_database([5, 3], [0.5, 2.0]))
    own, slow, fast = (0, 1, 2, 3, 4), (0, 1, 1, 2, 2, 3, 3, 4, 4, 5), (0, 2, 4)
    second, second_slow, second_fast = (8, 9, 10), (8, 9, 9, 10, 10, 11), (8, 10)
    assert positions.of_row.tolist() == [
        *own,
        *second,
        *slow,
        *second_slow,
        *fast,
        *second_fast,
    ]  # 4 and 8 are no neighbours
    first, end = positions.rows_within(np.array([0, 2, 4, 5]), np.array([4, 2, 3, 9]), 1)
    found = list(zip(first.tolist(), end.tolist(), strict=True))
    assert found == [(3, 5), (9, 15), (25, 27), (27, 29)]


def make_database(sizes: list[int], speeds: Sequence[float] = ()) -> DescriptorDatabase:
    """Return a database of silent recordings of these lengths, each also at these speeds."""
    sequences = []
    for speed in (1.0, *speeds):
        for i, size in enumerate(sizes):
            digest = f"digest{i}" if speed == 1 else variant_digest(f"digest{i}", speed)
            n = math.ceil(size / speed)
            values = np.zeros((n, CONFIG.n_columns), np.float32)
            sequences.append(
                DescriptorSequence(values, CONFIG, f"file{i}.wav", digest, n * CONFIG.hop_length)
            )
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))

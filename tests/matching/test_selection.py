from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from desc.configuration import QueryConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.query import Matches, Selection, Unit, nearest, select_nearest

CONFIG = DescriptorConfig()


@pytest.fixture
def database(rng: np.random.Generator) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(
            rng.standard_normal((n, CONFIG.n_columns)).astype(np.float32), CONFIG, name, name, n
        )
        for name, n in (("a", 10), ("b", 6))
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def matches_of(rows: list[int]) -> Matches:
    chosen: npt.NDArray[np.int64] = np.array([[row, 0] for row in rows], np.int64)
    return Matches(chosen, np.tile([0.5, 9.0], (len(rows), 1)))


def test_consecutive_rows_of_a_file_become_one_unit(database: DescriptorDatabase) -> None:
    #                  unit  | new | back | unit, up to the end of file a | file b
    selection = select_nearest(matches_of([3, 4, 5, 7, 6, 7, 8, 9, 10, 11, 11]), database)
    assert selection.units == (
        Unit(3, 3, 0, cost=1.5),
        Unit(7, 1, 3, cost=0.5),
        Unit(6, 4, 4, cost=2.0),
        Unit(10, 2, 8, cost=1.0),
        Unit(11, 1, 10, cost=0.5),
    )
    assert selection.n_frames == 11
    assert sum(unit.n_frames for unit in selection.units) == 11


def test_frames_that_do_not_follow_in_the_file_are_no_unit(database: DescriptorDatabase) -> None:
    centres = database.centre_samples.copy()
    centres[5:10] += CONFIG.hop_length  # a frame is missing before row 5
    gap = DescriptorDatabase(
        values=database.values,
        file_index=database.file_index,
        centre_samples=centres,
        files=database.files,
        config=CONFIG,
        root=database.root,
        digest=database.digest,
    )
    units = select_nearest(matches_of([3, 4, 5, 6]), gap).units
    assert [(unit.first_row, unit.n_frames) for unit in units] == [(3, 2), (5, 2)]


def test_a_file_matched_with_itself_is_one_unit(database: DescriptorDatabase) -> None:
    matches = nearest(database.values[10:], database, None, QueryConfig())
    assert select_nearest(matches, database).units == (Unit(10, 6, 0, cost=0.0),)


def test_nothing_to_select(database: DescriptorDatabase) -> None:
    empty = Matches(np.zeros((0, 1), np.int64), np.zeros((0, 1)))
    assert select_nearest(empty, database) == Selection(())
    assert Selection(()).n_frames == 0

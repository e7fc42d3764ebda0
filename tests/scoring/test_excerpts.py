"""Where excerpts are cut."""

from __future__ import annotations

import numpy as np
import pytest

from desc.scoring.excerpts import Protocol, positions

SHORT, LONG = Protocol("short", 512, 512, 6), Protocol("long", 512, 2048, 3)


@pytest.mark.parametrize(
    ("n_frames", "n"), [(1023, 0), (1024, 1), (1279, 1), (1280, 2), (2304, 6), (9000, 6)]
)
def test_there_are_as_many_as_there_is_room_for(n_frames: int, n: int) -> None:
    found = positions(n_frames, SHORT)
    assert len(found) == n
    assert all(512 <= p <= n_frames - 512 for p in found)
    assert (np.diff(found) >= 255).all()


def test_they_are_evenly_spaced() -> None:
    np.testing.assert_array_equal(positions(6024, SHORT), np.arange(6) * 1000 + 512)


def test_long_ones_have_as_much_before_as_after() -> None:
    assert len(positions(4095, LONG)) == 0
    np.testing.assert_array_equal(positions(4096, LONG), [2048])

"""Constraints on repetition, also where recordings are played slower and faster."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desc.configuration import SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_digest
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.matching import Matcher, Unit
from desc.matching.repetition import LAG_FRAMES, Limits, TabuWindow, feasible_limits
from desc.matching.units import SourcePositions
from tests.hearing import comes_back, most_heard

CONFIG = DescriptorConfig(descriptors=("mfcc",))
FRAME_MS = 1000 / CONFIG.frame_rate
Values = npt.NDArray[np.float32]


def make_database(files: Sequence[Values], speeds: Sequence[float]) -> DescriptorDatabase:
    """Return recordings of these frames, each of them also at speeds."""
    found = []
    for speed in (1.0, *speeds):
        for i, values in enumerate(files):
            digest = f"digest{i}" if speed == 1 else variant_digest(f"digest{i}", speed)
            n_frames = math.ceil(len(values) / speed)
            at = np.minimum(np.rint(np.arange(n_frames) * speed), len(values) - 1).astype(int)
            sequence = DescriptorSequence(
                values[at], CONFIG, f"file{i}.wav", digest, n_frames * CONFIG.hop_length
            )
            found.append(sequence)
    return DescriptorDatabase.from_sequences(found, Path("/corpus"))


def choose(
    queries: Values, database: DescriptorDatabase, config: SelectionConfig
) -> tuple[Unit, ...]:
    return Matcher(database, selection=config).match(queries).units


def places(*numbers: int) -> npt.NDArray[np.int32]:
    return np.array(numbers, np.int32)


def test_only_the_own_unit_may_be_near() -> None:
    alone = np.zeros(1, np.intp)
    for before, barred in ((12, True), (8, False), (7, False), (13, False)):
        window = TabuWindow(Limits(5, None), 100)
        window.start(places(before))
        window.follow(alone, places(9), np.array([before == 8]))
        # 10 is within two rows of 12, which another unit played; 8 and 9 are its own.
        assert window.bars_continuing(places(10)) == [barred]
        assert window.bars_jumps(places(11, 12, 30)).tolist() == [[True, before > 9, False]]


def test_what_is_settled_counts_once() -> None:
    window = TabuWindow(Limits(0, 2), 100)
    alone = np.zeros(1, np.intp)
    window.start(places(0))
    for row in range(1, LAG_FRAMES):
        assert window.settle() is None
        window.follow(alone, places(row), np.array([True]))
    assert window.settle() is None
    assert window.bars_jumps(places(0)).tolist() == [[False]]
    window.follow(alone, places(0), np.array([False]))
    assert window.bars_jumps(places(0)).tolist() == [[True]]


def test_a_place_is_not_left_by_playing_it_at_another_speed() -> None:
    window, alone = TabuWindow(Limits(0, None, longest=3, reach=4), 100), np.zeros(1, np.intp)
    window.start(places(10))
    for position, barred in ((10, False), (13, True)):  # the same place, then a little ahead
        window.follow(alone, places(position), np.array([False]))
        assert window.bars_continuing(places(position + 1)) == [barred]
    assert window.bars_jumps(places(12, 13, 17, 18)).tolist() == [[False, True, True, False]]


@pytest.mark.parametrize("speed", [0.5, 0.89, 1.06, 2.0])
def test_one_unit_may_be_slow_or_fast(speed: float, rng: np.random.Generator) -> None:
    """Positions that last within a unit are not repetitions."""
    values = np.cumsum(rng.standard_normal((200, CONFIG.n_columns)), 0).astype(np.float32)
    database = make_database([values], [speed])
    wanted = database.values[200:250]
    for units in ("frame", "grain", "onset"):
        config = SelectionConfig(units=units, max_use=1, hold_s=0.5)
        assert [u.first_row for u in choose(wanted, database, config)] == [200]


def test_a_sound_does_not_come_back_at_another_speed(rng: np.random.Generator) -> None:
    values = np.cumsum(rng.standard_normal((300, CONFIG.n_columns)), 0).astype(np.float32)
    database = make_database([values], [0.94])
    wanted = np.tile(values[100:110], (2, 1))
    for units in ("frame", "grain"):
        grain = 10 * FRAME_MS
        unheld = SelectionConfig.styled("granular", units=units, grain_ms=grain, hold_s=0.0)
        free = choose(wanted, database, unheld)
        assert comes_back(free, database, 20)
        held = choose(wanted, database, replace(unheld, hold_s=0.5))
        assert not comes_back(held, database, 21)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 80), min_size=1, max_size=2),
    n_frames=st.integers(1, 120),
    speeds=st.sampled_from([[], [0.89], [1.12], [0.5, 2.0], [0.89, 0.944, 1.06, 1.122]]),
    hold_s=st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    max_use=st.sampled_from([None, 1, 2, 5]),
    units=st.sampled_from(["frame", "onset", 1, 2, 5, 30]),
    selection=st.sampled_from(["beam", "sample"]),
    layers=st.integers(1, 2),
    width=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_limits_hold_across_speeds(
    *,
    sizes: list[int],
    n_frames: int,
    speeds: list[float],
    hold_s: float,
    max_use: int | None,
    units: str | int,
    selection: str,
    layers: int,
    width: int,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    # Few different values, so that all paths want the same rows.
    files = [random.integers(0, 3, (n, CONFIG.n_columns)).astype(np.float32) for n in sizes]
    database = make_database(files, speeds)
    queries = random.integers(0, 2, (n_frames, 1)) * np.ones((1, CONFIG.n_columns), np.float32)
    of_units = {"units": "grain", "grain_ms": units * FRAME_MS} if isinstance(units, int) else {}
    config = SelectionConfig(
        selection, hold_s=hold_s, max_use=max_use, beam_width=width, candidates=7, layers=layers,
        **of_units or {"units": units},  # type: ignore[arg-type]
    )  # fmt: skip
    n_positions = len(np.unique(SourcePositions.of(database).of_row))
    if max_use is not None and n_positions * max_use < n_frames:
        with pytest.raises(
            ConfigurationError, match=f"{n_positions} source positions .* {n_frames} frames"
        ):
            choose(queries, database, config)
        return
    limits = feasible_limits(config, n_positions, n_frames, CONFIG.frame_rate)
    chosen = choose(queries, database, config)
    for layer in range(layers):
        assert sum(u.n_frames for u in chosen if u.layer == layer) == n_frames
        assert not comes_back(chosen, database, limits.hold, layer)
        if max_use is not None:
            assert most_heard(chosen, database, layer) <= max_use

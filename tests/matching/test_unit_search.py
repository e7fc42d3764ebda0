"""Units longer than a frame: grains, and sounds from onset to onset."""

from __future__ import annotations

import logging
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from desc.configuration import SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.matching import Match, Matcher
from desc.matching.boundaries import onset_rows
from desc.matching.repetition import feasible_limits
from tests.hearing import comes_back

CONFIG = DescriptorConfig(descriptors=("mfcc",))
FRAME_MS = 1000 / CONFIG.frame_rate
Values = npt.NDArray[np.float32]


def make_values(rng: np.random.Generator, n: int) -> Values:
    return np.cumsum(rng.standard_normal((n, CONFIG.n_columns)), 0).astype(np.float32)


def notes(rng: np.random.Generator, n: int) -> tuple[Values, list[int]]:
    """Descriptors of decaying sounds, and the frames at which they begin."""
    starts = np.cumsum(rng.integers(6, 14, n // 6))
    starts = starts[starts < n - 6].tolist()
    values = 0.1 * rng.standard_normal((n, CONFIG.n_columns)).astype(np.float32)
    for start, stop in zip(starts, [*starts[1:], n], strict=False):
        values[start:stop] += rng.standard_normal(CONFIG.n_columns)
        values[start:stop, 0] += 200 * 0.7 ** np.arange(stop - start)
    return values, starts


def make_database(*files: Values) -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(values, CONFIG, f"file{i}.wav", f"digest{i}", len(values) * 1024)
        for i, values in enumerate(files)
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


def choose(
    queries: Values, database: DescriptorDatabase, config: SelectionConfig, **options: Any
) -> Match:
    return Matcher(database, selection=config).match(queries, **options)


def grains(n_frames: int, **options: Any) -> SelectionConfig:
    grain_ms = n_frames * FRAME_MS
    return SelectionConfig.styled("granular", units="grain", grain_ms=grain_ms, **options)


@pytest.mark.parametrize("continuity", [0.0, 1.0])
def test_grains_without_limits_are_the_cheapest(
    continuity: float, rng: np.random.Generator
) -> None:
    for _ in range(3):
        database = make_database(make_values(rng, 5), make_values(rng, 4))
        queries = make_values(rng, 7)
        matcher = Matcher(database)
        points, rows = matcher.space.project(queries), matcher.coordinates
        to, between = cdist(points, rows), cdist(rows, rows)
        step = np.median([between[row, row + 1] for row in (0, 1, 2, 3, 5, 6, 7)])
        changes = np.append(0.0, np.diag(cdist(points[1:], points[:-1])))
        between = between**2 / (1.5 * np.maximum(changes, step)[:, None, None])  # (T, N, N)
        jump = continuity * np.median(to.min(1))

        def cost(
            path: tuple[int, ...], to: npt.NDArray, between: npt.NDArray, jump: float
        ) -> float:
            total = 0.0
            for k, row in enumerate(path):
                frames = range(2 * k, min(2 * k + 2, 7))
                total += sum(to[t, row + i] for i, t in enumerate(frames))
                if k:
                    last = path[k - 1] + 1
                    ahead = last + (last not in (4, 8))
                    if ahead == last or row != ahead:
                        total += between[2 * k, ahead, row] + jump
            return float(total)

        starts = (0, 1, 2, 3, 5, 6, 7)  # with two rows of their file from there
        cheapest = min(cost(p, to, between, jump) for p in product(starts, repeat=4))
        config = grains(2, hold_s=0.0, continuity=continuity)
        found = choose(queries, database, config)
        assert sum(unit.cost for unit in found.units) == pytest.approx(cheapest, abs=1e-4)


@pytest.mark.parametrize("selection", ["nearest", "beam", "sample"])
def test_grains_begin_on_their_grid_and_the_last_is_cut(
    selection: str, rng: np.random.Generator
) -> None:
    database = make_database(make_values(rng, 400), make_values(rng, 300))
    queries = make_values(rng, 100)
    chosen = choose(queries, database, grains(11, selection=selection))
    assert len(chosen) == len(chosen.rows) == 100
    assert all(unit.onset_frame % 11 == 0 for unit in chosen.units)


def test_an_excerpt_of_the_corpus_comes_back_as_one_unit(rng: np.random.Generator) -> None:
    values, starts = notes(rng, 300)
    database = make_database(make_values(rng, 200), values)
    first = starts[3]
    for config in (grains(11), SelectionConfig.styled("granular", units="onset")):
        chosen = choose(values[first : first + 80], database, config)
        assert [(u.first_row, u.n_frames) for u in chosen.units] == [(200 + first, 80)]
        assert chosen.units[0].cost == pytest.approx(0, abs=1e-6)


def test_whole_sounds_are_chosen(rng: np.random.Generator) -> None:
    first, second = (notes(rng, 400) for _ in range(2))
    database = make_database(first[0], second[0])
    begin = {0, *first[1], 400, *(400 + start for start in second[1])}
    assert set(np.flatnonzero(onset_rows(database))) == begin
    queries = notes(rng, 150)[0]
    for selection in ("nearest", "beam"):
        chosen = choose(queries, database, SelectionConfig(selection, units="onset"))
        assert len(chosen.rows) == 150
        assert len(chosen.units) > 5
        for unit in chosen.units:
            assert unit.first_row in begin
            end = unit.first_row + unit.n_frames
            assert end in begin | {800} or unit.onset_frame + unit.n_frames == 150


@settings(max_examples=40, deadline=None)
@given(
    n_rows=st.integers(2, 150),
    n_frames=st.integers(1, 120),
    hold_s=st.sampled_from([0.0, 0.1, 0.5]),
    max_use=st.sampled_from([None, 1, 2]),
    units=st.sampled_from([1, 2, 5, 30, "onset"]),
    width=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_limits_always_hold(
    *,
    n_rows: int,
    n_frames: int,
    hold_s: float,
    max_use: int | None,
    units: int | str,
    width: int,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    first = random.integers(1, n_rows)
    values = notes(random, n_rows)[0]
    values[random.random(n_rows) < 0.5] = 0
    database = make_database(values[:first], values[first:])
    queries = random.integers(0, 2, (n_frames, 1)) * np.ones((1, CONFIG.n_columns))
    common = {"hold_s": hold_s, "max_use": max_use, "beam_width": width, "candidates": 7}
    config = SelectionConfig(units="onset", **common)  # type: ignore[arg-type]
    if isinstance(units, int):
        config = grains(units, **common)
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


def test_what_the_limits_leave_is_told(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(make_values(rng, 120))
    queries = np.tile(database.values[40:50], (10, 1))
    with caplog.at_level(logging.INFO, "desc"):
        chosen = choose(queries, database, grains(10, max_use=1, hold_s=0.0, candidates=2))
    assert np.bincount(chosen.rows).max() == 1
    assert "more distant units or single frames were used" in caplog.messages[-1]


def test_sample_follows_its_seed(rng: np.random.Generator) -> None:
    database = make_database(make_values(rng, 500))
    queries = make_values(rng, 80)
    config = grains(8, selection="sample")
    drawn = choose(queries, database, config, seed=1).units
    assert drawn == choose(queries, database, config, seed=1).units
    assert drawn != choose(queries, database, config, seed=2).units


def test_excluded_content_is_not_played(rng: np.random.Generator) -> None:
    database = make_database(notes(rng, 100)[0], notes(rng, 80)[0])
    for config in (grains(7), SelectionConfig(units="onset")):
        match = choose(database.values[:60], database, config, exclude_digest="digest0")
        assert match.rows.min() >= 100


def test_settings() -> None:
    assert SelectionConfig(grain_ms=250).grain_frames(44100 / 1024) == 11
    assert SelectionConfig(grain_ms=1).grain_frames(44100 / 1024) == 1
    with pytest.raises(
        ConfigurationError, match="units='word' must be one of frame, onset, beat, grain"
    ):
        SelectionConfig(units="word")
    with pytest.raises(ConfigurationError, match="grain_ms=0 must be"):
        SelectionConfig(grain_ms=0)

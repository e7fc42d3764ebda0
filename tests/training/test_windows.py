"""Items: starts, content, and the items of an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from desc.training.windows import (
    FrameTable,
    TrainingGrid,
    ValidationBatches,
    good_starts,
    possible_starts,
    validation_starts,
)

LENGTHS = [50, 9, 21, 33]
LOOKBACK, HORIZON = 6, 8


def recordings(lengths: list[int] = LENGTHS) -> list[np.ndarray]:
    """Frames that encode recording and position: (100 · recording + position, recording)."""
    return [
        np.stack([100 * i + np.arange(n), np.full(n, i)], 1).astype(np.float32)
        for i, n in enumerate(lengths)
    ]


@pytest.fixture
def table() -> FrameTable:
    return FrameTable(recordings(), LOOKBACK, HORIZON)


def grid(table: FrameTable, seed: int = 0, good: np.ndarray | None = None) -> TrainingGrid:
    good = np.ones(table.n_rows, dtype=bool) if good is None else good
    return TrainingGrid(table.begins, table.lengths, HORIZON, good, seed)


def test_an_item_is_a_stretch_of_its_recording(table: FrameTable) -> None:
    batch = table.gather(np.array([20, 50 + 9 + 10]))
    np.testing.assert_array_equal(batch.frames[0, :, 0], np.arange(14, 28))
    np.testing.assert_array_equal(batch.frames[1, :, 0], 200 + np.arange(4, 18))
    assert batch.valid.all()
    assert batch.scored.shape == (2, HORIZON)
    assert batch.scored.all()


@pytest.mark.parametrize("columns", [slice(1, 3), [0, 3]])
def test_items_from_files_equal_those_of_a_device(
    columns: slice | list[int], rng: np.random.Generator
) -> None:
    frames = [rng.standard_normal((n, 4)).astype(np.float32) for n in LENGTHS]
    table = FrameTable(frames, LOOKBACK, HORIZON, columns)
    rows = rng.permutation(table.n_rows)
    here = table.gather(rows)
    table.to(torch.device("cpu"))
    there = table.gather(rows)
    assert table.frames is not None
    assert table.frames.nbytes == table.n_bytes
    for ours, theirs in zip(here[1:], there[1:], strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(here.frames[here.valid], there.frames[here.valid])
    whole = table.gather(np.array([LOOKBACK])).frames[0]
    np.testing.assert_array_equal(whole, frames[0][: LOOKBACK + HORIZON, columns])


def test_no_item_crosses_into_another_recording(table: FrameTable) -> None:
    rows = np.arange(table.n_rows)
    batch = table.gather(rows)
    owner = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    held = batch.frames[..., 1]
    assert (
        held[batch.valid] == torch.from_numpy(owner)[:, None].expand_as(held)[batch.valid]
    ).all()
    position = rows - table.begins[owner]
    before = np.minimum(position, LOOKBACK)
    after = np.minimum(table.lengths[owner] - position, HORIZON)
    np.testing.assert_array_equal(batch.valid.sum(1), before + after)


def test_a_frame_is_scored_where_it_and_the_one_before_exist(table: FrameTable) -> None:
    first = table.gather(table.begins).scored
    assert not first[:, 0].any(), "the first frame of a recording has no predecessor"
    assert first[0, 1:].all()
    last = table.gather(table.begins + table.lengths - 1).scored
    assert last[:, 0].all()
    assert not last[:, 1:].any()


def test_a_short_recording_is_one_padded_item() -> None:
    short = FrameTable(recordings([5]), LOOKBACK, HORIZON)
    for epoch in range(20):
        rows = grid(short).epoch(epoch)
        np.testing.assert_array_equal(rows, [1])
    batch = short.gather(rows)
    assert batch.valid.sum() == 5
    assert batch.scored.sum() == 4
    np.testing.assert_array_equal(batch.frames[0, batch.valid[0], 0], np.arange(5))


def test_over_epochs_every_start_occurs(table: FrameTable) -> None:
    seen = np.concatenate([grid(table).epoch(e) for e in range(HORIZON)])
    possible = np.flatnonzero(possible_starts(grid(table)))
    np.testing.assert_array_equal(np.unique(seen), possible)
    long = possible[(possible < 43)]  # of a recording longer than an item, each occurs once
    assert all((seen == row).sum() == 1 for row in long)


@given(st.lists(st.integers(9, 60), min_size=1, max_size=6), st.integers(0, 100), st.integers(0, 9))
def test_an_epoch_scores_no_frame_twice(lengths: list[int], epoch: int, seed: int) -> None:
    table = FrameTable(recordings(lengths), LOOKBACK, HORIZON)
    rows = grid(table, seed).epoch(epoch)
    batch = table.gather(rows)
    scored = batch.frames[:, -HORIZON:][batch.scored][:, 0].numpy()
    assert len(scored) == len(np.unique(scored))
    # All frames but the first, up to nearly an item at either end of a recording.
    assert len(scored) >= sum(max(1, n - 1 - 2 * (HORIZON - 1)) for n in lengths)


def test_order_is_a_function_of_seed_and_epoch(table: FrameTable) -> None:
    for epoch in (0, 3, 11):
        rows = grid(table).epoch(epoch)
        np.testing.assert_array_equal(rows, grid(table).epoch(epoch))
        assert not np.array_equal(rows, np.sort(rows))
        assert not np.array_equal(np.sort(rows), np.sort(grid(table, seed=1).epoch(epoch)))
        assert not np.array_equal(np.sort(rows), np.sort(grid(table).epoch(epoch + 1)))


def test_items_with_bad_frames_are_left_out_whole() -> None:
    lengths = np.array([40, 40])
    begins = np.array([0, 40])
    bad = np.zeros(80, dtype=bool)
    bad[[20, 79]] = True
    good = good_starts(bad, begins, lengths, reach=3, prediction_length=8)
    # Row 20 is in every item that starts at 13 … 23; row 79 in those from 72 on.
    np.testing.assert_array_equal(np.flatnonzero(~good), [*range(13, 24), *range(72, 80)])


def test_an_epoch_is_never_empty(table: FrameTable) -> None:
    good = np.zeros(table.n_rows, dtype=bool)
    good[[3, 17]] = True
    for epoch in range(30):
        rows = grid(table, good=good).epoch(epoch)
        assert len(rows) >= 1
        assert set(rows) <= {3, 17}


@given(st.integers(9, 100), st.integers(1, 40))
def test_validation_starts_cover_a_recording(length: int, prediction_length: int) -> None:
    starts = validation_starts(length, prediction_length)
    covered = np.unique((starts[:, None] + np.arange(prediction_length)).ravel())
    assert set(range(1, length)) <= set(covered)
    assert length <= prediction_length or covered[-1] == length - 1, (
        "no padding where none is needed"
    )


def test_validation_scores_every_frame_that_counts_once(table: FrameTable) -> None:
    counted = np.random.default_rng(0).random(table.n_rows) < 0.8
    batches = ValidationBatches(table, counted, 4)
    scored = [b.frames[:, -HORIZON:][b.scored][:, 0].numpy() for b in batches]
    frames = np.concatenate(recordings())[:, 0]
    expected = counted.copy()
    expected[table.begins] = False
    np.testing.assert_array_equal(np.sort(np.concatenate(scored)), frames[expected])
    assert len(list(batches)) == len(batches)

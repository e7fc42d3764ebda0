"""Training items, gathered by index from the frames of all recordings.

An item is the frames [s - context_length, s + prediction_length) of one recording, of which the
last `prediction_length` are scored. Positions outside the recording are masked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

VALIDATION_ITEMS = 256  # per batch: without gradients there is room for more
OFFSETS, ORDER, SPARE = 0, 1, 2  # streams of random numbers, so that none depends on another


class Batch(NamedTuple):
    """A batch of items.

    Attributes
    ----------
    frames : Tensor (B, context_length + prediction_length, F)
        Static columns, raw units; zeros or a neighbour's frames where not valid.
    valid : Tensor of bool (B, context_length + prediction_length)
        Mask of the positions inside the recording.
    scored : Tensor of bool (B, prediction_length)
        Mask of the scored frames among the last `prediction_length`.
    """

    frames: Tensor
    valid: Tensor
    scored: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return self if self.frames.device == device else Batch(*(x.to(device) for x in self))


class FrameTable:
    """The frames of all recordings, from which items are gathered.

    They stay where they are, in memory-mapped files as a rule, until `to` copies them to a device.

    Parameters
    ----------
    recordings : sequence of ndarray, (C, D) each
        Descriptors of the complete frames, raw units, at least one frame each.
    context_length : int
        Frames an item holds before its first scored frame, at least 1.
    prediction_length : int
        Frames an item scores.
    columns : slice or list of int
        The static columns, F of D.

    Attributes
    ----------
    begins, lengths : ndarray of int64, (n_recordings,)
        First row and number of rows of each recording; N = Σ lengths.
    frames : Tensor, optional
        All static columns on one device, between zeros for items that cross either end.
    """

    def __init__(
        self,
        recordings: Sequence[npt.NDArray[np.float32]],
        context_length: int,
        prediction_length: int,
        columns: slice | list[int] = slice(None),
    ) -> None:
        self.context_length, self.prediction_length = context_length, prediction_length
        self.lengths = np.array([len(x) for x in recordings], dtype=np.int64)
        self.begins = np.cumsum(self.lengths) - self.lengths
        self.frames: Tensor | None = None
        self._recordings = [np.asarray(x) for x in recordings]  # slicing a memmap is slow
        self._columns = columns
        # Row k: an item whose first, or last, k frames are missing.
        steps = torch.arange(context_length + prediction_length)
        self._beginnings = steps >= torch.arange(context_length + 1)[:, None]
        self._endings = steps.flip(0) >= torch.arange(prediction_length + 1)[:, None]

    @property
    def n_rows(self) -> int:
        """Total number of frames, N."""
        return int(self.lengths.sum())

    @property
    def n_features(self) -> int:
        """Number of static columns, F."""
        return int(self._recordings[0][:1, self._columns].shape[1])

    @property
    def n_bytes(self) -> int:
        """Size of the frames on a device."""
        length = self.context_length + self.prediction_length
        return 4 * self.n_features * (self.n_rows + length)

    @property
    def device(self) -> torch.device:
        """Device of the items."""
        return self._beginnings.device

    def to(self, device: torch.device) -> None:
        """Copy the frames to `device`."""
        n_rows = self.context_length + self.n_rows + self.prediction_length
        self.frames = torch.zeros(n_rows, self.n_features, device=device)
        for begin, recording in zip(
            self.context_length + self.begins, self._recordings, strict=True
        ):
            static = torch.from_numpy(np.ascontiguousarray(recording[:, self._columns]))
            self.frames[begin : begin + len(recording)] = static
        self._beginnings, self._endings = self._beginnings.to(device), self._endings.to(device)

    def gather(self, rows: Rows) -> Batch:
        """Return the items whose first scored frames are `rows` (B,).

        Frames without a predecessor are not scored.
        """
        frames = self._mapped_items(rows) if self.frames is None else self._items(self.frames, rows)
        valid = self._valid(rows)
        h = self.prediction_length
        scored = valid[:, -h:] & valid[:, -h - 1 : -1]
        return Batch(frames, valid, scored)

    def _items(self, table: Tensor, rows: Rows) -> Tensor:
        """Gather items from a table on a device."""
        length = self.context_length + self.prediction_length
        # Each item is one row of an overlapping view, so that it is copied in one piece.
        shape = (len(table) - length + 1, length * self.n_features)
        items = table.as_strided(shape, (self.n_features, 1))
        items = items.index_select(0, torch.from_numpy(rows).to(self.device))
        return items.view(len(rows), length, self.n_features)

    def _mapped_items(self, rows: Rows) -> Tensor:
        """Read items from the recordings."""
        length = self.context_length + self.prediction_length
        items = np.zeros((len(rows), length, self.n_features), dtype=np.float32)
        files = np.searchsorted(self.begins, rows, side="right") - 1
        firsts = rows - self.begins[files] - self.context_length
        for item, file, first in zip(items, files.tolist(), firsts.tolist(), strict=True):
            known = self._recordings[file][max(first, 0) : first + length, self._columns]
            item[max(-first, 0) :][: len(known)] = known
        return torch.from_numpy(items)

    def _valid(self, rows: Rows) -> Tensor:
        """Return a mask of positions inside recordings, (B, context_length + prediction_length)."""
        file = np.searchsorted(self.begins, rows, side="right") - 1
        before = rows - self.begins[file]
        missing = np.maximum(0, self.context_length - before)
        valid = self._beginnings.index_select(0, torch.from_numpy(missing).to(self.device))
        beyond = np.maximum(0, self.prediction_length - (self.lengths[file] - before))
        if beyond.any():
            valid &= self._endings.index_select(0, torch.from_numpy(beyond).to(self.device))
        return valid


@dataclass(frozen=True, eq=False)
class TrainingGrid:
    """Items of every epoch, determined by (seed, epoch).

    Items of a recording start `prediction_length` frames apart. The offset of the first item
    changes from epoch to epoch and takes every value once in `prediction_length` epochs. The first
    frame of a recording has no predecessor and is never scored; the others are scored about once
    per epoch. A recording of at most `prediction_length` frames is one padded item.

    Attributes
    ----------
    begins, lengths : ndarray of int64, (n_recordings,)
        Rows of the recordings in the `FrameTable`.
    prediction_length : int
        Distance between starts, in frames.
    good : ndarray of bool, (N,)
        Rows at which an item may start; at least one of `possible_starts`.
    seed : int
        Determines offsets and order.
    """

    begins: Rows
    lengths: Rows
    prediction_length: int
    good: Mask
    seed: int

    def epoch(self, epoch: int) -> Rows:
        """Return the first scored rows of the epoch's items, shuffled."""
        n_starts = number_of_starts(self.lengths, self.prediction_length)
        offsets = self._offsets(epoch) % n_starts
        counts = (n_starts - 1 - offsets) // self.prediction_length + 1
        first = np.repeat(self.begins + 1 + offsets, counts)
        rank = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = first + rank * self.prediction_length
        rows = rows[self.good[rows]]
        if not len(rows):
            spare = np.flatnonzero(self.good & possible_starts(self))
            rows = self._generator(SPARE, epoch).choice(spare, 1)
        return self._generator(ORDER, epoch).permutation(rows)

    def _offsets(self, epoch: int) -> Rows:
        """Return each recording's offset; `prediction_length` epochs take each value once."""
        cycle, turn = divmod(epoch, self.prediction_length)
        return _permutations(self.seed, cycle, len(self.begins), self.prediction_length)[:, turn]

    def _generator(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream, number])


@lru_cache(maxsize=1)  # the epochs of a cycle share it
def _permutations(seed: int, cycle: int, n: int, length: int) -> Rows:
    """Return n random permutations of 0 … length - 1, (n, length)."""
    values = np.tile(np.arange(length), (n, 1))
    return np.random.default_rng([seed, OFFSETS, cycle]).permuted(values, axis=1)


def number_of_starts(lengths: Rows, prediction_length: int) -> Rows:
    """Return the number of possible starts per recording: rows 1 … length - prediction_length."""
    return np.maximum(1, lengths - prediction_length)


def possible_starts(grid: TrainingGrid) -> Mask:
    """Return a mask (N,) of the rows at which an item of some epoch may start."""
    possible = np.zeros(len(grid.good), dtype=bool)
    for begin, n in zip(
        grid.begins, number_of_starts(grid.lengths, grid.prediction_length), strict=True
    ):
        possible[begin + 1 : begin + 1 + n] = True
    return possible


def good_starts(bad: Mask, begins: Rows, lengths: Rows, reach: int, prediction_length: int) -> Mask:
    """Return a mask (N,) of the rows whose item contains no bad frame.

    Parameters
    ----------
    bad : ndarray of bool, (N,)
        Frames to keep out of training.
    begins, lengths : ndarray of int64, (n_recordings,)
        Rows of the recordings.
    reach, prediction_length : int
        An item that starts at row r is checked from r - reach to r + prediction_length, within
        its recording.
    """
    good = np.zeros(len(bad), dtype=bool)
    for begin, length in zip(begins, lengths, strict=True):
        cumulated = np.concatenate([[0], np.cumsum(bad[begin : begin + length])])
        rows = np.arange(length)
        start, stop = np.maximum(rows - reach, 0), np.minimum(rows + prediction_length, length)
        good[begin : begin + length] = cumulated[stop] == cumulated[start]
    return good


def batches_per_epoch(grid: TrainingGrid, batch_size: int, n_epochs: int) -> list[int]:
    """Return the number of batches of each of the first `n_epochs` epochs."""
    return [-(-len(grid.epoch(e)) // batch_size) for e in range(n_epochs)]


class ValidationBatches:
    """Batches that score every frame of the recordings exactly once, in fixed items.

    Parameters
    ----------
    table : FrameTable
    counted : ndarray of bool, (N,)
        Rows to score.
    batch_size : int
        Items per batch.
    """

    def __init__(
        self, table: FrameTable, counted: Mask, batch_size: int = VALIDATION_ITEMS
    ) -> None:
        self.table, self.batch_size = table, batch_size
        rows, overlaps = [], []
        for begin, length in zip(table.begins, table.lengths, strict=True):
            starts = validation_starts(int(length), table.prediction_length)
            rows.append(begin + starts)
            overlaps.append(np.append(0, starts[:-1] + table.prediction_length - starts[1:]))
        self.rows = np.concatenate(rows)
        steps = np.arange(table.prediction_length)
        position = np.minimum(self.rows[:, None] + steps, len(counted) - 1)
        # Frames that the item before has scored are not scored again.
        new = steps >= np.concatenate(overlaps)[:, None]
        self.counted = counted[position] & new  # (n_items, prediction_length)

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for i in range(len(self)):
            items = slice(i * self.batch_size, (i + 1) * self.batch_size)
            batch = self.table.gather(self.rows[items])
            counted = torch.from_numpy(self.counted[items]).to(self.table.device)
            yield batch._replace(scored=batch.scored & counted)


def validation_starts(length: int, prediction_length: int) -> Rows:
    """Return the starts of items that score the frames 1 … length - 1 of a recording.

    Starts are `prediction_length` apart. The last item ends with the recording and may overlap the
    previous one, so that no item needs padding.
    """
    last = max(1, length - prediction_length)
    starts = np.arange(1, last + 1, prediction_length)
    return starts if starts[-1] == last else np.append(starts, last)

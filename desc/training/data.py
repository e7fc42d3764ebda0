"""`TrainingData`: batches of training and validation recordings, read from their files."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch

from desc.descriptors.sequence import DescriptorSequence
from desc.models.base import DescriptorModel
from desc.models.statistics import StandardisedStatics, frozen_frames
from desc.models.var import ORDER
from desc.training.recordings import outliers
from desc.training.windows import (
    Batch,
    FrameTable,
    Mask,
    Rows,
    TrainingGrid,
    ValidationBatches,
    batches_per_epoch,
    good_starts,
    possible_starts,
)

logger = logging.getLogger(__name__)
MEMORY_SHARE = 0.5  # of a device's free memory that frames may take


class TrainingData:
    """Batches of a run, gathered without workers; a batch depends on the step only.

    The frames stay in memory-mapped files, so that a corpus may be larger than the memory: per row
    a few bytes are kept.

    Parameters
    ----------
    training, validation : sequence of DescriptorSequence
        Recordings with at least 9 complete frames each.
    model : DescriptorModel
        Defines the length of items and the standardisation.
    batch_size : int
        Items per step, over all processes.
    seed : int
        Determines the items of an epoch and their order.
    remove_outliers : bool
        Leave out training items with silent, frozen or outlying frames; their share is logged.

    Attributes
    ----------
    counted : ndarray of bool, (N,)
        The validation frames whose score counts: those the linear baseline can predict, digital
        silence left out; all, where that leaves none.
    """

    def __init__(
        self,
        training: Sequence[DescriptorSequence],
        validation: Sequence[DescriptorSequence],
        model: DescriptorModel,
        *,
        batch_size: int,
        seed: int,
        remove_outliers: bool = True,
    ) -> None:
        self.batch_size = batch_size
        self._frame_rate = model.descriptor_config.frame_rate
        self.table = frame_table(training, model)
        good = np.ones(self.table.n_rows, dtype=bool)
        if remove_outliers:
            good = self._good(training, model)
        self.grid = TrainingGrid(
            self.table.begins, self.table.lengths, model.prediction_length, good, seed
        )
        if remove_outliers:
            self.grid = with_some_items(self.grid)
        self.counted = np.concatenate(comparable_frames(validation, model))
        self.counted = self.counted if self.counted.any() else np.ones_like(self.counted)
        self.validation = ValidationBatches(frame_table(validation, model), self.counted)
        self._sizes: list[int] = []
        self._ends: list[int] = []
        self._rows: tuple[int, Rows] | None = None

    def _good(self, training: Sequence[DescriptorSequence], model: DescriptorModel) -> Mask:
        # Of the frames that only describe the context, some may be silent: music has rests.
        statics = StandardisedStatics(training, model.statistics.standardizer)
        bad = outliers(statics, model.descriptor_config)
        return good_starts(
            bad, self.table.begins, self.table.lengths, model.read_length, model.prediction_length
        )

    def steps_per_epoch(self, epochs: int) -> list[int]:
        """Return the number of steps of each of the first `epochs` epochs."""
        if len(self._sizes) < epochs:
            self._sizes = batches_per_epoch(self.grid, self.batch_size, epochs)
            self._ends = list(accumulate(self._sizes))
        return self._sizes[:epochs]

    def epoch(self, step: int) -> int:
        """Return the epoch of a step, counted from 0."""
        while not self._ends or step >= self._ends[-1]:
            self.steps_per_epoch(len(self._sizes) + 1)
        return bisect_right(self._ends, step)

    def ends_epoch(self, step: int) -> bool:
        """Return whether an epoch is complete after `step` steps."""
        return step > 0 and self.epoch(step) > self.epoch(step - 1)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Return the batch of a step, or one process's share of it.

        If a batch has fewer items than there are processes, each process gets all of them.
        """
        epoch = self.epoch(step)
        if self._rows is None or self._rows[0] != epoch:
            self._rows = epoch, self.grid.epoch(epoch)
        number = step - (self._ends[epoch - 1] if epoch else 0)
        rows = self._rows[1][number * self.batch_size : (number + 1) * self.batch_size]
        return self.table.gather(rows[rank::world_size] if len(rows) >= world_size else rows)

    @property
    def duration_s(self) -> float:
        """Length of the training recordings, seconds."""
        return self.table.n_rows / self._frame_rate

    def to(self, device: torch.device) -> None:
        """Copy the frames to a device if they fit; otherwise batches are moved one at a time."""
        for table in (self.table, self.validation.table):
            if fits(table, device):
                table.to(device)


def standardised(sequence: DescriptorSequence, model: DescriptorModel) -> np.ndarray:
    """Return (C, F) standardised static columns of the complete frames."""
    return model.statistics.standardizer.transform_static(sequence.complete_static)


def frame_table(sequences: Sequence[DescriptorSequence], model: DescriptorModel) -> FrameTable:
    """Return the complete frames of recordings as one table."""
    columns = model.descriptor_config.static_columns
    first, last = columns[0], columns[-1]
    is_adjacent = len(columns) == last - first + 1
    return FrameTable(
        [s.values[s.complete] for s in sequences],
        model.context_length,
        model.prediction_length,
        slice(first, last + 1) if is_adjacent else list(columns),
    )


def comparable_frames(
    sequences: Sequence[DescriptorSequence], model: DescriptorModel
) -> list[Mask]:
    """Return masks of the complete frames (C,) on which model and baseline are compared.

    The linear baseline needs `ORDER` preceding frames. Digital silence is left out: its frames
    equal the preceding one, and their score only reflects the lower bound on the deviation.
    """
    masks = []
    for sequence in sequences:
        mask = ~frozen_frames(standardised(sequence, model))
        mask[:ORDER] = False
        masks.append(mask)
    return masks


def with_some_items(grid: TrainingGrid) -> TrainingGrid:
    """Log the share of items left out; if that is all of them, leave out none."""
    possible = possible_starts(grid)
    left_out = 1 - float(grid.good[possible].mean())
    if left_out == 1:
        logger.warning("every window contains silence or outliers, so all are kept")
        every = np.ones_like(grid.good)
        return TrainingGrid(grid.begins, grid.lengths, grid.prediction_length, every, grid.seed)
    if left_out > 0:
        logger.info(
            "%.1f %% of the windows contain silence or outliers and are left out of training",
            100 * left_out,
        )
    return grid


def fits(table: FrameTable, device: torch.device) -> bool:
    """Return whether a table's frames fit into the memory of a graphics card."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return table.n_bytes <= MEMORY_SHARE * free

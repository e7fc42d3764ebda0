"""`RecordingsDataModule`: the windows of training and validation recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl
import torch

from desc.configuration import Note
from desc.descriptors.sequence import DescriptorSequence
from desc.models.base import DescriptorModel
from desc.models.statistics import frozen_frames
from desc.models.var import ORDER
from desc.training.outliers import outliers
from desc.training.state import TrainingState
from desc.training.windows import (
    FrameTable,
    Mask,
    TrainingGrid,
    TrainingStream,
    ValidationBatches,
    batches_per_epoch,
    good_starts,
    possible_starts,
)

VALIDATION_ITEMS = 256  # per batch: without gradients there is room for more
MEMORY_SHARE = 0.5  # of a device's free memory that frames may take


class RecordingsDataModule(pl.LightningDataModule):
    """The items of a run. No worker, no copy: batches are gathered from one tensor.

    Parameters
    ----------
    training, validation : sequence of DescriptorSequence
        Recordings with at least 9 complete frames each.
    model : DescriptorModel
        Says what an item is, and how descriptors are standardised.
    batch_size : int
        Items per step.
    seed : int
        Decides which items an epoch has, and their order.
    remove_outliers : bool
        Leave out training items that hold silence, frozen or far-out frames.
    note : callable, optional
        Gets a line that says how many items are left out.

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
        note: Note | None = None,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self._frame_rate = model.descriptor_config.frame_rate
        self.table = frame_table(training, model)
        good = np.ones(self.table.n_rows, dtype=bool)
        if remove_outliers:
            good = self._good(training, model)
        self.grid = TrainingGrid(self.table.begins, self.table.lengths, model.horizon, good, seed)
        if remove_outliers:
            self.grid = with_some_items(self.grid, note)
        self.counted = np.concatenate(comparable_frames(validation, model))
        self.counted = self.counted if self.counted.any() else np.ones_like(self.counted)
        self.validation = ValidationBatches(
            frame_table(validation, model), self.counted, VALIDATION_ITEMS
        )
        self._sizes: list[int] = []
        self._stream: TrainingStream | None = None

    def _good(self, training: Sequence[DescriptorSequence], model: DescriptorModel) -> Mask:
        # Of the frames that only the style describes, some may be silent: music has rests.
        reach = model.lookback - model.context_size
        bad = outliers([standardised(s, model) for s in training], model.descriptor_config)
        return good_starts(bad, self.table.begins, self.table.lengths, reach, model.horizon)

    def steps_per_epoch(self, epochs: int) -> list[int]:
        """Return the number of steps of each of the first `epochs` epochs."""
        if len(self._sizes) < epochs:
            self._sizes = batches_per_epoch(self.grid, self.batch_size, epochs)
        return self._sizes[:epochs]

    @property
    def duration_s(self) -> float:
        """Seconds of music there is to learn from."""
        return self.table.n_rows / self._frame_rate

    def begin(self, state: TrainingState, n_batches: int) -> None:
        """Let the next fit go on from a state for so many steps."""
        self._stream = TrainingStream(
            self.table,
            self.grid,
            self.batch_size,
            epoch=state.epoch,
            number=state.batch,
            n_batches=n_batches,
        )

    def train_dataloader(self) -> TrainingStream:
        """Return the batches chosen by `begin`, gathered on the trainer's device."""
        assert self._stream is not None
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        for table in (self.table, self.validation.table):
            if fits(table, device):
                table.to(device)
        return self._stream


def standardised(sequence: DescriptorSequence, model: DescriptorModel) -> np.ndarray:
    """Return (C, F) standardised static columns of the complete frames."""
    values = model.statistics.standardizer.transform(sequence.values[sequence.complete])
    return values[:, sequence.config.static_columns]


def frame_table(sequences: Sequence[DescriptorSequence], model: DescriptorModel) -> FrameTable:
    """Return the complete frames of recordings as one table."""
    return FrameTable([s.complete_static for s in sequences], model.lookback, model.horizon)


def comparable_frames(
    sequences: Sequence[DescriptorSequence], model: DescriptorModel
) -> list[Mask]:
    """Tell for each recording which complete frames (C,) model and baseline are compared on.

    The linear baseline needs `ORDER` frames before; frames of digital silence equal the frame
    before, and a bounded distribution is punished or praised for them beyond measure.
    """
    masks = []
    for sequence in sequences:
        mask = ~frozen_frames(standardised(sequence, model))
        mask[:ORDER] = False
        masks.append(mask)
    return masks


def with_some_items(grid: TrainingGrid, note: Note | None) -> TrainingGrid:
    """Say how many items are left out; where that would be all, leave out none."""
    possible = possible_starts(grid)
    left_out = 1 - float(grid.good[possible].mean())
    if left_out == 1:
        _tell(note, "every window holds silence or outliers: none is left out of training")
        every = np.ones_like(grid.good)
        return TrainingGrid(grid.begins, grid.lengths, grid.horizon, every, grid.seed)
    if left_out > 0:
        _tell(note, f"{100 * left_out:.1f} % of the windows hold silence or outliers and are "
              "left out of training")  # fmt: skip
    return grid


def fits(table: FrameTable, device: torch.device) -> bool:
    """Tell whether a device has room for a table's frames."""
    if device.type != "cuda":
        return True  # the same memory as now, or shared with it
    free, _ = torch.cuda.mem_get_info(device)
    return table.frames.nbytes <= MEMORY_SHARE * free


def _tell(note: Note | None, line: str) -> None:
    if note is not None:
        note(line)

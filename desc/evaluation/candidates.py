"""A run under evaluation: its model, its one-step figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from desc.configuration import Sampling
from desc.descriptors.sequence import DescriptorSequence
from desc.metrics import mean_nll, skill
from desc.models.base import DescriptorModel
from desc.models.checkpoint import load_model
from desc.models.rollout import continuation
from desc.prediction import choose_device, one_thread
from desc.progress import reporting
from desc.runs import RunRecord
from desc.scoring.yardstick import Yardstick
from desc.training.datamodule import VALIDATION_ITEMS, comparable_frames, frame_table
from desc.training.windows import ValidationBatches
from desc.training.wording import DETERMINISTIC

Array = npt.NDArray[np.float64]

SKILL_POSITIONS = 64  # ends of truncated audio per recording


@dataclass(frozen=True, eq=False)
class Candidate:
    """A run and its model."""

    record: RunRecord
    model: DescriptorModel

    @classmethod
    def load(cls, record: RunRecord, accelerator: str = "auto") -> Candidate:
        """Load a run's best model.

        Raises
        ------
        CheckpointError
            If there is none, or it cannot be used.
        """
        device = choose_device(accelerator)
        return cls(record, load_model(record.checkpoint("best"), device))

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.record.run_id

    @property
    def name(self) -> str:
        """How the run is called in a table."""
        return f"{self.run_id} {self.model.model_config.selected_model}"


def model_skill(
    candidate: Candidate, sequences: Sequence[DescriptorSequence], yardstick: Yardstick
) -> float:
    """Return the skill of a model at the ends of recordings cut at many places.

    Only complete frames are read, so a cut recording ends as `desc predict` sees it.
    """
    model = candidate.model
    predicted, target, last = [], [], []
    for sequence in sequences:
        frames = sequence.complete_static
        ends = skill_positions(len(frames), yardstick.var.order)
        if not len(ends):
            continue
        length = model.context_frames
        context = np.zeros((len(ends), length, frames.shape[1]), np.float32)
        valid = np.zeros((len(ends), length), bool)
        for row, end in enumerate(ends):
            part = frames[max(0, end - length) : end]
            context[row, length - len(part) :] = part
            valid[row, length - len(part) :] = True
        with one_thread(), reporting(None):
            values = continuation(
                model,
                torch.from_numpy(context),
                torch.from_numpy(valid),
                1,
                Sampling(sampling="mean"),
                generators=[torch.Generator() for _ in ends],
            )
        predicted.append(yardstick.standardise(values[:, 0].cpu().numpy()))
        target.append(yardstick.standardise(frames[ends]))
        last.append(yardstick.standardise(frames[ends - 1]))
    if not predicted:
        return math.nan
    return skill(np.concatenate(predicted), np.concatenate(target), np.concatenate(last))


def var_skill(sequences: Sequence[DescriptorSequence], yardstick: Yardstick) -> float:
    """Return the skill of the linear baseline at the same places."""
    predicted, target, last = [], [], []
    order = yardstick.var.order
    for sequence in sequences:
        x = yardstick.standardise(sequence.complete_static)
        ends = skill_positions(len(x), order)
        if len(ends):
            predicted.append(yardstick.var.predict(x)[ends - order])
            target.append(x[ends])
            last.append(x[ends - 1])
    if not predicted:
        return math.nan
    return skill(np.concatenate(predicted), np.concatenate(target), np.concatenate(last))


def skill_positions(n_frames: int, least: int) -> npt.NDArray[np.int64]:
    """Return up to 64 evenly spaced frames of a recording that have `least` frames before."""
    n = min(SKILL_POSITIONS, n_frames - least)
    if n < 1:
        return np.zeros(0, dtype=np.int64)
    return np.round(np.linspace(least, n_frames - 1, n)).astype(np.int64)


def model_nll(
    candidate: Candidate, sequences: Sequence[DescriptorSequence], yardstick: Yardstick
) -> float:
    """Return the mean NLL of a model over all frames that are no digital silence.

    In nats per frame and in the yardstick's units: log-scales make up for a run's own.
    """
    model = candidate.model
    if model.model_config.head == DETERMINISTIC:
        return math.nan
    counted = np.concatenate(comparable_frames(sequences, model))
    device = model.space.mean.device
    table = frame_table(sequences, model)
    total, n = 0.0, 0
    with torch.inference_mode(), one_thread():
        for batch in ValidationBatches(table, counted, VALIDATION_ITEMS):
            nll = model.nll(batch.frames.to(device), batch.valid.to(device)).cpu()
            total += float(nll[batch.scored].double().sum())
            n += int(batch.scored.sum())
    own = model.statistics.standardizer.scale[model.descriptor_config.static_columns]
    shift = float(np.log(own).sum() - np.log(yardstick.scale).sum())
    return total / n + shift if n else math.nan


def var_nll(
    candidate: Candidate, sequences: Sequence[DescriptorSequence], yardstick: Yardstick
) -> float:
    """Return the mean NLL of the linear baseline over the same frames."""
    order = yardstick.var.order
    scores, counted = [], []
    for sequence, mask in zip(
        sequences, comparable_frames(sequences, candidate.model), strict=True
    ):
        x = yardstick.standardise(sequence.complete_static)
        if len(x) > order:
            scores.append(yardstick.var.nll(x))
            counted.append(mask[order:])
    if not scores:
        return math.nan
    return mean_nll(np.concatenate(scores), np.concatenate(counted))

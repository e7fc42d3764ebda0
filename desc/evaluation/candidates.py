"""Runs under evaluation, and their one-step metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from desc import progress
from desc.configuration import Sampling
from desc.descriptors.sequence import DescriptorSequence
from desc.devices import choose_device, one_thread
from desc.errors import ConfigurationError
from desc.evaluation.baselines import VAR_NOISE, VAR_REPLAY
from desc.metrics.forecast import mean_nll, skill
from desc.models.base import DescriptorModel
from desc.models.checkpoint import load_model
from desc.models.heads import DETERMINISTIC
from desc.models.rollout import continuation
from desc.prediction import differences
from desc.runs import RunRecord
from desc.scoring.reference_scales import ReferenceScales
from desc.scoring.scorer import Figures
from desc.training.data import comparable_frames, frame_table
from desc.training.windows import ValidationBatches

SKILL_POSITIONS = 64  # one-step forecasts per recording
Sequences = Sequence[DescriptorSequence]
Values = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]


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
        """Name of the run's row in a table."""
        return f"{self.run_id} {self.model.model_config.selected_model}"


def check_comparable(records: Sequence[RunRecord]) -> None:
    """Refuse runs that cannot share one table.

    Raises
    ------
    ConfigurationError
        If their descriptor configurations differ, or a run is named twice.
    """
    first = records[0]
    for record in records[1:]:
        if record.descriptor_config != first.descriptor_config:
            differing = differences(record.descriptor_config, first.descriptor_config)
            raise ConfigurationError(
                f"runs {record.run_id} and {first.run_id} use different descriptors ({differing}); "
                "evaluate them separately"
            )
    ids = [record.run_id for record in records]
    for run_id in dict.fromkeys(ids):
        if ids.count(run_id) > 1:
            raise ConfigurationError(f"run_id={run_id!r} must be given only once")


def one_step_figures(
    runs: Sequence[Candidate], recordings: Sequences, scales: ReferenceScales
) -> dict[str, Figures]:
    """Compute skill and NLL of the runs and of the linear baseline, by name of the row."""
    linear = {"skill": var_skill(recordings, scales), "nll": var_nll(runs[0], recordings, scales)}
    # Both linear baselines have the same one-step mean; the density is that of the noise.
    figures = {VAR_NOISE: linear, VAR_REPLAY: {"skill": linear["skill"]}}
    figures["persistence"] = {"skill": 0.0}
    for i, run in enumerate(runs):
        figures[run.name] = {
            "skill": model_skill(run, recordings, scales),
            "nll": model_nll(run, recordings, scales),
        }
        progress.report("one step", i + 1, len(runs))
    return figures


def model_skill(run: Candidate, sequences: Sequences, scales: ReferenceScales) -> float:
    """Compute a model's one-step skill at up to 64 positions of each recording.

    Only complete frames before a position are read, as `desc predict` would read a recording that
    ends there.
    """
    return _skill(
        lambda frames, ends: scales.standardise(_next_frames(run.model, frames, ends)),
        sequences,
        scales,
    )


def var_skill(sequences: Sequences, scales: ReferenceScales) -> float:
    """Compute the skill of the linear baseline at the same positions."""
    var = scales.var
    return _skill(
        lambda frames, ends: var.predict(scales.standardise(frames))[ends - var.order],
        sequences,
        scales,
    )


def _skill(
    predict: Callable[[Values, Positions], npt.NDArray[np.floating]],
    sequences: Sequences,
    scales: ReferenceScales,
) -> float:
    """Compute the skill of a function from frames (T, F) and positions (n,) to predictions."""
    predicted, target, last = [], [], []
    for sequence in sequences:
        frames = sequence.complete_static
        ends = skill_positions(len(frames), scales.var.order)
        if len(ends):
            predicted.append(predict(frames, ends))
            target.append(scales.standardise(frames[ends]))
            last.append(scales.standardise(frames[ends - 1]))
    if not predicted:
        return math.nan
    return skill(np.concatenate(predicted), np.concatenate(target), np.concatenate(last))


def _next_frames(model: DescriptorModel, frames: Values, ends: Positions) -> Values:
    """Predict the mean of frame `end` (n, F) from the frames before it, for each of n ends."""
    length = model.context_frames
    context = np.zeros((len(ends), length, frames.shape[1]), np.float32)
    valid = np.zeros((len(ends), length), bool)
    for row, end in enumerate(ends):
        part = frames[max(0, end - length) : end]
        context[row, length - len(part) :] = part
        valid[row, length - len(part) :] = True
    with one_thread(), progress.reporting(None):
        values = continuation(
            model,
            torch.from_numpy(context),
            torch.from_numpy(valid),
            1,
            Sampling(sampling="mean"),
            generators=[torch.Generator() for _ in ends],
        )
    return values[:, 0].cpu().numpy()


def skill_positions(n_frames: int, n_before: int) -> Positions:
    """Choose up to 64 evenly spaced frames of a recording, each after at least `n_before`."""
    n = min(SKILL_POSITIONS, n_frames - n_before)
    if n < 1:
        return np.zeros(0, dtype=np.int64)
    return np.round(np.linspace(n_before, n_frames - 1, n)).astype(np.int64)


def model_nll(run: Candidate, sequences: Sequences, scales: ReferenceScales) -> float:
    """Compute the mean NLL of a model over all frames except digital silence.

    It is in nats per frame, in the units of `scales`: the logarithms of both scales convert it
    from the run's own.
    """
    model = run.model
    if model.model_config.head == DETERMINISTIC:
        return math.nan
    counted = np.concatenate(comparable_frames(sequences, model))
    device = model.space.mean.device
    table = frame_table(sequences, model)
    total, n = 0.0, 0
    with torch.inference_mode(), one_thread():
        for batch in ValidationBatches(table, counted):
            nll = model.nll(batch.frames.to(device), batch.valid.to(device)).cpu()
            total += float(nll[batch.scored].double().sum())
            n += int(batch.scored.sum())
    columns = model.descriptor_config.static_columns
    own, shared = (s.scale[columns] for s in (model.statistics.standardizer, scales.standardizer))
    shift = float(np.log(own).sum() - np.log(shared).sum())
    return total / n + shift if n else math.nan


def var_nll(run: Candidate, sequences: Sequences, scales: ReferenceScales) -> float:
    """Compute the mean NLL of the linear baseline over the frames that count for a run."""
    order = scales.var.order
    scores, counted = [], []
    for sequence, mask in zip(sequences, comparable_frames(sequences, run.model), strict=True):
        x = scales.standardise(sequence.complete_static)
        if len(x) > order:
            scores.append(scales.var.nll(x))
            counted.append(mask[order:])
    if not scores:
        return math.nan
    return mean_nll(np.concatenate(scores), np.concatenate(counted))

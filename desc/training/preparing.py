"""Everything a fit needs: of a new run, or of one that goes on."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch

from desc.configuration import ModelConfig, Note, RunConfig, TrainConfig
from desc.corpus import Corpus
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import CorpusError
from desc.models import create_model, unused_options
from desc.models.base import DescriptorModel
from desc.models.statistics import fit_statistics
from desc.runs import RunLog, RunRecord
from desc.scoring.reference_scales import ReferenceScales
from desc.training.baseline import fit_baseline
from desc.training.callbacks import BEST, PLANNED_BEST
from desc.training.datamodule import RecordingsDataModule
from desc.training.ending import Clock
from desc.training.free_running import FreeRunningLoss
from desc.training.realism import Realism
from desc.training.resuming import Checkpoint, check_recordings
from desc.training.samples import SampleRenderer, sample_context
from desc.training.schedule import Interlude, Schedule, plan_schedule
from desc.training.split import Split, split_recordings
from desc.training.state import TrainingState
from desc.training.trainer import measure_speed
from desc.training.wording import DETERMINISTIC, plan_line, realism_line, resumption_line

Array = npt.NDArray[np.float64]

CHECKPOINTS = "checkpoints"
LEAST_EPOCHS = 10  # however much music there is
REALISM, SAMPLE = "realism", "sample"
Action = Callable[[DescriptorModel], object]


@dataclass(frozen=True, eq=False)
class Recordings:
    """What is learned from, what is validated on where that was named, and who renders samples."""

    corpus: Corpus
    validation: Corpus | None
    render_sample: SampleRenderer | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """All that a fit needs.

    Attributes
    ----------
    record : RunRecord
        As it is known at the start.
    log : RunLog
        Open; whoever has the job closes it.
    network : DescriptorModel
    data : RecordingsDataModule
    schedule : Schedule
    state : TrainingState
        Where to begin.
    sample_context : DescriptorSequence
        What audio samples continue.
    free_running : FreeRunningLoss, optional
        What is learned from continuations.
    realism : Realism, optional
        What is asked of the model between steps.
    spent_s : float
        Seconds of `max_time_s` that are used up already.
    checkpoint : Path, optional
        Where to go on from.
    """

    record: RunRecord
    log: RunLog
    network: DescriptorModel
    data: RecordingsDataModule
    schedule: Schedule
    state: TrainingState
    sample_context: DescriptorSequence
    free_running: FreeRunningLoss | None = None
    realism: Realism | None = None
    spent_s: float = 0.0
    checkpoint: Path | None = None


def new_job(
    recordings: Recordings,
    model: ModelConfig,
    training: TrainConfig,
    run: RunConfig,
    *,
    given: Collection[str] | None = None,
    tell: Note,
    clock: Clock,
) -> Job:
    """Prepare a new run; its folder is made once nothing of the settings can be wrong.

    Raises
    ------
    ConfigurationError
        If settings contradict each other, or this machine lacks the accelerator.
    CorpusError
        If too few frames are left to learn from.
    """
    _name_unused(model, training, given, tell)
    split = _split(recordings, training, tell)
    network = _new_network(model, split, training.seed)
    data = _data(split, network, training, tell)
    training = _with_epochs(training, network, data)
    baseline = fit_baseline(split.learned, split.validation, network)
    realism = _realism(split, network, baseline.arrays, training, tell)
    began = clock()
    context = sample_context(split.validation)
    between = _between(recordings, realism, context, training)
    free_running = _free_running(network, baseline.arrays, training)
    folder = Path(run.experiment_dir)
    schedule = _schedule(
        network, data, training, free_running, folder=folder, clock=clock, between=between
    )
    spent_s = clock() - began
    log = RunLog.new(run)
    record = RunRecord(
        run_id=log.run_id,
        folder=log.folder,
        descriptor_config=recordings.corpus.config,
        model_config=model,
        train_config=training,
        metrics=baseline.figures,
        training_files=split.files[0],
        validation_files=split.files[1],
        schedule=schedule.to_dict(),
        project=run.project,
        entity=run.entity,
    )
    record = log.begin(record)
    record.save_arrays(baseline.arrays)
    tell(plan_line(record, data.duration_s, sum(data.steps_per_epoch(training.known_epochs))))
    if realism is not None:
        tell(realism_line(realism, schedule.realism_s))
    return Job(
        record, log, network, data, schedule, TrainingState(), context, free_running, realism,
        spent_s,
    )  # fmt: skip


def resumed_job(recordings: Recordings, record: RunRecord, run: RunConfig, tell: Note) -> Job:
    """Prepare to go on with a run, from its last checkpoint; without one it begins again.

    Raises
    ------
    ConfigurationError
        If the run was started with other recordings or descriptors.
    CheckpointError
        If its last checkpoint is damaged.
    """
    training = record.train_config
    split = _split(recordings, training, tell)
    check_recordings(record, recordings.corpus.config, split)
    schedule = Schedule.from_dict(record.schedule)
    checkpoint = Checkpoint.of(record)
    if checkpoint is None:
        network, state = _new_network(record.model_config, split, training.seed), TrainingState()
    else:
        network, state = checkpoint.model, checkpoint.state
    data = _data(split, network, training, tell)
    arrays = record.load_arrays()
    realism = _realism(split, network, arrays, training, tell)
    log = RunLog.resume(record, run, step=state.step)
    record = log.begin(replace(record, folder=log.folder))
    planned_best = log.folder / CHECKPOINTS / PLANNED_BEST
    if planned_best.exists():
        os.replace(planned_best, planned_best.with_name(BEST))
    tell(resumption_line(record, schedule, state.step))
    path = None if checkpoint is None else log.folder / CHECKPOINTS / checkpoint.path.name
    context = sample_context(split.validation)
    free_running = _free_running(network, arrays, training)
    return Job(
        record, log, network, data, schedule, state, context, free_running, realism,
        checkpoint=path,
    )  # fmt: skip


def _split(recordings: Recordings, training: TrainConfig, tell: Note) -> Split:
    return split_recordings(
        recordings.corpus,
        recordings.validation,
        training.validation_share,
        training.seed,
        note=tell,
    )


def _new_network(model: ModelConfig, split: Split, seed: int) -> DescriptorModel:
    """Return the untrained model; its parameters are a function of the seed."""
    statistics = fit_statistics(split.learned)
    torch.manual_seed(seed)
    return create_model(model, statistics.standardizer.config, statistics)


def _data(
    split: Split, network: DescriptorModel, training: TrainConfig, tell: Note
) -> RecordingsDataModule:
    return RecordingsDataModule(
        split.learned,
        split.validation,
        network,
        batch_size=training.batch_size,
        seed=training.seed,
        remove_outliers=training.remove_outliers,
        note=tell,
    )


def _with_epochs(
    training: TrainConfig, network: DescriptorModel, data: RecordingsDataModule
) -> TrainConfig:
    """Fill in the number of epochs, where none is given, so that there are enough steps."""
    if training.epochs is not None:
        return training
    enough = math.ceil(network.STEPS / data.steps_per_epoch(1)[0])
    return replace(training, epochs=max(LEAST_EPOCHS, enough))


def _free_running(
    network: DescriptorModel, arrays: Mapping[str, Array], training: TrainConfig
) -> FreeRunningLoss | None:
    """Return what is learned from continuations; a point forecast has none to compare."""
    if not training.rollout_every or network.model_config.head == DETERMINISTIC:
        return None
    return FreeRunningLoss(network, arrays["window_spread"], training.adversarial_weight)


def _realism(
    split: Split,
    network: DescriptorModel,
    arrays: Mapping[str, Array],
    training: TrainConfig,
    tell: Note,
) -> Realism | None:
    """Return what tells how real continuations are, if that is asked for and possible."""
    if training.realism_every_epochs == 0:
        return None
    scales = ReferenceScales.from_arrays(arrays, network.statistics)
    every_epochs = training.realism_every_epochs
    try:
        return Realism.of(split.validation, scales, training.seed, every_epochs)
    except CorpusError as error:
        if training.monitor != "val_loss":
            raise CorpusError(f"monitor={training.monitor!r} is not possible: {error}") from error
        tell(f"how real continuations are is not measured: {error}")
        return None


def _between(
    recordings: Recordings,
    realism: Realism | None,
    context: DescriptorSequence,
    training: TrainConfig,
) -> dict[str, tuple[int, Action]]:
    """Return what is done between steps besides validating: how often, and the thing itself."""
    found: dict[str, tuple[int, Action]] = {}
    if realism is not None:
        found[REALISM] = (realism.every_epochs, realism.measure)
    render = recordings.render_sample
    if render is not None:

        def try_out(model: DescriptorModel) -> None:
            with TemporaryDirectory() as folder:
                render(model, context, Path(folder) / "sample.wav")

        found[SAMPLE] = (training.sample_every_epochs, try_out)
    return found


def _schedule(
    network: DescriptorModel,
    data: RecordingsDataModule,
    training: TrainConfig,
    free_running: FreeRunningLoss | None,
    *,
    folder: Path,
    clock: Clock,
    between: Mapping[str, tuple[int, Action]],
) -> Schedule:
    """Measure the speed, and fix the length of the run by it."""
    began = clock()
    actions = {name: action for name, (_, action) in between.items()}
    speed, taken = measure_speed(
        network, data, training, folder, free_running=free_running, clock=clock, interludes=actions
    )
    interludes = tuple(Interlude(between[name][0], seconds) for name, seconds in taken.items())
    left_s = None if training.max_time_s is None else training.max_time_s - (clock() - began)
    schedule = plan_schedule(
        data.steps_per_epoch(training.known_epochs),
        training.learning_rate,
        training.save_interval,
        replace(speed, interludes=interludes),
        left_s,
    )
    return replace(schedule, realism_s=taken.get(REALISM, 0.0))


def _name_unused(
    model: ModelConfig, training: TrainConfig, given: Collection[str] | None, tell: Note
) -> None:
    """Say in one line which options have no effect."""
    names = unused_options(model, given)
    changed = training.process_on_the_fly != TrainConfig.process_on_the_fly
    if changed if given is None else "process_on_the_fly" in given:
        names.append("process_on_the_fly")
    if names:
        tell(f"{model.selected_model} does not use {', '.join(names)}")

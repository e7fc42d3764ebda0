"""Preparation of a training: a new run, or a resumed one."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import Corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_of
from desc.engine import stopping
from desc.engine.checkpoint import LAST, read_state
from desc.engine.fabric import Fabric
from desc.engine.stopping import duration
from desc.errors import ConfigurationError, CorpusError
from desc.models import create_model, unused_options
from desc.models.base import DescriptorModel
from desc.models.heads import DETERMINISTIC
from desc.models.statistics import fit_statistics
from desc.runs import RunLog, RunRecord
from desc.scoring.reference_scales import ReferenceScales
from desc.training.baseline import fit_baseline
from desc.training.data import TrainingData
from desc.training.free_running import FreeRunningLoss
from desc.training.plan import Interlude, Schedule, measure_speed, plan_schedule
from desc.training.recordings import Split, split_recordings
from desc.training.samples import AudioSamples, SampleRenderer, sample_context
from desc.training.task import DescriptorTask
from desc.training.validation_metrics import Realism

logger = logging.getLogger(__name__)
Array = npt.NDArray[np.float64]

LEAST_EPOCHS = 10  # even for large corpora
NAMED = 5  # recordings named in an error
REALISM, SAMPLE = "realism", "sample"
Action = Callable[[DescriptorModel], object]


@dataclass(frozen=True, eq=False)
class Recordings:
    """Training recordings, validation recordings if given, and the renderer of audio samples."""

    corpus: Corpus
    validation: Corpus | None = None
    render_sample: SampleRenderer | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """A training that is ready to start.

    Attributes
    ----------
    task : DescriptorTask
    record : RunRecord
        Record at the start, saved in the run's folder.
    log : RunLog or None
        Open log; None in all processes but the first.
    reserve_s : float
        Seconds of the last measurement of realism, to be kept free of `max_time_s`.
    spent_s : float
        Seconds of `max_time_s` used up already.
    """

    task: DescriptorTask
    record: RunRecord
    log: RunLog | None
    reserve_s: float
    spent_s: float = 0.0


def new_job(
    fabric: Fabric,
    recordings: Recordings,
    settings: tuple[ModelConfig, TrainConfig, RunConfig],
    given: Collection[str] | None = None,
) -> Job:
    """Prepare a new run; its folder is created after all settings are checked.

    Raises
    ------
    ConfigurationError
        If settings contradict each other.
    CorpusError
        If too few frames are left to learn from.
    """
    model, training, run = settings
    _log_unused(model, given)
    split = _split(recordings, training)
    network = _new_network(model, split, training.seed)
    data = _data(split, network, training)
    training = _with_epochs(training, network, data)
    baseline = fit_baseline(split.learned, split.validation, network)
    realism = _realism(split, network, baseline.arrays, training)
    began = stopping.now()
    parts = _Parts(recordings, split, network, data, realism)
    task = _task(fabric, parts, training, baseline.arrays)
    schedule = fabric.broadcast(_schedule(task, began))
    task.learning_rate = schedule.rates
    log, record = None, None
    if fabric.is_global_zero:
        log = RunLog.new(run)
        record = log.begin(
            RunRecord(
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
        )
        record.save_arrays(baseline.arrays)
    record = fabric.broadcast(record)
    assert record is not None
    logger.info(plan_message(record, data, schedule))
    if realism is not None:
        logger.info(realism_message(realism, schedule.realism_s))
    spent_s = stopping.now() - began
    return Job(task=task, record=record, log=log, reserve_s=schedule.realism_s, spent_s=spent_s)


def resumed_job(fabric: Fabric, recordings: Recordings, record: RunRecord, run: RunConfig) -> Job:
    """Prepare to resume a run from its last checkpoint, or from the start without one.

    Raises
    ------
    ConfigurationError
        If the run was started with other recordings or descriptors.
    CheckpointError
        If its last checkpoint is damaged or of another version of this program.
    """
    training = record.train_config
    split = _split(recordings, training)
    check_recordings(record, recordings.corpus.config, split)
    schedule = Schedule.from_dict(record.schedule)
    path, step = record.folder / LAST, 0
    if path.exists():
        step = int(read_state(path, record.run_id)["progress"]["step"])
    network = _new_network(record.model_config, split, training.seed)
    data = _data(split, network, training)
    arrays = record.load_arrays()
    realism = _realism(split, network, arrays, training)
    parts = _Parts(recordings, split, network, data, realism)
    task = _task(fabric, parts, training, arrays)
    task.learning_rate = schedule.rates
    log = None
    if fabric.is_global_zero:
        log = RunLog.resume(record, run, step=step)
        record = log.begin(replace(record, folder=log.folder))
    record = fabric.broadcast(record)
    logger.info(
        "resuming run %s after step %d of %d: about %s left",
        record.run_id,
        step,
        schedule.total_steps,
        duration(schedule.duration_s(step)),
    )
    return Job(task=task, record=record, log=log, reserve_s=schedule.realism_s)


def _split(recordings: Recordings, training: TrainConfig) -> Split:
    share, seed = training.validation_share, training.seed
    return split_recordings(recordings.corpus, recordings.validation, share, seed)


def _new_network(model: ModelConfig, split: Split, seed: int) -> DescriptorModel:
    """Return the untrained model; its parameters are a function of the seed."""
    statistics = fit_statistics(split.learned)
    torch.manual_seed(seed)
    return create_model(model, statistics.standardizer.config, statistics)


def _data(split: Split, network: DescriptorModel, training: TrainConfig) -> TrainingData:
    return TrainingData(
        split.learned,
        split.validation,
        network,
        batch_size=training.batch_size,
        seed=training.seed,
        remove_outliers=training.remove_outliers,
    )


def _with_epochs(
    training: TrainConfig, network: DescriptorModel, data: TrainingData
) -> TrainConfig:
    """Return the settings with a number of epochs, derived from the model if none is given."""
    if training.epochs is not None:
        return training
    enough = math.ceil(network.STEPS / data.steps_per_epoch(1)[0])
    return replace(training, epochs=max(LEAST_EPOCHS, enough))


@dataclass(frozen=True, eq=False)
class _Parts:
    """Recordings, network, data and realism measurement of a training."""

    recordings: Recordings
    split: Split
    network: DescriptorModel
    data: TrainingData
    realism: Realism | None


def _task(
    fabric: Fabric, parts: _Parts, training: TrainConfig, arrays: Mapping[str, Array]
) -> DescriptorTask:
    """Return the task; a point forecast has no continuations to compare."""
    network, free_running, samples = parts.network, None, None
    if training.rollout_every and network.model_config.head != DETERMINISTIC:
        spread = arrays["window_spread"]
        free_running = FreeRunningLoss(network, spread, training.adversarial_weight)
    render = parts.recordings.render_sample
    if render is not None:
        samples = AudioSamples(render, sample_context(parts.split.validation))
    return DescriptorTask(
        network,
        parts.data,
        training,
        free_running=free_running,
        realism=parts.realism,
        samples=samples,
        fabric=fabric,
    )


def _realism(
    split: Split, network: DescriptorModel, arrays: Mapping[str, Array], training: TrainConfig
) -> Realism | None:
    """Return the realism measurement; None if it is disabled or impossible."""
    every_epochs = training.realism_every_epochs
    if every_epochs == 0:
        return None
    scales = ReferenceScales.from_arrays(arrays, network.statistics)
    try:
        return Realism.of(split.validation, scales, training.seed, every_epochs)
    except CorpusError as error:
        if training.monitor != "val_loss":
            raise CorpusError(f"monitor={training.monitor!r} is not possible: {error}") from error
        logger.info("realism is not measured: %s", error)
        return None


def _schedule(task: DescriptorTask, began: float) -> Schedule:
    """Measure the training speed and plan the length of the run."""
    training, between = task.config, _interludes(task)
    actions = {name: action for name, (_, action) in between.items()}
    speed, taken = measure_speed(task, training.max_time_s, actions)
    interludes = tuple(Interlude(between[name][0], seconds) for name, seconds in taken.items())
    spent_s = stopping.now() - began
    schedule = plan_schedule(
        task.data.steps_per_epoch(training.known_epochs),
        training.learning_rate,
        training.save_interval,
        replace(speed, interludes=interludes),
        None if training.max_time_s is None else training.max_time_s - spent_s,
    )
    return replace(schedule, realism_s=taken.get(REALISM, 0.0))


def _interludes(task: DescriptorTask) -> dict[str, tuple[int, Action]]:
    """Return periodic work besides validation, by name: interval in epochs, and function."""
    found: dict[str, tuple[int, Action]] = {}
    if task.realism is not None:
        found[REALISM] = (task.realism.every_epochs, task.realism.measure)
    samples = task.samples
    if samples is not None:

        def try_out(model: DescriptorModel) -> None:
            with TemporaryDirectory() as folder:
                samples.render(model, samples.context, Path(folder) / "sample.wav")

        found[SAMPLE] = (task.config.sample_every_epochs, try_out)
    return found


def _log_unused(model: ModelConfig, given: Collection[str] | None) -> None:
    """Log options that the model does not use."""
    names = unused_options(model, given)
    if names:
        logger.info("%s does not use %s", model.selected_model, ", ".join(names))


def check_recordings(record: RunRecord, config: DescriptorConfig, split: Split) -> None:
    """Refuse to resume a run with different recordings or descriptors.

    Raises
    ------
    ConfigurationError
        If descriptors or recordings differ; the message says which.
    """
    differing = [
        f"{field.name}={getattr(config, field.name)!r} "
        f"(the run has {getattr(record.descriptor_config, field.name)!r})"
        for field in fields(config)
        if getattr(config, field.name) != getattr(record.descriptor_config, field.name)
    ]
    if differing:
        raise ConfigurationError(
            f"run {record.run_id} was started with other descriptors: {', '.join(differing)}"
        )
    stored = (record.training_files, record.validation_files)
    for side, here, there in zip(("training", "validation"), split.files, stored, strict=True):
        new = [source for digest, source in here.items() if digest not in there]
        missing = [source for digest, source in there.items() if digest not in here]
        if new or missing:
            raise ConfigurationError(
                f"run {record.run_id} was started with other {side} recordings"
                + _listed("; new", new)
                + _listed("; missing", missing)
            )


def _listed(what: str, sources: list[str]) -> str:
    if not sources:
        return ""
    more = f" and {len(sources) - NAMED} more" if len(sources) > NAMED else ""
    return f"{what}: {', '.join(sorted(sources)[:NAMED])}{more}"


def plan_message(record: RunRecord, data: TrainingData, schedule: Schedule) -> str:
    """Return a one-line plan of a run: recordings, steps and expected duration."""
    training = record.train_config
    played = [variant_of(digest) for digest in record.training_files]
    n, speeds = (len({each[i] for each in played}) for i in (0, 1))
    learned = f"{n} recording{'s' * (n != 1)}" + f" at {speeds} speeds" * (speeds > 1)
    steps = f"{schedule.total_steps} steps"
    if schedule.total_steps == sum(data.steps_per_epoch(training.known_epochs)):
        steps = f"{training.epochs} epochs, {steps}"
    early = ", or less if it stops early" if training.early_stopping else ""
    return (
        f"training {record.model_config.selected_model} on {learned} "
        f"({duration(data.duration_s)}), validating on {len(record.validation_files)}: {steps}, "
        f"about {duration(schedule.duration_s())}{early}"
    )


def realism_message(realism: Realism, seconds: float) -> str:
    """Return a line on the realism measurement: interval, duration and reference value."""
    n, real = len(realism.scorer.excerpts), realism.floor()["val_fd"]
    return (
        f"realism: every {realism.every_epochs} epochs the model continues {n} validation "
        f"excerpts ({seconds:.1f} s each time); real music has a val_fd of {real:.1f}"
    )

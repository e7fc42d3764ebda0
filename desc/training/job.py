"""A training of a sequence model in each process: prepared, then run by the engine."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import Corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_of
from desc.descriptors.sequence import DescriptorSequence
from desc.engine import stopping
from desc.engine.fabric import Fabric
from desc.engine.loop import Engine, OnValidation
from desc.engine.randomness import preserved_randomness
from desc.engine.resuming import check_same_files, new_log, resumed_log
from desc.engine.stopping import StopCondition
from desc.errors import CheckpointError, ConfigurationError, CorpusError
from desc.models import create_model
from desc.models.base import DescriptorModel
from desc.models.checkpoint import load_model
from desc.models.heads import DETERMINISTIC
from desc.models.statistics import fit_statistics
from desc.progress import duration
from desc.runs import RunRecord
from desc.scoring.reference_scales import ReferenceScales
from desc.training.baseline import fit_baseline
from desc.training.data import TrainingData
from desc.training.free_running import FreeRunningLoss
from desc.training.plan import (
    Interlude,
    Schedule,
    bounded_checks,
    measure_speed,
    plan_schedule,
)
from desc.training.recordings import Split, n_complete, sample_context, split_recordings
from desc.training.task import DescriptorTask, SampleRenderer
from desc.training.validation_metrics import Realism

logger = logging.getLogger(__name__)
Array = npt.NDArray[np.float64]

LEAST_EPOCHS = 10  # even for large corpora
FEW_SHARE = 0.2  # of a model's usual number of steps; a run with fewer is warned of


@dataclass(frozen=True, eq=False)
class Recordings:
    """Training and validation recordings, renderer of audio samples, and options that name them."""

    corpus: Corpus
    validation: Corpus | None
    render_sample: SampleRenderer | None
    inputs: dict[str, Any]


def run_training(
    recordings: Recordings,
    settings: tuple[ModelConfig, TrainConfig, RunConfig],
    runs: tuple[RunRecord | None, RunRecord | None],
    on_validation: OnValidation | None,
    fabric: Fabric,
) -> RunRecord:
    """Train a new run, or resume one; return its record.

    Parameters
    ----------
    recordings : Recordings
    settings : tuple
        Model, training and run; those of a run that is resumed.
    runs : tuple of RunRecord or None
        The run to resume, and the run whose network a new one starts with.
    on_validation : callable, optional
    fabric : Fabric

    Raises
    ------
    ConfigurationError
        If settings contradict each other, or a run had other recordings or descriptors.
    CorpusError
        If too few frames are left to learn from.
    CheckpointError
        If the last checkpoint is damaged or of another version of this program.
    """
    model, training, run = settings
    former, parent = runs
    split = _split(recordings, training, former or parent)
    check_recordings(recordings.corpus.config, split, former, parent)
    check_window(model, split)
    network = _network(model, split, training, former, parent)
    data = _data(split, network, training)
    if former is None and parent is None:
        batches = (data.batch(step) for step in range(data.steps_per_epoch(1)[0]))
        network.fit((batch.frames, batch.valid) for batch in batches)
    if former is None:
        training = _with_defaults(training, network, data)
        arrays, metrics = fit_baseline(split.learned, split.validation, network)
    else:
        ReferenceScales.from_run(former, network.statistics)  # refuses arrays that do not fit
        arrays, metrics = former.load_arrays(), former.metrics
    began = stopping.now()
    parts = _parts(split, network, arrays, training, recordings)
    task = DescriptorTask(network, data, training, fabric=fabric, **parts)
    if former is None:
        schedule = fabric.broadcast(_plan(task, began))
    else:
        schedule = Schedule.from_dict(former.schedule)
    task.config = schedule.applied(training)
    task.realism = task.realism if task.config.realism_every_epochs else None
    if former is None:
        metrics |= _reference_figures(task.realism)
    task.learning_rate = schedule.rates
    log, record = None, former
    if fabric.is_global_zero and former is not None:
        log, record = resumed_log(former, run)
    elif fabric.is_global_zero:
        log, record = new_log(
            RunRecord,
            run,
            descriptor_config=recordings.corpus.config,
            model_config=model,
            train_config=training,
            metrics=metrics,
            training_files=split.files[0],
            validation_files=split.files[1],
            schedule=schedule.to_dict(),
            inputs=recordings.inputs,
        )
        record.save_arrays(arrays)  # before the record: a run that is listed is complete
        record = log.begin(record)
    record = fabric.broadcast(record)
    assert record is not None
    if former is None:
        _log_plan(record, task, schedule)
    limit_s = training.max_time_s
    reserve_s = 2 * schedule.realism_s  # of the last network and of the best
    stop = StopCondition(None if limit_s is None else began + limit_s, reserve_s)
    projects = former is not None
    return Engine(task, record, log, stop, on_validation=on_validation, projects=projects).run()


def _split(recordings: Recordings, training: TrainConfig, earlier: RunRecord | None) -> Split:
    """Return the split; recordings that the run to start from has learned are held out last."""
    known: tuple[Collection[str], Collection[str]] = ((), ())
    if training.from_run is not None and earlier is not None:
        known = earlier.training_files, earlier.validation_files
    share, seed = training.validation_share, training.seed
    split = split_recordings(recordings.corpus, recordings.validation, share, seed, known)
    heard = [s.source for s in split.validation if s.digest in known[0]]
    if heard and earlier is not None and recordings.validation is not None:
        logger.warning(
            "run %s has learned %d of the validation recordings, so validation is too optimistic",
            *(earlier.run_id, len(heard)),
        )
    return split


def _network(
    model: ModelConfig,
    split: Split,
    training: TrainConfig,
    former: RunRecord | None,
    parent: RunRecord | None,
) -> DescriptorModel:
    """Return the model to train: an untrained one, or that of another run, with its statistics."""
    if parent is not None:
        return load_model(parent.checkpoint())
    if former is not None:
        try:
            return load_model(former.checkpoint("last"))  # with the default sizes of its time
        except CheckpointError:  # stopped before the first was written
            if training.from_run is not None:
                raise
    statistics = fit_statistics(split.learned)
    torch.manual_seed(training.seed)  # of the initial parameters
    return create_model(model, statistics.standardizer.config, statistics)


def check_window(model: ModelConfig, split: Split) -> None:
    """Refuse a window that is longer than all recordings; a default one is padded.

    Raises
    ------
    ConfigurationError
        Names the window and the longest recording.
    """
    longest = max(split.training, key=n_complete)
    n_frames = n_complete(longest)
    if model.window_size > max(n_frames, ModelConfig.window_size):
        raise ConfigurationError(
            f"window_size={model.window_size} frames must not exceed the longest training "
            f"recording, {longest.source}, which has {n_frames} complete frames"
        )


def check_recordings(
    config: DescriptorConfig, split: Split, former: RunRecord | None, parent: RunRecord | None
) -> None:
    """Refuse to resume a run with other recordings, or to start from one of other descriptors.

    Raises
    ------
    ConfigurationError
        If descriptors or recordings differ; the message says which.
    """
    if (earlier := former or parent) is None:
        return
    pairs = {
        f.name: (getattr(config, f.name), getattr(earlier.descriptor_config, f.name))
        for f in fields(config)
    }
    differing = [f"{name}={a!r} (the run has {b!r})" for name, (a, b) in pairs.items() if a != b]
    if differing:
        raise ConfigurationError(
            f"run {earlier.run_id} was started with other descriptors: {', '.join(differing)}"
        )
    if former is not None:
        training, validation = split.files
        check_same_files(former.run_id, "training", training, former.training_files)
        check_same_files(former.run_id, "validation", validation, former.validation_files)


def _data(split: Split, network: DescriptorModel, training: TrainConfig) -> TrainingData:
    return TrainingData(
        split.learned,
        split.validation,
        network,
        batch_size=training.batch_size or network.BATCH_SIZE,
        seed=training.seed,
        remove_outliers=training.remove_outliers,
    )


def _with_defaults(
    training: TrainConfig, network: DescriptorModel, data: TrainingData
) -> TrainConfig:
    """Return the settings with batch size and epochs, the model's where none are given."""
    enough = math.ceil(network.STEPS / data.steps_per_epoch(1)[0])
    epochs = training.epochs or max(LEAST_EPOCHS, enough)
    return replace(training, batch_size=data.batch_size, epochs=epochs)


def _parts(
    split: Split,
    network: DescriptorModel,
    arrays: Mapping[str, Array],
    training: TrainConfig,
    recordings: Recordings,
) -> dict[str, Any]:
    """Return the optional parts of the task; a point forecast has no continuations to compare."""
    free_running = samples = None
    if training.rollout_every and network.model_config.head != DETERMINISTIC:
        spread = arrays["window_spread"]
        free_running = FreeRunningLoss(network, spread, training.adversarial_weight)
    if recordings.render_sample is not None:
        samples = recordings.render_sample, sample_context(split.validation)
    scales = ReferenceScales.from_arrays(arrays, network.statistics)
    realism = _realism(split, recordings.validation or recordings.corpus, scales, training)
    return {"free_running": free_running, "realism": realism, "samples": samples}


def _realism(
    split: Split, held_out: Corpus, scales: ReferenceScales, training: TrainConfig
) -> Realism | None:
    """Return the realism measurement; None if it is disabled or impossible."""
    if training.realism_every_epochs == 0:
        return None
    try:
        return Realism.of(split.validation, scales, training.seed, held_out)
    except CorpusError as error:
        if training.monitor != "val_loss":
            raise CorpusError(f"monitor={training.monitor!r} is not possible: {error}") from error
        logger.info("realism is not measured: %s", error)
        return None


def _plan(task: DescriptorTask, began: float) -> Schedule:
    """Measure the training speed; plan the length of the run and the intervals of its checks."""
    training, limit_s = task.config, task.config.max_time_s
    speed = measure_speed(task, limit_s)
    interludes, realism_s = [], 0.0
    with preserved_randomness():
        task.model.eval()
        if task.realism is not None:
            realism_s = task.realism.duration_s(task.model)
        if task.samples is not None:
            started = stopping.now()
            _try_out(*task.samples, task.model)
            seconds = stopping.now() - started
            interludes.append(Interlude(training.sample_every_epochs, seconds))
        task.model.train()
    left_s = None if limit_s is None else limit_s - (stopping.now() - began)
    steps = task.data.steps_per_epoch(training.known_epochs)

    def planned(validation_s: float = speed.validation_s) -> Schedule:
        timed = replace(speed, validation_s=validation_s, interludes=tuple(interludes))
        rate, interval = training.learning_rate, training.save_interval
        return plan_schedule(steps, rate, interval, timed, left_s)

    measured = task.realism is not None
    if limit_s is not None:
        epochs = task.data.epoch(planned(0.0).total_steps)
        training = bounded_checks(training, epochs, speed.validation_s, realism_s, limit_s)
        measured = measured and training.realism_every_epochs > 0
    if measured:
        interludes.append(Interlude(training.realism_every_epochs, realism_s))
    schedule = replace(planned(), realism_s=realism_s if measured else 0.0)
    if limit_s is None:
        return schedule
    names = ("save_interval", "realism_every_epochs")
    return replace(schedule, **{name: getattr(training, name) for name in names})


def _reference_figures(realism: Realism | None) -> dict[str, float]:
    """Return the metrics of real music and of the linear baseline, as far as they have them."""
    if realism is None:
        return {}
    return {
        f"{peer}_{name.removeprefix('val_')}": value
        for peer, figures in (("real", realism.floor()), ("var", realism.linear()))
        for name, value in figures.items()
        if math.isfinite(value)
    }


def _try_out(render: SampleRenderer, context: DescriptorSequence, model: DescriptorModel) -> None:
    with TemporaryDirectory() as folder:
        render(model, context, Path(folder) / "sample.wav")


def _log_plan(record: RunRecord, task: DescriptorTask, schedule: Schedule) -> None:
    """Log the plan of a new run, and a warning if it has few steps."""
    name, usual = record.model_config.selected_model, task.model.STEPS
    logger.info(plan_message(record, task.data, schedule))
    if task.realism is not None:
        logger.info(realism_message(task.realism, record, task.data, schedule))
    if schedule.total_steps < FEW_SHARE * usual and record.train_config.from_run is None:
        steps = schedule.total_steps
        logger.warning(
            "%d training step%s: too few to learn much; %s usually takes %d. Give it a longer "
            "max_time_s or more epochs",
            *(steps, "s" * (steps != 1), name, usual),
        )


def plan_message(record: RunRecord, data: TrainingData, schedule: Schedule) -> str:
    """Return a one-line plan of a run: recordings, steps and expected duration."""
    training = record.train_config
    played = [variant_of(digest) for digest in record.training_files]
    n, speeds = (len({each[i] for each in played}) for i in (0, 1))
    learned = f"{n} recording{'s' * (n != 1)}" + f" at {speeds} speeds" * (speeds > 1)
    total, epochs = sum(data.steps_per_epoch(training.known_epochs)), training.epochs
    if schedule.total_steps < total:
        steps = f"{schedule.total_steps} of {total} steps, as many as fit into the time limit"
    else:
        steps = f"{epochs} epoch{'s' * (epochs != 1)}, {total} step{'s' * (total != 1)}"
    early = ", or less if it stops early" if training.early_stopping else ""
    return (
        f"training {record.model_config.selected_model} on {learned} "
        f"({duration(data.duration_s)}), validating on {len(record.validation_files)}: {steps}, "
        f"about {duration(schedule.duration_s())}{early}"
    )


def realism_message(
    realism: Realism, record: RunRecord, data: TrainingData, schedule: Schedule
) -> str:
    """Return a line on the realism measurement: when, how long, and reference values."""
    every = schedule.applied(record.train_config).realism_every_epochs
    n = len(realism.scorer.excerpts)
    when = "at the end"
    if every < data.epoch(schedule.total_steps):
        when = "every epoch" if every == 1 else f"every {every} epochs and at the end"
    return (
        f"realism: {when} the model continues {n} validation excerpt{'s' * (n != 1)} (about "
        f"{schedule.realism_s:.1f} s each time); val_fd of real music is "
        f"{record.metrics['real_fd']:.1f}, of the linear baseline (VAR, replay) "
        f"{record.metrics['var_fd']:.1f}"
    )

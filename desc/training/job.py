"""A training of a sequence model in each process: prepared, then run by the engine."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
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
from desc.engine.resuming import check_same_files, resumed_log
from desc.engine.stopping import StopCondition, duration
from desc.errors import ConfigurationError, CorpusError
from desc.models import create_model
from desc.models.base import DescriptorModel
from desc.models.heads import DETERMINISTIC
from desc.models.statistics import fit_statistics
from desc.runs import RunLog, RunRecord
from desc.scoring.reference_scales import ReferenceScales
from desc.training.baseline import fit_baseline
from desc.training.data import TrainingData
from desc.training.free_running import FreeRunningLoss
from desc.training.plan import Interlude, Schedule, measure_speed, plan_schedule
from desc.training.recordings import Split, sample_context, split_recordings
from desc.training.task import DescriptorTask, SampleRenderer
from desc.training.validation_metrics import Realism

logger = logging.getLogger(__name__)
Array = npt.NDArray[np.float64]

LEAST_EPOCHS = 10  # even for large corpora
REALISM, SAMPLE = "realism", "sample"


@dataclass(frozen=True, eq=False)
class Recordings:
    """Training recordings, validation recordings if given, and the renderer of audio samples."""

    corpus: Corpus
    validation: Corpus | None = None
    render_sample: SampleRenderer | None = None


def run_training(
    recordings: Recordings,
    settings: tuple[ModelConfig, TrainConfig, RunConfig],
    former: RunRecord | None,
    on_validation: OnValidation | None,
    fabric: Fabric,
) -> RunRecord:
    """Train a new run, or resume a former one, whose settings these are; return its record.

    Raises
    ------
    ConfigurationError
        If settings contradict each other, or the former run had other recordings or descriptors.
    CorpusError
        If too few frames are left to learn from.
    CheckpointError
        If the last checkpoint is damaged or of another version of this program.
    """
    model, training, run = settings
    split = split_recordings(
        recordings.corpus, recordings.validation, training.validation_share, training.seed
    )
    if former is not None:
        check_recordings(former, recordings.corpus.config, split)
    network = _new_network(model, split, training.seed)
    data = TrainingData(
        split.learned,
        split.validation,
        network,
        batch_size=training.batch_size,
        seed=training.seed,
        remove_outliers=training.remove_outliers,
    )
    if former is None:
        training = _with_epochs(training, network, data)
        arrays, metrics = fit_baseline(split.learned, split.validation, network)
    else:
        ReferenceScales.from_run(former, network.statistics)  # refuses arrays that do not fit
        arrays, metrics = former.load_arrays(), former.metrics
    began = stopping.now()
    parts = _parts(split, network, arrays, training, recordings.render_sample)
    task = DescriptorTask(network, data, training, fabric=fabric, **parts)
    schedule = _schedule(task, began) if former is None else Schedule.from_dict(former.schedule)
    schedule = fabric.broadcast(schedule)
    task.learning_rate = schedule.rates
    log, record = None, former
    if fabric.is_global_zero and former is not None:
        log, record = resumed_log(former, run)
    elif fabric.is_global_zero:
        log = RunLog.new(run)
        record = RunRecord(
            run_id=log.run_id,
            folder=log.folder,
            descriptor_config=recordings.corpus.config,
            model_config=model,
            train_config=training,
            metrics=metrics,
            training_files=split.files[0],
            validation_files=split.files[1],
            schedule=schedule.to_dict(),
            project=run.project,
            entity=run.entity,
        )
        record.save_arrays(arrays)  # before the record: a run that is listed is complete
        record = log.begin(record)
    record = fabric.broadcast(record)
    assert record is not None
    if former is None:
        logger.info(plan_message(record, data, schedule))
        if task.realism is not None:
            logger.info(realism_message(task.realism, schedule.realism_s))
    limit_s = training.max_time_s
    stop = StopCondition(None if limit_s is None else began + limit_s, schedule.realism_s)
    projects = former is not None
    return Engine(task, record, log, stop, on_validation=on_validation, projects=projects).run()


def check_recordings(former: RunRecord, config: DescriptorConfig, split: Split) -> None:
    """Refuse to resume a run with other recordings or descriptors.

    Raises
    ------
    ConfigurationError
        If descriptors or recordings differ; the message says which.
    """
    pairs = {
        f.name: (getattr(config, f.name), getattr(former.descriptor_config, f.name))
        for f in fields(config)
    }
    differing = [f"{name}={a!r} (the run has {b!r})" for name, (a, b) in pairs.items() if a != b]
    if differing:
        raise ConfigurationError(
            f"run {former.run_id} was started with other descriptors: {', '.join(differing)}"
        )
    training, validation = split.files
    check_same_files(former.run_id, "training", training, former.training_files)
    check_same_files(former.run_id, "validation", validation, former.validation_files)


def _new_network(model: ModelConfig, split: Split, seed: int) -> DescriptorModel:
    """Return the untrained model; its parameters are a function of the seed."""
    statistics = fit_statistics(split.learned)
    torch.manual_seed(seed)
    return create_model(model, statistics.standardizer.config, statistics)


def _with_epochs(
    training: TrainConfig, network: DescriptorModel, data: TrainingData
) -> TrainConfig:
    """Return the settings with a number of epochs, derived from the model if none is given."""
    if training.epochs is not None:
        return training
    enough = math.ceil(network.STEPS / data.steps_per_epoch(1)[0])
    return replace(training, epochs=max(LEAST_EPOCHS, enough))


def _parts(
    split: Split,
    network: DescriptorModel,
    arrays: Mapping[str, Array],
    training: TrainConfig,
    render_sample: SampleRenderer | None,
) -> dict[str, Any]:
    """Return the optional parts of the task; a point forecast has no continuations to compare."""
    free_running = samples = None
    if training.rollout_every and network.model_config.head != DETERMINISTIC:
        spread = arrays["window_spread"]
        free_running = FreeRunningLoss(network, spread, training.adversarial_weight)
    if render_sample is not None:
        samples = render_sample, sample_context(split.validation)
    realism = _realism(split, network, arrays, training)
    return {"free_running": free_running, "realism": realism, "samples": samples}


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
    training = task.config
    actions: dict[str, Callable[[DescriptorModel], object]] = {}
    every = {REALISM: 0, SAMPLE: training.sample_every_epochs}
    if task.realism is not None:
        every[REALISM] = task.realism.every_epochs
        actions[REALISM] = task.realism.measure
    if task.samples is not None:
        actions[SAMPLE] = partial(_try_out, *task.samples)
    speed, taken = measure_speed(task, training.max_time_s, actions)
    interludes = tuple(Interlude(every[name], seconds) for name, seconds in taken.items())
    spent_s = stopping.now() - began
    schedule = plan_schedule(
        task.data.steps_per_epoch(training.known_epochs),
        training.learning_rate,
        training.save_interval,
        replace(speed, interludes=interludes),
        None if training.max_time_s is None else training.max_time_s - spent_s,
    )
    return replace(schedule, realism_s=taken.get(REALISM, 0.0))


def _try_out(render: SampleRenderer, context: DescriptorSequence, model: DescriptorModel) -> None:
    with TemporaryDirectory() as folder:
        render(model, context, Path(folder) / "sample.wav")


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

"""`train_vocoder`, `train_unagan`, `train_flow`: recordings → a run that can generate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from desc.configuration import RunConfig, from_dict, to_dict
from desc.engine import stopping
from desc.engine.checkpoint import LAST, read_state
from desc.engine.fabric import Fabric, launch
from desc.engine.loop import Engine, OnValidation
from desc.engine.resuming import resumed_settings
from desc.engine.stopping import StopCondition
from desc.errors import ConfigurationError
from desc.runs import RunLog, SoundRecord, resolve_record
from desc.soundgen.checkpoint import SoundCheckpoint
from desc.soundgen.mel import check_same_mel
from desc.soundgen.recordings import SoundRecordings
from desc.soundgen.settings import (
    FlowConfig,
    FlowTraining,
    MelConfig,
    UnaganConfig,
    UnaganTraining,
    VocoderConfig,
    VocoderTraining,
)
from desc.soundgen.task import SoundTask
from desc.soundgen.vocoder import Vocoder

logger = logging.getLogger(__name__)
OpenRecordings = Callable[[MelConfig], SoundRecordings]
"""Reads the recordings at the rate of a front end."""


def train_vocoder(
    open_recordings: OpenRecordings,
    *,
    mel: MelConfig = MelConfig(),
    model: VocoderConfig = VocoderConfig(),
    training: VocoderTraining = VocoderTraining(),
    run: RunConfig = RunConfig(),
    **options: Any,
) -> SoundRecord:
    """Train a vocoder on recordings, and keep it as a run.

    Parameters
    ----------
    open_recordings : callable
        Returns the recordings, given the front end.
    mel, model, training, run
        Settings; for a resumed run, given settings must equal its own.
    **options
        `resume_run_id`, `load_from_run_id`, `given` and `on_validation` of `train_sound`.

    Returns
    -------
    SoundRecord

    Raises
    ------
    DescError
        As `train_sound`.
    """
    from desc.soundgen.vocoder_training import VocoderTask

    settings = (mel, model, training)
    return train_sound(VocoderTask, model.vocoder, open_recordings, settings, run, **options)


def train_unagan(
    open_recordings: OpenRecordings,
    *,
    mel: MelConfig = MelConfig(),
    model: UnaganConfig = UnaganConfig(),
    training: UnaganTraining = UnaganTraining(),
    run: RunConfig = RunConfig(),
    vocoder: Vocoder | None = None,
    **options: Any,
) -> SoundRecord:
    """Train UnaGAN on recordings, and keep it as a run; see `train_vocoder`.

    Audio samples are rendered by `vocoder`, by default Griffin-Lim.
    """
    from desc.soundgen.unagan_training import UnaganTask

    if vocoder is not None:
        check_same_mel(mel, vocoder.mel, ("UnaGAN", f"vocoder {vocoder.name}"))
    make = partial(UnaganTask, vocoder=vocoder)
    return train_sound(make, "unagan", open_recordings, (mel, model, training), run, **options)


def train_flow(
    open_recordings: OpenRecordings,
    *,
    mel: MelConfig = MelConfig(),
    model: FlowConfig = FlowConfig(),
    training: FlowTraining = FlowTraining(),
    run: RunConfig = RunConfig(),
    vocoder: Vocoder | None = None,
    **options: Any,
) -> SoundRecord:
    """Train the flow on recordings, and keep it as a run; see `train_unagan`."""
    from desc.soundgen.flow_training import FlowTask

    if vocoder is not None:
        check_same_mel(mel, vocoder.mel, ("the flow", f"vocoder {vocoder.name}"))
    make = partial(FlowTask, vocoder=vocoder)
    return train_sound(make, "flow", open_recordings, (mel, model, training), run, **options)


@dataclass(frozen=True, eq=False, kw_only=True)
class SoundJob:
    """A training of sound generation that is ready to start, in any process.

    Attributes
    ----------
    make_task : callable
        Returns the task, given front end, model, training and recordings.
    recordings : SoundRecordings
    settings : tuple
        Front end, model and training.
    run : RunConfig
    former : SoundRecord or None
        The run to resume.
    start : tuple of SoundCheckpoint and str, optional
        The network to start with, and the run it is from.
    on_validation : callable, optional
    """

    make_task: Callable[..., SoundTask]
    recordings: SoundRecordings
    settings: tuple[MelConfig, Any, Any]
    run: RunConfig
    former: SoundRecord | None = None
    start: tuple[SoundCheckpoint, str] | None = None
    on_validation: OnValidation | None = None


def train_sound(
    make_task: Callable[..., SoundTask],
    name: str,
    open_recordings: OpenRecordings,
    settings: tuple[MelConfig, Any, Any],
    run: RunConfig,
    *,
    resume_run_id: str | None = None,
    load_from_run_id: str | None = None,
    given: Collection[str] | None = None,
    on_validation: OnValidation | None = None,
) -> SoundRecord:
    """Train a network of sound generation: a new run, or one that is resumed.

    A stopped run is resumed by its id: on the CPU its result equals that of an uninterrupted
    run, byte for byte.

    Parameters
    ----------
    make_task : callable
        Returns the task, given the settings and the recordings.
    name : str
        melgan, vocos, unagan or flow.
    open_recordings : callable
    settings : tuple
        Front end, model and training.
    run : RunConfig
    resume_run_id : str, optional
        The run to resume.
    load_from_run_id : str, optional
        A run whose generator a new run starts with.
    given : collection of str, optional
        Names of the given settings; by default those that differ from their defaults.
    on_validation : callable, optional
        Called as on_validation(generator, step) after each validation.

    Raises
    ------
    ConfigurationError
        If settings contradict each other or those of a resumed run, or this machine lacks a
        device.
    CorpusError
        If there is no usable recording.
    DescError
        If the training diverges repeatedly.
    TrainingInterruptedError
        After Ctrl-C, once the run is saved; it is a KeyboardInterrupt.
    """
    if resume_run_id is not None and load_from_run_id is not None:
        raise ConfigurationError("give resume_run_id or load_from_run_id, not both")
    former = None
    if resume_run_id is not None:
        former = resolve_record(SoundRecord, resume_run_id, run)
        settings = _resumed(former, name, settings, given)
        if former.status == "finished":
            logger.info("run %s is complete; nothing is left to do", former.run_id)
            return former
    start = None
    if load_from_run_id is not None:
        source = resolve_record(SoundRecord, load_from_run_id, run)
        start = SoundCheckpoint.load(source.checkpoint()), source.run_id
    job = SoundJob(
        make_task=make_task,
        recordings=open_recordings(settings[0]),
        settings=settings,
        run=run,
        former=former,
        start=start,
        on_validation=on_validation,
    )
    return launch(settings[2], _train, job)


def _resumed(
    former: SoundRecord,
    name: str,
    settings: tuple[MelConfig, Any, Any],
    given: Collection[str] | None,
) -> tuple[MelConfig, Any, Any]:
    """Return the settings of a run that is resumed."""
    if former.generator != name and (given is None or "vocoder" in given):
        raise ConfigurationError(f"run {former.run_id} trains {former.generator}, not {name}")
    mel, model, training = settings
    return (
        resumed_settings(mel, from_dict(MelConfig, former.mel_config), given),
        resumed_settings(model, from_dict(type(model), former.model_config), given),
        resumed_settings(training, from_dict(type(training), former.train_config), given),
    )


def _train(job: SoundJob, fabric: Fabric) -> SoundRecord:
    """Train, in each process."""
    began, recordings, training = stopping.now(), job.recordings, job.settings[2]
    torch.manual_seed(training.seed)
    task = job.make_task(*job.settings, recordings, fabric=fabric)
    if job.start is not None:
        task.start_from(*job.start)
    log, record = None, job.former
    if fabric.is_global_zero:
        log, record = _open_log(task, job)
    record = fabric.broadcast(record)
    assert record is not None
    n = len(recordings.sources)
    logger.info(
        "training %s on %d recording%s (%.0f s at %d Hz): %d steps of %d crops",
        task.generator_name,
        n,
        "s" * (n != 1),
        recordings.duration_s,
        recordings.sample_rate,
        task.total_steps,
        training.batch_size,
    )
    limit_s = training.max_time_s
    stop = StopCondition(None if limit_s is None else began + limit_s)
    engine = Engine(task, record, log, stop, on_validation=job.on_validation)
    with log or nullcontext():
        if job.former is not None:
            engine.resume()
        return engine.run()


def _open_log(task: SoundTask, job: SoundJob) -> tuple[RunLog, SoundRecord]:
    """Begin a run, or continue one on the same recordings."""
    former, files = job.former, job.recordings.files
    if former is None:
        log = RunLog.new(job.run)
        record = SoundRecord(
            run_id=log.run_id,
            folder=log.folder,
            generator=task.generator_name,
            mel_config=to_dict(task.mel),
            model_config=to_dict(task.model),
            train_config=to_dict(task.training),
            training_files=files,
            project=job.run.project,
            entity=job.run.entity,
        )
    else:
        if former.training_files.keys() != files.keys():
            raise ConfigurationError(
                f"run {former.run_id} was started with other recordings: "
                f"{', '.join(sorted(former.training_files.values()))[:200]}"
            )
        path, step = former.folder / LAST, 0
        if path.is_file():
            step = int(read_state(path, former.run_id)["progress"]["step"])
        log = RunLog.resume(former, job.run, step=step)
        record = replace(former, folder=log.folder)
    return log, log.begin(record)

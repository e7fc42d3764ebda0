"""`train_vocoder`, `train_unagan`, `train_flow`: recordings → a run that can generate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from desc.configuration import RunConfig, from_dict, to_dict
from desc.engine import stopping
from desc.engine.checkpoint import checkpoints_of
from desc.engine.fabric import Fabric, launch
from desc.engine.loop import Engine, OnValidation
from desc.engine.resuming import check_same_files, new_log, resumed_log, resumed_settings
from desc.engine.stopping import StopCondition
from desc.errors import ConfigurationError
from desc.runs import SoundRecord, resolve_record
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
"""Reads the recordings at the sample rate of a mel front end."""
Settings = tuple[MelConfig, Any, Any]
"""Mel front end, network and training."""


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
        Returns the recordings, given the mel front end.
    mel, model, training, run
        Settings; for a resumed run, given settings must equal its own.
    **options
        `resume_run_id`, `given`, `on_validation` and `inputs` of `train_sound`.

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

    settings = (mel, model, training)
    make = _with_vocoder(UnaganTask, mel, vocoder)
    return train_sound(make, "unagan", open_recordings, settings, run, **options)


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

    settings = (mel, model, training)
    make = _with_vocoder(FlowTask, mel, vocoder)
    return train_sound(make, "flow", open_recordings, settings, run, **options)


def _with_vocoder(
    task: type[SoundTask], mel: MelConfig, vocoder: Vocoder | None
) -> Callable[..., SoundTask]:
    if vocoder is not None:
        check_same_mel(mel, vocoder.mel, ("the generator", f"vocoder {vocoder.name}"))
    return partial(task, vocoder=vocoder)


def train_sound(
    make_task: Callable[..., SoundTask],
    name: str,
    open_recordings: OpenRecordings,
    settings: Settings,
    run: RunConfig,
    *,
    resume_run_id: str | None = None,
    given: Collection[str] | None = None,
    on_validation: OnValidation | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> SoundRecord:
    """Train a network of sound generation: a new run, or one that is resumed.

    A stopped run is resumed by its id: on the CPU its result equals that of an uninterrupted
    run, byte for byte. With `from_run` of the training settings, a new run starts with the
    generator of another one, and has its mel front end and network.

    Parameters
    ----------
    make_task : callable
        Returns the task, given the settings and the recordings.
    name : str
        melgan, vocos, unagan or flow.
    open_recordings : callable
    settings : tuple
        Mel front end, network and training.
    run : RunConfig
    resume_run_id : str, optional
        The run to resume.
    given : collection of str, optional
        Names of the given settings; by default those that differ from their defaults.
    on_validation : callable, optional
        Called as on_validation(generator, step) after each validation.
    inputs : mapping, optional
        Options that name the recordings, kept in the run's record.

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
    former = start = None
    mel, model, training = settings
    if resume_run_id is not None:
        former = resolve_record(SoundRecord, resume_run_id, run)
        mel, model = _architecture(former, name, settings, given)
        stored = from_dict(type(training), former.train_config)
        training = resumed_settings(training, stored, given)
        if former.status == "finished":
            logger.info("run %s is complete; nothing is left to do", former.run_id)
            return former
        former = replace(former, train_config=to_dict(training))
    if training.from_run is not None and (former is None or not checkpoints_of(former.folder)):
        parent = resolve_record(SoundRecord, training.from_run, run)
        mel, model = _architecture(parent, name, settings, given)
        training = replace(training, from_run=parent.run_id)
        start = SoundCheckpoint.load(parent.checkpoint()), parent.run_id
    recordings = open_recordings(mel)
    make = partial(make_task, mel, model, training, recordings)
    train = partial(
        _train, run=run, former=former, start=start, on_validation=on_validation, inputs=inputs
    )
    return launch(training, train, make, recordings)


def _architecture(
    record: SoundRecord, name: str, settings: Settings, given: Collection[str] | None
) -> tuple[MelConfig, Any]:
    """Return mel front end and network of a run; given settings must agree."""
    run_id = record.run_id
    if record.generator != name and (given is None or "vocoder" in given):
        raise ConfigurationError(f"run {run_id} trains {record.generator}, not {name}")
    mel, model, _ = settings
    rule = f"the network is that of run {run_id}"
    return (
        resumed_settings(mel, from_dict(MelConfig, record.mel_config), given, rule),
        resumed_settings(model, from_dict(type(model), record.model_config), given, rule),
    )


def _train(
    make_task: Callable[..., SoundTask],
    recordings: SoundRecordings,
    fabric: Fabric,
    *,
    run: RunConfig,
    former: SoundRecord | None,
    start: tuple[SoundCheckpoint, str] | None,
    on_validation: OnValidation | None,
    inputs: Mapping[str, Any] | None,
) -> SoundRecord:
    """Train, in each process."""
    began = stopping.now()
    task = make_task(fabric=fabric)
    training = task.training
    if start is not None:
        task.start_from(*start)
    log, record = None, former
    if former is not None:
        check_same_files(former.run_id, "training", recordings.files, former.training_files)
    if fabric.is_global_zero:
        if former is not None:
            log, record = resumed_log(former, run)
        else:
            log, record = new_log(
                SoundRecord,
                run,
                generator=task.generator_name,
                mel_config=to_dict(task.mel),
                model_config=to_dict(task.model),
                train_config=to_dict(training),
                training_files=recordings.files,
                inputs=dict(inputs or {}),
            )
            record = log.begin(record)
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
    return Engine(task, record, log, stop, on_validation=on_validation).run()

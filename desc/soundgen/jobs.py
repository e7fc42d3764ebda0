"""`train_vocoder`, `train_unagan`, `train_flow`: recordings → a run that can generate."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch

from desc.configuration import Note, Progress, RunConfig, from_dict, to_dict
from desc.errors import ConfigurationError
from desc.runs import RunLog, SoundRecord, resolve_record
from desc.soundgen.checkpoint import SoundCheckpoint
from desc.soundgen.loop import LAST, Training
from desc.soundgen.mel import check_same_mel
from desc.soundgen.recipe import Recipe
from desc.soundgen.recordings import SoundRecordings
from desc.soundgen.settings import (
    FlowConfig,
    FlowTraining,
    MelConfig,
    SoundTraining,
    UnaganConfig,
    UnaganTraining,
    VocoderConfig,
    VocoderTraining,
)
from desc.soundgen.vocoder import Vocoder
from desc.training.ending import Clock
from desc.training.own_settings import own_settings

OpenRecordings = Callable[[MelConfig], SoundRecordings]
"""Reads the recordings at the rate of a front end."""
S = TypeVar("S")


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
        The settings; for a resumed run those that are given must be its own.
    **options
        See `train_sound`.

    Returns
    -------
    SoundRecord

    Raises
    ------
    DescError
        As `train_sound`.
    """
    from desc.soundgen.vocoder_training import VocoderRecipe

    settings = (mel, model, training)
    return train_sound(VocoderRecipe, model.vocoder, open_recordings, settings, run, **options)


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

    Samples are written by `vocoder`, else by Griffin-Lim.
    """
    from desc.soundgen.unagan_training import UnaganRecipe

    if vocoder is not None:
        check_same_mel(mel, vocoder.mel, ("UnaGAN", f"vocoder {vocoder.name}"))
    make = partial(UnaganRecipe, vocoder=vocoder)
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
    from desc.soundgen.flow_training import FlowRecipe

    if vocoder is not None:
        check_same_mel(mel, vocoder.mel, ("the flow", f"vocoder {vocoder.name}"))
    make = partial(FlowRecipe, vocoder=vocoder)
    return train_sound(make, "flow", open_recordings, (mel, model, training), run, **options)


def train_sound(
    make_recipe: Callable[..., Recipe],
    name: str,
    open_recordings: OpenRecordings,
    settings: tuple[MelConfig, Any, Any],
    run: RunConfig,
    *,
    resume_run_id: str | None = None,
    load_from_run_id: str | None = None,
    given: Collection[str] | None = None,
    progress: Progress | None = None,
    note: Note | None = None,
    clock: Clock = time.monotonic,
    on_validation: Callable[[Recipe, int], None] | None = None,
) -> SoundRecord:
    """Train by a recipe: a new run, or one that goes on.

    A run that was stopped is resumed by its id: on a processor its result is bit for bit that of
    a run that was not.

    Parameters
    ----------
    make_recipe : callable
        Returns the recipe, given the settings and the recordings.
    name : str
        melgan, vocos, unagan or flow.
    open_recordings : callable
    settings : tuple
        Front end, sizes and training.
    run : RunConfig
    resume_run_id : str, optional
        The run to go on with.
    load_from_run_id : str, optional
        A run whose parameters a new run begins with.
    given : collection of str, optional
        Names of the settings that were set on purpose; by default those away from their default.
    progress : callable, optional
        Called as progress("train", step, total_steps).
    note : callable, optional
        Gets lines for the user.
    clock : callable
        Returns seconds.
    on_validation : callable, optional
        Called as on_validation(recipe, step) after each validation.

    Raises
    ------
    ConfigurationError
        If settings contradict each other, or those of a resumed run.
    CorpusError
        If there is nothing to learn from.
    DescError
        If the training explodes again and again.
    TrainingInterruptedError
        After Ctrl-C, once the run is saved; it is a KeyboardInterrupt.
    """
    if resume_run_id is not None and load_from_run_id is not None:
        raise ConfigurationError("give resume_run_id or load_from_run_id, not both")
    mel, model, training = settings
    former: SoundRecord | None = None
    if resume_run_id is not None:
        former = resolve_record(SoundRecord, resume_run_id, run)
        if former.generator != name and (given is None or "vocoder" in given):
            raise ConfigurationError(
                f"run {former.run_id} is one of {former.generator}, not of {name}"
            )
        mel = _own(mel, former.mel_config, given)
        model = _own(model, former.model_config, given)
        training = _own(training, former.train_config, given)
        if former.status == "finished":
            if note is not None:
                note(f"run {former.run_id} is at its end; nothing is left to do")
            return former
    recordings = open_recordings(mel)
    torch.manual_seed(training.seed)
    recipe = make_recipe(mel, model, training, recordings)
    if load_from_run_id is not None:
        source = resolve_record(SoundRecord, load_from_run_id, run)
        recipe.start_from(SoundCheckpoint.load(source.checkpoint()), source.run_id)
    record, log = _open_log(recipe, recordings, former, run)
    if note is not None:
        n = len(recordings.sources)
        note(
            f"training {recipe.generator_name} on {n} recording{'s' * (n != 1)} "
            f"({recordings.duration_s:.0f} s at {recordings.sample_rate} Hz): "
            f"{recipe.total_steps} steps of {training.batch_size} crops"
        )
    with log:
        work = Training(
            recipe, log, record,
            progress=progress, note=note, clock=clock, on_validation=on_validation,
        )  # fmt: skip
        if former is not None:
            work.resume()
        return work.run()


def _own(given: S, stored: dict[str, Any], names: Collection[str] | None) -> S:
    """Return a run's settings, with those that may change per call."""
    return own_settings(given, from_dict(type(given), stored), names)


def _open_log(
    recipe: Recipe,
    recordings: SoundRecordings,
    former: SoundRecord | None,
    run: RunConfig,
) -> tuple[SoundRecord, RunLog]:
    """Begin a run, or go on with one on the same recordings."""
    training: SoundTraining = recipe.training
    if former is None:
        log = RunLog.new(run)
        record = SoundRecord(
            run_id=log.run_id,
            folder=log.folder,
            generator=recipe.generator_name,
            mel_config=to_dict(recipe.mel),
            model_config=to_dict(recipe.model),
            train_config=to_dict(training),
            training_files=recordings.files,
            project=run.project,
            entity=run.entity,
        )
    else:
        if former.training_files.keys() != recordings.files.keys():
            raise ConfigurationError(
                f"run {former.run_id} was started with other recordings: "
                f"{', '.join(sorted(former.training_files.values()))[:200]}"
            )
        path = former.folder / LAST
        step = SoundCheckpoint.load(path).training["progress"]["step"] if path.is_file() else 0
        log = RunLog.resume(former, run, step=step)
        record = replace(former, folder=log.folder)
    return log.begin(record), log

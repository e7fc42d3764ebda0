"""`train`: recordings → a run that can predict."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from desc.configuration import ModelConfig, RunConfig, TrainConfig, check_type
from desc.corpus import Corpus
from desc.engine.checkpoint import checkpoints_of
from desc.engine.fabric import launch
from desc.engine.loop import OnValidation
from desc.engine.resuming import resumed_settings
from desc.errors import RunNotFoundError
from desc.models import unused_options
from desc.runs import RunRecord, resolve_run
from desc.runs.record import RUN_FILE
from desc.training.job import Recordings, run_training
from desc.training.task import SampleRenderer

logger = logging.getLogger(__name__)


def train(
    corpus: Corpus,
    *,
    validation: Corpus | None = None,
    model: ModelConfig = ModelConfig(),
    training: TrainConfig = TrainConfig(),
    run: RunConfig = RunConfig(),
    resume_run_id: str | None = None,
    given: Collection[str] | None = None,
    render_sample: SampleRenderer | None = None,
    on_validation: OnValidation | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> RunRecord:
    """Train a model on recordings, and keep it as a run.

    A stopped run is resumed by its id: on the CPU its result equals, byte for byte, that of a run
    that was not stopped. It keeps its own settings; `max_time_s` counts per call. With
    `training.from_run` a new run starts from the weights of another, finished or not, with its
    model settings and descriptors. On the CPU torch uses one thread.

    Parameters
    ----------
    corpus : Corpus
        Recordings to learn from.
    validation : Corpus, optional
        Recordings to validate on; by default a share of the corpus' files is held out, of a
        single file its end.
    model, training, run : ModelConfig, TrainConfig, RunConfig
        The settings; those given for a resumed run must be its own.
    resume_run_id : str, optional
        The run to resume.
    given : collection of str, optional
        Names of the settings that were set on purpose; by default those away from their default.
    render_sample : callable, optional
        Called as render_sample(model, recording, path) every `sample_every_epochs` and at the
        end, to write a continuation into the run's folder: see `desc.audio_sampler`. It is tried
        once before the run begins.
    on_validation : callable, optional
        Called as on_validation(model, step) after each validation at the end of an epoch. Random
        numbers it draws do not change the training.
    inputs : mapping, optional
        Options that name the recordings, kept in the run's record; by default those of the corpus.

    Returns
    -------
    RunRecord
        Its status is `finished` (all epochs, or stopped early) or `stopped` (by the time limit);
        `schedule["ended"]` is the reason.

    Raises
    ------
    ConfigurationError
        If settings contradict each other or those of a resumed run, or this machine lacks a
        device.
    CorpusError
        If too few frames are left to learn from.
    DescError
        If training diverges; earlier checkpoints are kept.
    TrainingInterruptedError
        After Ctrl-C, once the run is saved; it is a KeyboardInterrupt.
    """
    check_type("corpus", corpus, Corpus, "open_corpus(folder) makes one")
    check_type("model", model, ModelConfig, "e.g. ModelConfig(selected_model='LSTM')")
    check_type("training", training, TrainConfig, "e.g. TrainConfig(epochs=20)")
    recordings = Recordings(
        corpus, validation, render_sample, dict(corpus.inputs if inputs is None else inputs)
    )
    former = parent = None
    if resume_run_id is not None:
        former = resolve_run(resume_run_id, run)
        if not (former.folder / RUN_FILE).is_file():
            raise RunNotFoundError(
                f"{resume_run_id}: contains no {RUN_FILE}; resuming needs the run's folder"
            )
        training = resumed_settings(training, former.train_config, given)
        model = resumed_settings(model, former.model_config, given)
        if former.status == "finished":
            reason = former.schedule.get("ended", former.status)
            logger.info(
                "run %s is complete (%s); nothing is left to do. --from_run %s trains it further, "
                "as a new run",
                *(former.run_id, reason, former.run_id),
            )
            return former
        former = replace(former, train_config=training)
    if training.from_run is not None and (former is None or not checkpoints_of(former.folder)):
        parent = resolve_run(training.from_run, run)
        rule = f"a run that starts from run {parent.run_id} has its model settings"
        model = resumed_settings(model, parent.model_config, given, rule)
        training = replace(training, from_run=parent.run_id)
    elif former is None and (unused := unused_options(model, given)):
        logger.info("%s does not use %s", model.selected_model, ", ".join(unused))
    settings = (model, training, run)
    return launch(training, run_training, recordings, settings, (former, parent), on_validation)

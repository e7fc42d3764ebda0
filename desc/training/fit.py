"""`train`: recordings → a run that can predict."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import replace

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import Corpus
from desc.engine import stopping
from desc.engine.fabric import Fabric, launch
from desc.engine.loop import Engine, OnValidation
from desc.engine.resuming import resumed_settings
from desc.engine.stopping import StopCondition
from desc.errors import RunNotFoundError
from desc.runs import RunRecord, resolve_run
from desc.runs.record import RUN_FILE
from desc.training.job import Job, Recordings, new_job, resumed_job
from desc.training.samples import SampleRenderer

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
) -> RunRecord:
    """Train a model on recordings, and keep it as a run.

    A stopped run is resumed by its id: on the CPU its result equals, byte for byte, that of a run
    that was not stopped. It keeps its own settings; `max_time_s` counts per call. On the CPU torch
    uses one thread.

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
    recordings = Recordings(corpus, validation, render_sample)
    if resume_run_id is None:
        return launch(training, _train, recordings, (model, training, run), given, on_validation)
    record = resolve_run(resume_run_id, run)
    if not (record.folder / RUN_FILE).is_file():
        raise RunNotFoundError(
            f"{resume_run_id}: contains no {RUN_FILE}; resuming needs the run's folder"
        )
    training = resumed_settings(training, record.train_config, given)
    resumed_settings(model, record.model_config, given)
    if record.status == "finished":
        reason = record.schedule.get("ended", record.status)
        logger.info("run %s is complete (%s); nothing is left to do", record.run_id, reason)
        return record
    record = replace(record, train_config=training)
    return launch(training, _resume, recordings, record, run, on_validation)


def _train(
    recordings: Recordings,
    settings: tuple[ModelConfig, TrainConfig, RunConfig],
    given: Collection[str] | None,
    on_validation: OnValidation | None,
    fabric: Fabric,
) -> RunRecord:
    """Train a new run, in each process."""
    return _run(new_job(fabric, recordings, settings, given), on_validation)


def _resume(
    recordings: Recordings,
    record: RunRecord,
    run: RunConfig,
    on_validation: OnValidation | None,
    fabric: Fabric,
) -> RunRecord:
    """Resume a run, in each process."""
    return _run(resumed_job(fabric, recordings, record, run), on_validation, resume=True)


def _run(job: Job, on_validation: OnValidation | None, *, resume: bool = False) -> RunRecord:
    """Run the engine."""
    limit_s = job.record.train_config.max_time_s
    deadline = None if limit_s is None else stopping.now() + limit_s - job.spent_s
    stop = StopCondition(deadline, job.reserve_s)
    engine = Engine(
        job.task, job.record, job.log, stop, on_validation=on_validation, projects=False
    )
    with job.log or nullcontext():
        if resume:
            engine.resume()
        return engine.run()

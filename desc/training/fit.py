"""`train`: recordings → a run that can predict."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytorch_lightning as pl
import torch

from desc.configuration import ModelConfig, Note, Progress, RunConfig, TrainConfig, check
from desc.corpus import Corpus
from desc.errors import RunNotFoundError, TrainingInterruptedError
from desc.runs import RunRecord, resolve_run
from desc.runs.record import RUN_FILE
from desc.training.baseline import figures
from desc.training.callbacks import (
    Checkpoints,
    MetricRows,
    ProgressReport,
    StepCounter,
    TrainingHook,
)
from desc.training.ending import EARLY, INTERRUPTED, Clock, Ending
from desc.training.lightning_module import DescriptorTraining
from desc.training.own_settings import own_settings
from desc.training.preparing import CHECKPOINTS, Job, Recordings, new_job, resumed_job
from desc.training.samples import AudioSamples, SampleRenderer
from desc.training.state import preserved_randomness
from desc.training.trainer import RunLogger, build_trainer, quiet_lightning, run_trainer
from desc.training.wording import ending_line, verdict

FINISHED, FAILED = "all epochs done", "failed"


def train(
    corpus: Corpus,
    *,
    validation: Corpus | None = None,
    model: ModelConfig = ModelConfig(),
    training: TrainConfig = TrainConfig(),
    run: RunConfig = RunConfig(),
    resume_run_id: str | None = None,
    given: Collection[str] | None = None,
    progress: Progress | None = None,
    note: Note | None = None,
    callbacks: Sequence[pl.Callback | TrainingHook] = (),
    render_sample: SampleRenderer | None = None,
    clock: Clock = time.monotonic,
) -> RunRecord:
    """Train a model on recordings, and keep it as a run.

    A run that was stopped is resumed by its id: on the CPU its result is bit for bit that of a
    run that was not. It goes on with its own settings; `max_time_s` counts per call.

    Parameters
    ----------
    corpus : Corpus
        Recordings to learn from.
    validation : Corpus, optional
        Recordings to validate on; by default a share of the corpus' files is held out, of a
        single file its end.
    model, training, run : ModelConfig, TrainConfig, RunConfig
        The settings; for a resumed run those that are given must be its own.
    resume_run_id : str, optional
        The run to go on with.
    given : collection of str, optional
        Names of the settings that were set on purpose; by default those away from their default.
    progress : callable, optional
        Called as progress("train", step, total_steps).
    note : callable, optional
        Gets lines for the user: what is left out, how long it will take, how well it went.
    callbacks : sequence, optional
        Lightning callbacks, and hooks called as hook(model, epoch, step) after each validation
        at the end of an epoch. Random numbers hooks draw do not change the training.
    render_sample : callable, optional
        Called as render_sample(model, recording, path) every `sample_every_epochs` and at the
        end, to write a continuation into the run's folder: see `desc.audio_sampler`. It is tried
        once before the run begins.
    clock : callable, optional
        Returns seconds; tells when `max_time_s` is over.

    Returns
    -------
    RunRecord
        Its status is `finished` (all epochs, or stopped early) or `stopped` (by the time limit),
        `schedule["ended"]` the reason.

    Raises
    ------
    ConfigurationError
        If settings contradict each other, or those of a resumed run.
    CorpusError
        If too few frames are left to learn from.
    DescError
        If training diverges; earlier checkpoints are kept.
    TrainingInterruptedError
        After Ctrl-C, once the run is saved; it is a KeyboardInterrupt.
    """
    for callback in callbacks:
        rule = "be a Lightning callback or a function of (model, epoch, step)"
        check(isinstance(callback, pl.Callback) or callable(callback), "callbacks", callback, rule)
    tell = note or _silent
    recordings = Recordings(corpus, validation, render_sample)
    with preserved_randomness(), quiet_lightning():
        if resume_run_id is None:
            job = new_job(recordings, model, training, run, given=given, tell=tell, clock=clock)
        else:
            record = resolve_run(resume_run_id, run)
            if not (record.folder / RUN_FILE).is_file():
                raise RunNotFoundError(
                    f"{resume_run_id}: holds no {RUN_FILE}; a run is gone on with from its folder"
                )
            training = own_settings(training, record.train_config, given)
            own_settings(model, record.model_config, given)
            if record.status == "finished":
                tell(
                    f"run {record.run_id} is at its end ({_reason(record)}); nothing is left to do"
                )
                return record
            record = replace(record, train_config=training)
            job = resumed_job(recordings, record, run, tell)
        with job.log:
            return _run(
                job, progress, tell, [*callbacks, *_samples(job, render_sample, tell)], clock
            )


def _samples(job: Job, render: SampleRenderer | None, tell: Note) -> list[AudioSamples]:
    """Return the hook that writes audio samples, if there is one."""
    if render is None:
        return []
    training = job.record.train_config
    return [
        AudioSamples(
            render,
            job.sample_context,
            every_epochs=training.sample_every_epochs,
            save_interval=training.save_interval,
            schedule=job.schedule,
            log=job.log,
            note=tell,
        )
    ]


def _run(
    job: Job,
    progress: Progress | None,
    tell: Note,
    callbacks: Sequence[pl.Callback | TrainingHook],
    clock: Clock,
) -> RunRecord:
    """Fit, and write down how it ended."""
    training = job.record.train_config
    began = clock()
    limit_s = training.max_time_s
    deadline = None if limit_s is None else began + limit_s - job.spent_s
    ending = Ending(clock, deadline, job.schedule.realism_s)
    checkpoints = Checkpoints(
        job.log.folder / CHECKPOINTS,
        job.data.validation,
        save_interval=training.save_interval,
        patience=training.patience if training.early_stopping else None,
        ending=ending,
        monitor=training.monitor,
        realism=job.realism,
        hooks=[c for c in callbacks if not isinstance(c, pl.Callback)],
    )
    module = DescriptorTraining(job.network, job.schedule, training, job.free_running, job.state)
    # In this order: what is counted and saved comes before what may fail.
    ordered = [StepCounter(), MetricRows(clock), checkpoints]
    ordered += [c for c in callbacks if isinstance(c, pl.Callback)]
    ordered += [] if progress is None else [ProgressReport(progress)]
    try:
        if training.early_stopping and job.state.waited >= training.patience:
            ending.reason = EARLY  # the run was ended after it was decided, before it was written
        else:
            with ending.on_signals():
                _fit(job, module, ending, ordered)
    except BaseException:
        record = _record(job, module, checkpoints, FAILED, clock() - began)
        tell(f"run {record.run_id} failed at step {module.state.step}; its checkpoints are kept")
        job.log.finish(record, exit_code=1)
        raise
    at_end = module.state.step == job.schedule.total_steps
    reason = FINISHED if at_end else ending.reason or FINISHED
    record = _record(job, module, checkpoints, reason, clock() - began)
    line = ending_line(record, module.state.step, job.schedule.total_steps)
    if line is not None:
        tell(line)
    if "val_loss" in record.metrics:
        head = record.model_config.head
        tell(verdict(record.metrics["val_loss"], record.metrics["var_loss"], head))
    job.log.finish(record)
    if ending.reason == INTERRUPTED or ending.signal is not None:
        _interrupt(ending, record.run_id)
    return record


def _fit(
    job: Job, module: DescriptorTraining, ending: Ending, callbacks: list[pl.Callback]
) -> None:
    """Run the trainer; an interruption is a reason to end, not an error."""
    training = job.record.train_config
    trainer = build_trainer(training, job.log.folder, callbacks, RunLogger(job.log))
    job.data.begin(job.state, job.schedule.total_steps - job.state.step)
    torch.manual_seed(training.seed)
    try:
        run_trainer(trainer, module, job.data, job.checkpoint)
    except KeyboardInterrupt:
        ending.reason = INTERRUPTED
    except SystemExit:
        # Lightning's answer to SIGTERM, once the run is saved
        if ending.reason != INTERRUPTED:
            raise


def _interrupt(ending: Ending, run_id: str) -> None:
    """Let the signal that ended the run have its effect on the program."""
    if ending.signal is not None and ending.signal != signal.SIGINT:
        signal.raise_signal(ending.signal)
    raise TrainingInterruptedError(run_id)


def _record(
    job: Job, module: DescriptorTraining, checkpoints: Checkpoints, reason: str, fit_s: float
) -> RunRecord:
    """Return the record with what came out; `reason` is why the run ended."""
    state, record = module.state, job.record
    measured = [(state.best_score, state.best_step, state.best_figures)]
    measured += [
        (values[checkpoints.monitor], step, values)
        for step, values in checkpoints.figures.items()
        if math.isfinite(values.get(checkpoints.monitor, math.inf))
    ]
    best_score, best_step, best = min(measured, key=lambda one: one[:2])
    metrics = {name: v for name, v in record.metrics.items() if not name.startswith("val_")} | {
        "steps": float(state.step),
        "epochs": float(state.epoch),
        "fit_s": record.metrics.get("fit_s", 0.0) + fit_s,
    }
    if job.realism is not None:
        metrics["realism_s"] = record.metrics.get("realism_s", 0.0) + checkpoints.realism_s
    if math.isfinite(best_score):
        metrics |= best | figures("val", best["val_loss"], record.model_config.head)
        metrics["best_step"] = float(best_step)
    status = {FINISHED: "finished", EARLY: "finished", FAILED: FAILED}.get(reason, "stopped")
    schedule = record.schedule | {"ended": reason}
    return replace(record, status=status, metrics=metrics, schedule=schedule)


def _reason(record: RunRecord) -> str:
    return str(record.schedule.get("ended", record.status))


def _silent(line: str) -> None:
    """Tell nobody."""

"""What training tells its user, in plain words."""

from __future__ import annotations

import math

from desc.descriptors.extraction import variant_of
from desc.runs import RunRecord
from desc.training.ending import EARLY, INTERRUPTED, TIME
from desc.training.realism import Realism
from desc.training.schedule import Schedule

DETERMINISTIC = "mse"  # the head whose score is a squared error and no density


def duration(seconds: float) -> str:
    """Return a length of time as one says it."""
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"


def plan_line(record: RunRecord, duration_s: float, n_steps: int) -> str:
    """Say what a run is going to do, and how long it will take.

    Parameters
    ----------
    record : RunRecord
        With its schedule.
    duration_s : float
        Length of the training recordings, seconds.
    n_steps : int
        Steps of all its epochs.
    """
    training, schedule = record.train_config, Schedule.from_dict(record.schedule)
    played = [variant_of(digest) for digest in record.training_files]
    n, speeds = (len({each[i] for each in played}) for i in (0, 1))
    learned = f"{n} recording{'s' * (n != 1)}" + f" at {speeds} speeds" * (speeds > 1)
    steps = f"{schedule.total_steps} steps"
    if schedule.total_steps == n_steps:
        steps = f"{training.epochs} epochs, {steps}"
    early = ", or less if it stops early" if training.early_stopping else ""
    return (
        f"training {record.model_config.selected_model} on {learned} "
        f"({duration(duration_s)}), validating on {len(record.validation_files)}: {steps}, "
        f"about {duration(schedule.duration_s())}{early}"
    )


def resumption_line(record: RunRecord, schedule: Schedule, step: int) -> str:
    """Say where a run goes on, and how long it will take."""
    return (
        f"going on with run {record.run_id} after step {step} of {schedule.total_steps}: about "
        f"{duration(schedule.duration_s(step))} to go"
    )


def realism_line(realism: Realism, seconds: float) -> str:
    """Say what is measured between steps, what that takes, and what real music reaches."""
    n = len(realism.scorer.excerpts)
    floor = realism.floor()["val_fd"]
    return (
        f"every {realism.every_epochs} epochs {n} validation excerpts are continued to see how "
        f"real that is, {seconds:.1f} s each time; real music has a val_fd of {floor:.1f}"
    )


def ending_line(record: RunRecord, step: int, total_steps: int) -> str | None:
    """Say why a run ended before its last step; None where it did not."""
    reason = str(record.schedule["ended"])
    if reason == EARLY:
        monitor = record.train_config.monitor
        what = "the validation loss" if monitor == "val_loss" else monitor
        return f"stopped early at step {step} of {total_steps}: {what} no longer falls"
    return stopped_line(record.run_id, reason, step, total_steps)


def stopped_line(run_id: str, reason: str, step: int, total_steps: int) -> str | None:
    """Say that a run was stopped by the time limit or by Ctrl-C; None where it was not."""
    if reason not in (TIME, INTERRUPTED):
        return None
    what = "the time is over" if reason == TIME else "interrupted"
    saved = "" if step else ", with nothing learned yet"
    where = f"at step {step} of {total_steps}"
    return f"{what} {where}{saved}; to go on: --resume_run_id {run_id}"


def verdict(loss: float, baseline: float, head: str) -> str:
    """Say how a model compares with the linear baseline.

    Parameters
    ----------
    loss, baseline : float
        Mean scores of the same frames of the validation recordings, one frame ahead; `baseline`
        is NaN where there is none.
    head : str
        Decides the unit.
    """
    if math.isnan(baseline):
        return (
            "the validation recordings are too short or too still to compare the model with the "
            "linear baseline (VAR)"
        )
    unit = "half squared error" if head == DETERMINISTIC else "nats"
    figures = f"{loss:.2f} against {baseline:.2f} {unit} per frame (lower is better)"
    ours, theirs = round(loss, 2), round(baseline, 2)
    how = "better than" if ours < theirs else "worse than" if ours > theirs else "only as well as"
    advice = "" if ours < theirs else "; more recordings or a longer training may help"
    return (
        f"one frame ahead, the model predicts the validation recordings {how} the linear baseline "
        f"(VAR): {figures}{advice}"
    )

"""Length of a run, planned at its start: all epochs, or as many steps as the time limit allows."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any

import torch

from desc.configuration import TrainConfig
from desc.engine import stopping
from desc.engine.fabric import reduced
from desc.engine.optimization import LearningRate
from desc.engine.randomness import preserved_randomness
from desc.errors import CheckpointError
from desc.progress import duration
from desc.training.task import DescriptorTask, is_due

logger = logging.getLogger(__name__)

WARMUP_SHARE = 0.05  # of the run's steps
WARMUP_STEPS = 200  # at the most: AdamW's averages have settled by then
LAST_SHARE = 0.01  # of the highest learning rate, at the last step
CHECK_SHARE = 0.05  # of max_time_s that validations and measurements of realism may take
TIME_SHARE = 0.92  # of max_time_s that a run is planned for: machines get slower when busy or hot
UNTIMED_STEPS = 2  # first steps of a trial, which are not counted
TRIAL_STEPS, TRIAL_S = 12, 1.0  # after which a speed that is only shown is known well enough
TIMED_STEPS, TIMED_SHARE, TIMED_S = 400, 0.03, 10.0  # one that decides: a share of max_time_s
TRIAL_BATCHES = 4  # of validation


@dataclass(frozen=True)
class Schedule:
    """Length of a run, its peak learning rate, the measured speed, and when it is validated.

    Attributes
    ----------
    total_steps : int
        Optimizer steps of the whole run.
    learning_rate : float
        Peak learning rate.
    step_s : float
        Seconds per step, with a share of everything between steps.
    realism_s : float
        Estimated seconds per measurement of realism; 0 if it is not measured.
    save_interval, realism_every_epochs : int or None
        Intervals in epochs that take the place of the settings' under a time limit; None: none.
    """

    total_steps: int
    learning_rate: float
    step_s: float = 0.0
    realism_s: float = 0.0
    save_interval: int | None = None
    realism_every_epochs: int | None = None

    def applied(self, training: TrainConfig) -> TrainConfig:
        """Return settings with the intervals of the schedule."""
        names = ("save_interval", "realism_every_epochs")
        own = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(training, **own)

    @property
    def rates(self) -> LearningRate:
        """The learning rate of every step: a short warmup, then half a cosine down."""
        warmup = max(1, min(WARMUP_STEPS, round(WARMUP_SHARE * self.total_steps)))
        return LearningRate(self.learning_rate, self.total_steps, warmup, LAST_SHARE)

    def duration_s(self, step: int = 0) -> float:
        """Return the projected seconds from `step` to the end."""
        return (self.total_steps - step) * self.step_s

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for the run's record."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Schedule:
        """Undo `to_dict`; other keys are ignored.

        Raises
        ------
        CheckpointError
            If a value is missing.
        """
        try:
            return cls(
                int(values["total_steps"]),
                float(values["learning_rate"]),
                float(values["step_s"]),
                float(values.get("realism_s", 0.0)),
                values.get("save_interval"),
                values.get("realism_every_epochs"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the run's schedule is damaged: {values}") from error


@dataclass(frozen=True)
class Interlude:
    """Periodic work after validations and at the end: interval in epochs, and seconds."""

    every_epochs: int
    seconds: float


@dataclass(frozen=True)
class Speed:
    """Seconds per step and per validation with saving, and the periodic work."""

    step_s: float
    validation_s: float
    interludes: tuple[Interlude, ...] = ()

    def between_steps_s(self, total: int, ends: Sequence[int], save_interval: int) -> float:
        """Return the seconds that a run of `total` steps spends outside of steps.

        Parameters
        ----------
        total : int
        ends : sequence of int
            Last step of each possible epoch.
        save_interval : int
            Epochs between two validations.
        """
        epochs = sum(end < total for end in ends)
        planned = range(save_interval, epochs + 1, save_interval)
        seconds = (len(planned) + 1) * self.validation_s
        for interlude in self.interludes:
            n = sum(is_due(epoch, interlude.every_epochs, save_interval) for epoch in planned) + 1
            seconds += n * interlude.seconds
        return seconds


def plan_schedule(
    steps_per_epoch: Sequence[int],
    learning_rate: float,
    save_interval: int,
    speed: Speed,
    time_left_s: float | None = None,
) -> Schedule:
    """Plan the length of a run: all epochs, or as many steps as fit into the time.

    Parameters
    ----------
    steps_per_epoch : sequence of int
        Steps of each possible epoch.
    learning_rate : float
        Peak learning rate.
    save_interval : int
        Epochs between two validations.
    speed : Speed
        Measured speed.
    time_left_s : float, optional
        Seconds available; no limit if None.
    """
    ends = list(accumulate(steps_per_epoch))
    total = ends[-1]

    def duration_s(steps: int) -> float:
        return steps * speed.step_s + speed.between_steps_s(steps, ends, save_interval)

    if time_left_s is not None and duration_s(total) > TIME_SHARE * time_left_s:
        total = _most_within(TIME_SHARE * time_left_s, total, duration_s)
    return Schedule(total, learning_rate, duration_s(total) / total)


def _most_within(seconds: float, most: int, duration_s: Callable[[int], float]) -> int:
    """Return the largest number of steps, at least 1, that fits into `seconds`."""
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if duration_s(middle) <= seconds else (low, middle - 1)
    return low


def bounded_interval(every_epochs: int, epochs: int, check_s: float, allowed_s: float) -> int:
    """Return the shortest interval between checks that together take at most `allowed_s`.

    Parameters
    ----------
    every_epochs : int
        The interval that was asked for, at least 1.
    epochs : int
        Epochs that fit into the time without checks.
    check_s : float
        Seconds of a check.
    allowed_s : float
        Seconds of all checks.

    Returns
    -------
    int
        Epochs, at least `every_epochs`; 0 if not even one check fits.
    """
    most = int(max(0.0, allowed_s) / max(check_s, 1e-9))
    return max(every_epochs, epochs // most + 1) if most else 0


def bounded_checks(
    training: TrainConfig, epochs: int, validation_s: float, realism_s: float, limit_s: float
) -> TrainConfig:
    """Return the settings with intervals at which checks take `CHECK_SHARE` of the time limit.

    Realism that early stopping or the choice of the best model depend on is measured as told.

    Parameters
    ----------
    training : TrainConfig
    epochs : int
        Epochs that fit into the time without checks.
    validation_s, realism_s : float
        Seconds of a validation, and of a measurement of realism; 0 if it is not measured.
    limit_s : float
        Time limit of the run.
    """
    allowed_s = CHECK_SHARE * limit_s
    interval = bounded_interval(training.save_interval, epochs, validation_s, allowed_s / 2)
    interval = interval or max(epochs, training.save_interval)  # once, at the end
    if interval > training.save_interval:
        logger.info("validating every %d epochs, as often as the time limit allows", interval)
    training = replace(training, save_interval=interval)
    if not realism_s or training.monitor != "val_loss":
        return training
    left_s = allowed_s - epochs // interval * validation_s
    every = bounded_interval(training.realism_every_epochs, epochs, realism_s, left_s)
    if not every:
        logger.info(
            "realism is not measured: a measurement takes %s, and checks may take %.0f %% of the "
            "time limit, %s",
            *(duration(realism_s), 100 * CHECK_SHARE, duration(allowed_s)),
        )
    return replace(training, realism_every_epochs=every)


def measure_speed(task: DescriptorTask, max_time_s: float | None) -> Speed:
    """Train for a few steps to measure the speed, then restore the initial state.

    Parameters
    ----------
    task : DescriptorTask
    max_time_s : float, optional
        The run's time limit; with a limit, the measurement takes longer.
    """
    most, limit_s = TRIAL_STEPS, TRIAL_S
    if max_time_s is not None:
        most, limit_s = TIMED_STEPS, min(TIMED_S, max(TRIAL_S, TIMED_SHARE * max_time_s))
    most = min(most, task.config.known_epochs * task.data.steps_per_epoch(1)[0])
    before = copy.deepcopy(task.state_dict())
    with preserved_randomness():
        times = [stopping.now()]
        spent_s = torch.zeros(())
        while len(times) <= most and (len(times) <= UNTIMED_STEPS or spent_s < limit_s):
            task.step(len(times) - 1, 0)
            wait_for(task.device)
            times.append(stopping.now())
            spent_s = torch.tensor(times[-1] - times[0], device=task.device)
            spent_s = reduced(task.fabric, spent_s, "max")  # the same in all processes
        timed = times[min(UNTIMED_STEPS, len(times) - 2) :]
        step_s = (timed[-1] - timed[0]) / (len(timed) - 1)
        some = copy.copy(task.data.validation)
        some.rows = some.rows[: TRIAL_BATCHES * some.batch_size]
        began = stopping.now()
        task.validation_loss(some)
        validation_s = (stopping.now() - began) * len(task.data.validation) / len(some)
    task.load_state_dict(before)
    return Speed(step_s, validation_s)


def wait_for(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()

"""The length of a run and its learning rate: fixed at the start, a function of the step alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from desc.errors import CheckpointError

WARMUP_SHARE = 0.05  # of the run's steps
WARMUP_STEPS = 200  # at the most: AdamW's averages have settled by then
LAST_FACTOR = 0.01  # of the highest learning rate, at the last step
TIME_SHARE = 0.92  # of max_time_s that a run is planned for: machines get slower when busy or hot


@dataclass(frozen=True)
class Schedule:
    """How long a run is and how large its steps are.

    Attributes
    ----------
    total_steps : int
        Optimiser steps of the whole run.
    learning_rate : float
        The highest one.
    step_s : float
        Seconds per step as measured at the start, with a share of all that lies between steps.
    realism_s : float
        Seconds that telling how real continuations are takes once; 0 where nobody asks.
    """

    total_steps: int
    learning_rate: float
    step_s: float = 0.0
    realism_s: float = 0.0

    @property
    def warmup_steps(self) -> int:
        """Steps until the learning rate is highest."""
        return max(1, min(WARMUP_STEPS, round(WARMUP_SHARE * self.total_steps)))

    def rate(self, step: int) -> float:
        """Return the learning rate of the step after `step` steps.

        A straight line up, then half a cosine down (Loshchilov & Hutter 2017).
        """
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        left = max(1, self.total_steps - self.warmup_steps)
        done = min(1.0, (step - self.warmup_steps) / left)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * (LAST_FACTOR + (1 - LAST_FACTOR) * cosine)

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
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the run's schedule is damaged: {values}") from error


def is_due(epoch: int, every_epochs: int, save_interval: int) -> bool:
    """Tell whether what is done every so many epochs is done after a planned validation.

    Where no validation falls on the epoch itself, the next one counts.

    Parameters
    ----------
    epoch : int
        Epochs done, a multiple of `save_interval`.
    every_epochs : int
        At least 1.
    save_interval : int
        Epochs between two validations.
    """
    return epoch % every_epochs < save_interval


@dataclass(frozen=True)
class Interlude:
    """What is done after some planned validations, and at the end: how often, and its seconds."""

    every_epochs: int
    seconds: float


@dataclass(frozen=True)
class Speed:
    """What a step, a validation and the saving after it take, in seconds, and interludes."""

    step_s: float
    validation_s: float
    interludes: tuple[Interlude, ...] = ()

    def between_steps_s(self, total: int, ends: Sequence[int], save_interval: int) -> float:
        """Return the seconds that a run of `total` steps spends between them.

        Parameters
        ----------
        total : int
        ends : sequence of int
            The last step of each epoch there may be.
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
    """Fix the length of a run: all epochs, or what fits into the time, whichever is shorter.

    Parameters
    ----------
    steps_per_epoch : sequence of int
        Steps of each epoch there may be.
    learning_rate : float
        The highest one.
    save_interval : int
        Epochs between two validations.
    speed : Speed
        As measured.
    time_left_s : float, optional
        Seconds there are; without it time does not matter.
    """
    ends = list(accumulate(steps_per_epoch))
    total = ends[-1]

    def duration_s(steps: int) -> float:
        return steps * speed.step_s + speed.between_steps_s(steps, ends, save_interval)

    if time_left_s is not None and duration_s(total) > TIME_SHARE * time_left_s:
        total = _most_within(TIME_SHARE * time_left_s, total, duration_s)
    return Schedule(total, learning_rate, duration_s(total) / total)


def _most_within(seconds: float, most: int, duration_s: Callable[[int], float]) -> int:
    """Return the most steps, at least 1, whose duration fits into `seconds`."""
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if duration_s(middle) <= seconds else (low, middle - 1)
    return low

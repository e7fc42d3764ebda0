"""The length of a run and its learning rate: fixed at the start, a function of the step alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        Seconds per step as measured at the start, a share of the validations included.
    """

    total_steps: int
    learning_rate: float
    step_s: float = 0.0

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
                int(values["total_steps"]), float(values["learning_rate"]), float(values["step_s"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the run's schedule is damaged: {values}") from error


@dataclass(frozen=True)
class Speed:
    """What a step, a validation and the saving after it take, in seconds."""

    step_s: float
    validation_s: float


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
    total = sum(steps_per_epoch)
    n_validations = math.ceil(len(steps_per_epoch) / save_interval)
    step_s = speed.step_s + speed.validation_s * n_validations / total
    if time_left_s is None or total * step_s <= TIME_SHARE * time_left_s:
        return Schedule(total, learning_rate, step_s)
    total = _steps_within(
        TIME_SHARE * time_left_s, list(accumulate(steps_per_epoch)), save_interval, speed
    )
    n_validations = _validations(total, list(accumulate(steps_per_epoch)), save_interval)
    return Schedule(total, learning_rate, speed.step_s + speed.validation_s * n_validations / total)


def _validations(total: int, ends: Sequence[int], save_interval: int) -> int:
    """Return how many validations a run of `total` steps holds; the one at its end is one."""
    epochs = sum(end < total for end in ends)
    return epochs // save_interval + 1


def _steps_within(seconds: float, ends: Sequence[int], save_interval: int, speed: Speed) -> int:
    """Return the most steps, at least 1, that fit into `seconds` with their validations."""
    low, high = 1, ends[-1]
    while low < high:
        middle = (low + high + 1) // 2
        n = _validations(middle, ends, save_interval)
        fits = middle * speed.step_s + n * speed.validation_s <= seconds
        low, high = (middle, high) if fits else (low, middle - 1)
    return low

"""Hooks into the steps of a training."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager

from desc.progress import reporting


def after_step(step: int, do: Callable[[], object]) -> AbstractContextManager[None]:
    """Call `do` after a step of the trainings inside the block."""

    def reporter(stage: str, done: int, total: int) -> None:
        if stage == "train" and done == step:
            do()

    return reporting(reporter)


def signal_after(step: int, number: int = signal.SIGINT) -> AbstractContextManager[None]:
    """Send this process a signal after a step."""
    return after_step(step, lambda: os.kill(os.getpid(), number))

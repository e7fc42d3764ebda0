"""Stop condition of a training: early stopping, the time limit, Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = tuple(n for n in signal.Signals if n.name in ("SIGINT", "SIGTERM", "SIGHUP"))
"""Signals that end a process; SIGHUP, sent when the terminal closes, is not there on Windows."""
FINISHED = "all steps done"
EARLY = "stopped early"
TIME = "time limit"
INTERRUPTED = "interrupted"
FAILED = "failed"


def now() -> float:
    """Return the time in seconds on the clock of the time limits."""
    return time.monotonic()


class StopCondition:
    """Stop condition of a training, with the reason once it holds.

    Parameters
    ----------
    deadline : float, optional
        Value of `now` by which the training must end, including the last validation.
    reserve_s : float
        Seconds reserved for the last validation: the longest one so far.

    Attributes
    ----------
    reason : str or None
        `EARLY`, `TIME`, `INTERRUPTED` or None.
    signal : int or None
        The signal that asked this process to stop.
    """

    def __init__(self, deadline: float | None = None, reserve_s: float = 0.0) -> None:
        self.deadline, self.reserve_s = deadline, reserve_s
        self.reason: str | None = None
        self.signal: int | None = None

    def check(self) -> None:
        """Set the reason where a signal has arrived or the time limit is reached."""
        if self.reason is not None:
            return
        if self.signal is not None:
            self.reason = INTERRUPTED
        elif self.deadline is not None and now() + self.reserve_s >= self.deadline:
            self.reason = TIME

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Note Ctrl-C, SIGTERM and SIGHUP for the next `check`; a second signal acts at once.

        Only `check` changes the reason, so that all processes stop after the same step. Signals
        reach the main thread only; in other threads this does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former: dict[int, Any] = {}

        def restore() -> None:
            for number, handler in former.items():
                # None: a handler that was not set from Python and cannot be restored
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

        def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self.signal = number
            restore()

        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                former[number] = signal.signal(number, handle)
        try:
            yield
        finally:
            restore()


def is_interrupt(number: int | None) -> bool:
    """Return whether a signal is Ctrl-C or handled like it; True for None."""
    if number in (None, signal.SIGINT):
        return True
    return signal.getsignal(number) is signal.default_int_handler


def stop_message(run_id: str, reason: str, step: int, total_steps: int) -> str | None:
    """Return a line on why a run stopped; None if it finished."""
    if reason not in (TIME, INTERRUPTED):
        return None
    what = "time limit reached" if reason == TIME else "interrupted"
    saved = "" if step else ", before the first step was saved"
    return f"{what} at step {step} of {total_steps}{saved}; run {run_id} can be resumed"

"""`Ending`: why a run ends before its last step: early stopping, the time limit or Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Clock = Callable[[], float]
"""Returns seconds, like `time.monotonic`."""

EARLY = "stopped early"
TIME = "time limit"
INTERRUPTED = "interrupted"


class Ending:
    """The reason to end, once there is one.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    deadline : float, optional
        The clock's time at which the run must have ended, its last validation included.
    validation_s : float
        What that will take, until one has been made.

    Attributes
    ----------
    reason : str or None
        `EARLY`, `TIME`, `INTERRUPTED`, or None while there is none.
    validation_s : float
        What the last validation took; so much is kept free for the one at the end.
    signal : int or None
        The signal that interrupted.
    """

    def __init__(
        self, clock: Clock, deadline: float | None = None, validation_s: float = 0.0
    ) -> None:
        self.clock = clock
        self.deadline = deadline
        self.reason: str | None = None
        self.validation_s = validation_s
        self.signal: int | None = None

    def poll(self) -> str | None:
        """Return the reason to end now, or None."""
        limited = self.reason is None and self.deadline is not None
        if limited and self.clock() + self.validation_s >= (self.deadline or 0.0):
            self.reason = TIME
        return self.reason

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM end the run after the step at hand; a second one at once.

        Signals can be received in the main thread only; elsewhere nothing is changed.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former: dict[int, Any] = {}

        def restore() -> None:
            for number, handler in former.items():
                # None: a handler not made by Python, which cannot be put back
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

        def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self.reason, self.signal = INTERRUPTED, number
            restore()

        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                former[number] = signal.signal(number, handle)
        try:
            yield
        finally:
            restore()

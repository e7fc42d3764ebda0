"""Progress of long stages, sent to one reporter; times as texts.

Stages call `report`. Callers that show progress wrap the stage in `reporting`; otherwise nothing is
shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Reporter = Callable[[str, int, int], None]
"""Called as reporter(stage, done, total)."""

_reporter: ContextVar[Reporter | None] = ContextVar("desc_progress", default=None)


@contextmanager
def reporting(reporter: Reporter | None) -> Iterator[None]:
    """Send the progress of everything inside the block to `reporter`; None shows nothing."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


def report(stage: str, done: int, total: int) -> None:
    """Report that `done` of `total` steps of a stage are done.

    Parameters
    ----------
    stage : str
        Name of the stage, as `extract`; a console shows a label of its own for it.
    done, total : int
        Steps done and steps in all.
    """
    reporter = _reporter.get()
    if reporter is not None:
        reporter(stage, done, total)


@contextmanager
def part(index: int, count: int) -> Iterator[None]:
    """Report the stages inside the block as part `index` (from 0) of `count` equal parts."""
    outer = _reporter.get()

    def scaled(stage: str, done: int, total: int) -> None:
        if outer is not None:
            outer(stage, index * total + done, count * total)

    with reporting(scaled):
        yield


def clock(seconds: float) -> str:
    """Return a time or a length as `5:21` or `1:05:21`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """Format a duration as `40 s`, `12 min`, `3.5 h` or `4 days`."""
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"

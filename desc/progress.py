"""Progress of long stages, sent to one reporter.

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

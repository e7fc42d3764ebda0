"""Console output: progress bars on a terminal and in a notebook, plain lines in a pipe."""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, TextIO

from desc.devices import is_first_process
from desc.progress import reporting

STAGES = {  # name of a stage in progress reports: label and unit
    "compose": ("making the demo corpus", "files"),
    "identify": ("checking the cache", "files"),
    "extract": ("extracting descriptors", "files"),
    "read": ("reading recordings", "files"),
    "points": ("preparing the database", "rows"),
    "index": ("indexing the database", "rows"),
    "train": ("training", "steps"),
    "generate": ("generating", "files"),
    "predict": ("predicting", "frames"),
    "one step": ("scoring one step ahead", "runs"),
    "continue": ("continuing excerpts", "continuations"),
    "render": ("evaluating rendered excerpts", "excerpts"),
    "evaluate": ("evaluating", "rows"),
    "rendering": ("rendering", "samples"),
    "export": ("exporting", "files"),
}


_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
_ESCAPED |= {code: f"\\u{code:04x}" for code in (*range(0x2028, 0x202F), *range(0x2066, 0x206A))}
"""Characters that command a terminal or change the direction of writing, but for tab and newline;
names of files may hold them."""


@contextmanager
def printing(stream: TextIO) -> Iterator[None]:
    """Print to a stream in this block; once its terminal has been closed, print nowhere."""
    try:
        yield
    except OSError as error:
        number = stream.fileno()
        if error.errno != errno.EIO or not stat.S_ISCHR(os.fstat(number).st_mode):
            raise
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), number)


def show(text: str, stream: TextIO | None = None) -> None:
    """Print a text, with control characters shown as escapes; commands print by this."""
    stream = stream or sys.stdout
    with printing(stream):
        print(text.translate(_ESCAPED), file=stream, flush=True)


def counted(n: float, noun: str) -> str:
    """Return a number and a noun, as `1 file` or `2 files`."""
    return f"{n:.0f} {noun}" if n == 1 else f"{n:.0f} {noun}s"


class Console:
    """Prints results to standard output, notes and progress to standard error.

    While it is entered (`with Console() as console:`), what the library logs under `desc` from
    level INFO on is printed as a note, and the library's progress is shown.

    Parameters
    ----------
    quiet : bool
        Show neither notes nor progress.
    bars : bool, optional
        Whether progress is drawn as bars; by default where standard error is a terminal.
    """

    def __init__(self, quiet: bool = False, *, bars: bool | None = None) -> None:
        self._silent = not is_first_process()
        self.quiet = quiet or self._silent
        self._bars = sys.stderr.isatty() if bars is None else bars
        self._bar: Any = None
        self._stage = ""
        self._announced: set[tuple[str, int]] = set()
        self._entered = ExitStack()

    def result(self, line: str) -> None:
        """Print a line of the result; of several processes only the first prints."""
        if self._silent:
            return
        self._close()
        show(line)

    def run(self, run_id: str, *, is_stopped: bool) -> None:
        """Print the id of a run in the last line, and how to resume it if it was stopped."""
        if is_stopped:
            self.note(f"resume with --resume_run_id {run_id}")
        self.result(f"run id: {run_id}")

    def note(self, line: str) -> None:
        """Print an explanatory line, unless quiet."""
        if self.quiet:
            return
        self._close()
        show(line, sys.stderr)

    def error(self, line: str) -> None:
        """Print an error, even when quiet."""
        self._close()
        show(line, sys.stderr)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a stage are done."""
        if self.quiet:
            return
        if not self._bars:
            self._plain(stage, total)
            return
        if self._bar is None or stage != self._stage or self._bar.total != total:
            self._close()
            from tqdm.auto import tqdm

            label, unit = STAGES.get(stage, (stage, "steps"))
            self._bar = tqdm(total=total, desc=label, unit=f" {unit}", file=sys.stderr)
            self._stage = stage
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._close()

    def _plain(self, stage: str, total: int) -> None:
        if (stage, total) not in self._announced:
            self._announced.add((stage, total))
            label, unit = STAGES.get(stage, (stage, "steps"))
            show(f"{label}: {counted(total, unit.removesuffix('s'))}", sys.stderr)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            self._stage = ""

    def __enter__(self) -> Console:
        logger, handler = logging.getLogger("desc"), _Notes(self)
        level = logger.level
        logger.addHandler(handler)
        self._entered.callback(logger.removeHandler, handler)
        if logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)
            self._entered.callback(logger.setLevel, level)
        self._entered.enter_context(reporting(self.progress))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.close()
        self._close()


class _Notes(logging.Handler):
    """Prints log records as notes of a console."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._warned: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message alone; a warning once."""
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            if message in self._warned:
                return
            self._warned.add(message)
        self._console.note(message)

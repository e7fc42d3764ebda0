"""The studio's worker: a process that continues recordings, with model and sounds kept warm.

It reads jobs from standard input, one JSON object a line, and writes lines of JSON: `["progress",
[stage, done, total]]`, `["note", text]`, and at the end `["done", value]` or `["failed", text]`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from desc import edits
from desc.corpus import Corpus, open_corpus, with_variants
from desc.database import DescriptorDatabase
from desc.demo.corpus import write_corpus
from desc.descriptors.config import DescriptorConfig
from desc.errors import DescError
from desc.matching import Matcher
from desc.pipeline import Continuer
from desc.prediction import Predictor
from desc.progress import reporting
from desc.runs import RunRecord
from desc.storage import DescriptorStore
from desc.studio.controls import TakeSettings

KEPT = 4
"""Matchers kept, the last ones used."""
REPORT_S = 0.1
"""Time between two lines of progress, seconds."""


class Warm:
    """Models, sounds and matchers that the last jobs used."""

    def __init__(self) -> None:
        self._predictors: dict[tuple[str, int], Predictor] = {}
        self._matchers: dict[tuple[Any, ...], Matcher] = {}

    def predictor(self, run: str) -> Predictor:
        """Return the best model of a run, loaded anew if it has changed."""
        record = RunRecord.load(Path(run))
        key = run, record.checkpoint("best").stat().st_mtime_ns
        if key not in self._predictors:
            self._predictors = {key: Predictor.from_run(record)}
        return self._predictors[key]

    def matcher(self, corpus: Corpus, store: DescriptorStore, settings: TakeSettings) -> Matcher:
        """Return the matcher of a corpus and settings."""
        key = (
            *(corpus.digest, str(corpus.root), settings.speeds),
            *(settings.query, settings.selection, settings.rendering),
        )
        found = self._matchers.pop(key, None)
        if found is None:
            corpus = with_variants(corpus, settings.speeds, store)
            found = Matcher(
                DescriptorDatabase.from_corpus(corpus, store),
                query=settings.query,
                selection=settings.selection,
                rendering=settings.rendering,
            )
        self._matchers[key] = found
        for old in list(self._matchers)[:-KEPT]:
            del self._matchers[old]
        return found


def make_take(
    warm: Warm,
    *,
    run: str,
    recording: str,
    sounds: str,
    include: list[str],
    settings: dict[str, Any],
    takes_dir: str,
    cache_dir: str,
) -> dict[str, Any]:
    """Continue a recording; return source and number of the take.

    Parameters
    ----------
    warm : Warm
    run : str
        Folder of the run.
    recording : str
        The recording.
    sounds : str
        Folder of the sounds.
    include : list of str
        Patterns of the sounds that are used; none: all.
    settings : dict
        See `TakeSettings.read`.
    takes_dir : str
        Folder of the takes of all recordings.
    cache_dir : str
        The cache.
    """
    wanted, store = TakeSettings.read(settings), DescriptorStore(cache_dir)
    predictor = warm.predictor(run)
    recordings = open_corpus(recording, predictor.config, store)
    corpus = open_corpus(sounds, predictor.config, store, include=include).with_sound()
    matcher = warm.matcher(corpus, store, wanted)
    continuer = Continuer(predictor, matcher, wanted.prediction, store)
    result = continuer.run(recordings, takes_dir, takes=True)
    for failure in result.failures:
        raise DescError(f"{failure.source}: not continued: {failure.reason}")
    (outcome,) = result.outcomes
    number = int(outcome.folder.name)
    return {"source": outcome.source, "number": number, "status": outcome.status}


def open_sounds(
    warm: Warm,  # noqa: ARG001
    *,
    sounds: str,
    files: str,
    cache_dir: str,
) -> dict[str, Any]:
    """Extract a folder's descriptors into the cache, so that its map opens at once."""
    corpus = open_corpus(sounds, DescriptorConfig(), DescriptorStore(cache_dir))
    return {"sounds": sounds, "files": files, "n_files": len(corpus.sequences)}


def make_demo(warm: Warm, *, folder: str) -> dict[str, Any]:  # noqa: ARG001
    """Synthesise the demo corpus; return its two folders."""
    recordings, sounds = write_corpus(folder)
    return {"recordings": str(recordings), "sounds": str(sounds)}


def render_edits(warm: Warm, *, folder: str, cache_dir: str) -> dict[str, Any]:  # noqa: ARG001
    """Render an edited take."""
    edits.render_edited(Path(folder), DescriptorStore(cache_dir))
    return {"folder": folder}


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "continue": make_take,
    "open": open_sounds,
    "demo": make_demo,
    "render": render_edits,
}


class _Lines(logging.Handler):
    """Writes events and log records as lines of JSON."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(logging.INFO)
        self._stream, self._last = stream, ("", 0.0)

    def write(self, event: str, value: Any) -> None:
        """Write one line."""
        self._stream.write(json.dumps([event, value]) + "\n")
        self._stream.flush()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Write the progress of a stage, ten times a second at most."""
        before, then = self._last
        if stage != before or done >= total or time.monotonic() - then >= REPORT_S:
            self._last = stage, time.monotonic()
            self.write("progress", [stage, done, total])

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message alone."""
        self.write("note", record.getMessage())


def main() -> None:
    """Do the jobs of standard input until it is closed, or SIGTERM ends the process."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a take then removes its parts
    lines = _Lines(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # what a library prints must not look like an answer
    logger = logging.getLogger("desc")
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    warm = Warm()
    for line in sys.stdin:
        job = json.loads(line)
        try:
            with reporting(lines.progress):
                lines.write("done", JOBS[job["kind"]](warm, **job["arguments"]))
        except DescError as error:
            lines.write("failed", str(error))
        except Exception as error:
            lines.write("failed", f"unexpected error: {type(error).__name__}: {error}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()

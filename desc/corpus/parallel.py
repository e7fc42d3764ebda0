"""Parallel extraction: many files, in several processes; one failure does not stop the others."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from desc.audio import content_digest
from desc.cluster import active_cluster, call_on_workers
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract, variant_digest
from desc.descriptors.families import FAMILIES, Family
from desc.descriptors.features import FEATURES, Feature, register_descriptor
from desc.errors import AudioError, DescError, StorageError
from desc.progress import report
from desc.storage import DescriptorStore

WORKERS_START_S = 3.0  # time to start other processes
UNCOMPRESSED = frozenset({".wav", ".wave", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64"})
BYTES_PER_SECOND = {True: 200e6, False: 7e6}
"""Of uncompressed and of compressed files, extracted by one process (1174 and 422 times real
time, of 16-bit stereo and of Ogg at 128 kbit/s)."""
DIED = "the process that read it died (out of memory, or a decoder's crash)"
_notes_lock = threading.Lock()
_note_takers: list[logging.Handler] = []
_logger_before: list[Any] = []
"""Whether the decoder's logger propagates, and its level, while threads take notes of it."""
IDLE_WORKER_S = 5.0  # joblib keeps its processes for 300 s, with 150 MB each


@dataclass(frozen=True)
class Task:
    """A file to extract at a playback speed."""

    path: Path
    source: str
    digest: str
    speed: float = 1.0

    @property
    def key(self) -> str:
        """Digest of the content at this speed."""
        return self.digest if self.speed == 1 else variant_digest(self.digest, self.speed)

    @property
    def estimated_s(self) -> float:
        """Roughly how long extraction takes, in seconds."""
        try:
            n_bytes = self.path.stat().st_size
        except OSError:
            return 0.0
        return n_bytes / BYTES_PER_SECOND[self.path.suffix.lower() in UNCOMPRESSED]


@dataclass(frozen=True)
class Outcome:
    """Result of a task.

    Attributes
    ----------
    task : Task
        The task.
    reason : str
        Cause of a failure; empty if the descriptors are stored.
    is_lasting : bool
        Whether the file's content causes the failure, so that it is not tried again.
    note : str
        What is odd about a recording that was extracted.
    """

    task: Task
    reason: str = ""
    is_lasting: bool = False
    note: str = ""


def extract_all(
    tasks: Sequence[Task],
    config: DescriptorConfig,
    store: DescriptorStore,
    *,
    jobs: int,
) -> dict[str, str]:
    """Extract files into the store.

    Parameters
    ----------
    tasks : sequence of Task
        The files, each content once at each speed.
    config : DescriptorConfig
        Settings of extraction.
    store : DescriptorStore
        Cache for the descriptors.
    jobs : int
        Maximum number of processes: -1 one per core, 1 the current one.

    Returns
    -------
    dict of str to str
        Keys of the failed tasks, with the reason.

    Raises
    ------
    StorageError
        If the cache cannot be written.
    """
    families = [(FAMILIES[name], FEATURES[name]) for name in config.descriptors]
    function = partial(extract_into, store.cache_dir, config, families)
    failed: list[Outcome] = []
    notes: dict[str, str] = {}
    try:
        for n_done, outcome in enumerate(run_tasks(function, tasks, jobs), 1):
            if outcome.reason:
                failed.append(outcome)
            elif outcome.note:
                notes[outcome.task.digest] = outcome.note
            report("extract", n_done, len(tasks))
    finally:
        store.remember_failures({o.task.digest: o.reason for o in failed if o.is_lasting})
        store.remember_notes(notes)
    return {outcome.task.key: outcome.reason for outcome in failed}


def extract_into(
    cache_dir: Path,
    config: DescriptorConfig,
    families: Sequence[tuple[Family, Feature]],
    task: Task,
) -> Outcome:
    """Extract one file into the cache; runs in any process.

    `families` are those of the configuration; another process knows only those of this package.
    """
    for family, feature in families:
        register_descriptor(family, feature)
    try:
        with _kept_notes() as notes:
            sequence = extract(
                task.path, config, source=task.source, digest=task.digest, speed=task.speed
            )
        store = DescriptorStore(cache_dir)
        if store.digest(task.path) != task.digest:
            return Outcome(task, "changed while it was read; try again when it is complete")
        store.save(sequence)
    except StorageError:  # every other file would fail likewise
        raise
    except AudioError as error:
        reason = str(error).removeprefix(f"{task.path}: ")
        is_systems = isinstance(error.__cause__, OSError)  # the next time it may succeed
        return Outcome(task, reason, is_lasting=_has_content(task) and not is_systems)
    except DescError as error:
        return Outcome(task, str(error).removeprefix(f"{task.path}: "))
    except Exception as error:  # reported; the other files are extracted
        return Outcome(task, f"{type(error).__name__}: {error}")
    lines = (note.removeprefix(f"{task.path}: ") for note in notes)
    return Outcome(task, note="; ".join(lines))


@contextmanager
def _kept_notes() -> Iterator[list[str]]:
    """Collect what the decoder logs about a file, for the process that opened the corpus."""
    notes: list[str] = []
    handler, here = logging.Handler(), threading.get_ident()
    handler.addFilter(lambda record: record.thread == here)  # a worker of Dask has several
    handler.emit = lambda record: notes.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("desc.audio")
    with _notes_lock:
        if not _note_takers:  # else another thread has changed the logger
            _logger_before[:] = logger.propagate, logger.level
            logger.propagate = False
            logger.setLevel(logging.WARNING)  # the notes are kept, whatever a program logs
        _note_takers.append(handler)
        logger.addHandler(handler)
    try:
        yield notes
    finally:
        with _notes_lock:
            logger.removeHandler(handler)
            _note_takers.remove(handler)
            if not _note_takers:
                logger.propagate, level = _logger_before
                logger.setLevel(level)


def run_tasks(
    function: Callable[[Task], Outcome], tasks: Sequence[Task], jobs: int
) -> Iterator[Outcome]:
    """Yield the outcomes as tasks are finished.

    On a cluster (see `desc.cluster`) its workers do all of them. Here, if a process dies (out of
    memory, a crash of the decoder), the remaining tasks run one by one, and those whose process
    dies are reported.
    """
    # The long ones first, or one of them begins when the other processes are done.
    ordered = sorted(tasks, key=lambda task: -task.estimated_s)
    if (cluster := active_cluster()) is not None:
        for task, outcome in call_on_workers(cluster, function, ordered):
            yield outcome or Outcome(task, DIED)
        return
    if jobs == 1 or len(tasks) < 2 or sum(t.estimated_s for t in tasks) < WORKERS_START_S:
        for task in tasks:
            yield function(task)
        return
    from joblib.externals.loky.process_executor import BrokenProcessPool

    left = {task.key: task for task in tasks}
    try:
        for outcome in _in_workers(function, ordered, jobs):
            del left[outcome.task.key]
            yield outcome
    except BrokenProcessPool:
        yield from _one_by_one(function, left.values())


def _one_by_one(function: Callable[[Task], Outcome], tasks: Iterable[Task]) -> Iterator[Outcome]:
    """Run tasks in a process of their own, a new one after each that dies."""
    # Not loky's reusable executor: joblib would take it for its own in the next extraction.
    from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

    executor = None
    try:
        for task in tasks:
            executor = executor or ProcessPoolExecutor(1, timeout=IDLE_WORKER_S)
            try:
                yield executor.submit(function, task).result()
            except BrokenProcessPool:
                executor = None
                yield Outcome(task, DIED)
    finally:
        if executor is not None:
            executor.shutdown()


def _in_workers(
    function: Callable[[Task], Outcome], tasks: Sequence[Task], jobs: int
) -> Iterator[Outcome]:
    import joblib
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()  # the caller may have chosen another, such as Ray
    is_default = type(backend).__name__ == "LokyBackend"
    options: dict[str, Any] = {"idle_worker_timeout": IDLE_WORKER_S} if is_default else {}
    n_jobs = min(joblib.effective_n_jobs(jobs), len(tasks))
    parallel = joblib.Parallel(n_jobs, return_as="generator_unordered", **options)
    with _sigint_blocked():
        outcomes = parallel(joblib.delayed(function)(task) for task in tasks)
    yield from outcomes


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT while worker processes are spawned.

    Ctrl-C reaches every process of a terminal, and each new worker would print a traceback. This
    process receives it when the workers have started, and ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # joblib starts it, and its start undoes the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _has_content(task: Task) -> bool:
    """Whether the file is unchanged since the task was made."""
    try:
        return content_digest(task.path) == task.digest
    except AudioError:
        return False

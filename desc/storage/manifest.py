"""Manifest of the cache: the digest of each file by path, size and times of change, in SQLite.

Its content can be restored by reading files. A damaged manifest is therefore discarded and
rebuilt, and one that cannot be written or stays locked costs time, not results. It keeps a
rollback journal rather than a write-ahead log: that also works in home folders on a network.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from desc import audio
from desc.cluster import active_cluster, call_on_workers
from desc.errors import AudioError
from desc.progress import report

R = TypeVar("R")

VERSION = 2
TIMEOUT_S = 30.0  # to wait for another process, whose transactions last milliseconds
TICK_NS = 20_000_000
"""Steps of file times (up to 16 ms), within which a second change does not show."""
COARSE_TICK_NS = 2_000_000_000
"""The same on FAT, whose times are even seconds."""
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS files (
    path BLOB, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, digest TEXT NOT NULL,
    PRIMARY KEY (path, size, mtime_ns, ctime_ns)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""
STATE = "path = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ?"

logger = logging.getLogger(__name__)
_locked: set[Path] = set()
"""Manifests that stayed locked: waited for once, then not used by this process."""


class FileState(NamedTuple):
    """A file as the system describes it; while this stays the same, so does the content.

    Attributes
    ----------
    path : bytes
        Absolute path as the system spells it, which need not be text.
    size : int
        Length in bytes.
    mtime_ns : int
        Time of the last change in nanoseconds. Archives and object stores set it to a fixed one.
    ctime_ns: int
        Time of the last change of content, name or rights, which no program sets (on Windows: of
        the file's creation).
    """

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: str | Path) -> FileState:
        """Return the state of a file; symbolic links are followed.

        Raises
        ------
        AudioError
            If there is none.
        """
        try:
            status = os.stat(path)
        except OSError as error:
            raise AudioError(f"{path}: {error.strerror or error}") from error
        times = status.st_mtime_ns, status.st_ctime_ns
        return cls(os.fsencode(os.path.abspath(path)), status.st_size, *times)

    @property
    def is_current(self) -> bool:
        """Whether the file is still there, of the same size and time of modification."""
        try:
            return FileState.of(os.fsdecode(self.path))[:3] == self[:3]
        except AudioError:
            return False


class Manifest:
    """Rows `FileState` → digest.

    Each call opens the database and closes it again, so that an object may be used in threads
    and sent to other processes. Nothing is created before there is something to remember.

    Parameters
    ----------
    path : Path
        The SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def digests(self, states: Iterable[FileState]) -> dict[FileState, str]:
        """Return the digests of those files that are known in exactly this state."""
        statement = f"SELECT digest FROM files WHERE {STATE}"

        def find(connection: sqlite3.Connection) -> dict[FileState, str]:
            found = {state: connection.execute(statement, state).fetchone() for state in states}
            return {state: row[0] for state, row in found.items() if row}

        return self._run(find, {}) if self.path.exists() else {}

    def remember(self, digests: dict[FileState, str]) -> None:
        """Keep the digests of files. Earlier states stay, for `prune` to find what was theirs."""
        rows = [(*state, digest) for state, digest in digests.items()]
        self._change("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def all_files(self) -> dict[FileState, str]:
        """Return every file ever seen, with its digest."""

        def find(connection: sqlite3.Connection) -> dict[FileState, str]:
            rows = connection.execute("SELECT path, size, mtime_ns, ctime_ns, digest FROM files")
            return {FileState(*state): digest for *state, digest in rows}

        return self._run(find, {}) if self.path.exists() else {}

    def forget(self, states: Sequence[FileState]) -> None:
        """Drop files."""
        self._change(f"DELETE FROM files WHERE {STATE}", states)

    def _change(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        def run(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(statement, rows)

        if rows:
            self._run(run, None)

    def _run(self, action: Callable[[sqlite3.Connection], R], otherwise: R) -> R:
        for _ in range(2):
            if self.path in _locked:
                break
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(self.path, timeout=TIMEOUT_S)) as connection:
                    self._prepare(connection)
                    return action(connection)
            except (sqlite3.OperationalError, OSError) as error:
                # Locked too long, read-only or disk full: what is not known here is read again.
                if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                    _locked.add(self.path)
                    logger.warning(
                        "%s: locked by another process for %g s; files are read again",
                        self.path,
                        TIMEOUT_S,
                    )
                break
            except sqlite3.DatabaseError:
                self._discard()
        return otherwise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(SCHEMA)
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"{self.path}: format {version} is not {VERSION}")

    def _discard(self) -> None:
        """Remove a damaged database, journal first, so that a new one does not inherit it."""
        # Where that is not allowed, or another process has it open on Windows, the manifest is
        # of no use now, and is tried again at the next call.
        with suppress(OSError):
            for suffix in ("-journal", "-wal", "-shm", ""):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)


def identify(paths: Sequence[str | Path], manifest: Manifest, jobs: int) -> list[str | AudioError]:
    """Return the digest of each file, or why it cannot be read; see `DescriptorStore.identify`.

    Only files that the manifest does not know are read.
    """
    states: list[FileState | AudioError] = []
    files: dict[FileState, Path] = {}
    for path in paths:
        try:
            states.append(state := FileState.of(path))
            files[state] = Path(path)
        except AudioError as error:
            states.append(error)
    known = manifest.digests(files)
    results: dict[FileState, str | AudioError] = dict(known)
    unknown = {state: path for state, path in files.items() if state not in known}
    found: dict[FileState, str] = {}
    try:
        for n_done, (state, result) in enumerate(_read_all(unknown, jobs), 1):
            results[state] = result
            if isinstance(result, str) and _is_settled(state):
                found[state] = result
            report("identify", n_done, len(unknown))
    finally:  # what was read before an interruption need not be read again
        manifest.remember(found)
    return [state if isinstance(state, AudioError) else results[state] for state in states]


def _read_all(
    files: dict[FileState, Path], jobs: int
) -> Iterator[tuple[FileState, str | AudioError]]:
    """Yield the digest of each file, or why there is none, as they are read."""
    if (cluster := active_cluster()) is not None:
        state_of = {path: state for state, path in files.items()}
        for path, digest in call_on_workers(cluster, _read, list(state_of)):
            yield state_of[path], digest or AudioError(f"{path}: the worker that read it died")
        return
    # Threads: digests are computed without the interpreter's lock.
    with ThreadPoolExecutor(jobs if jobs > 0 else os.cpu_count()) as executor:
        futures = {executor.submit(_read, path): state for state, path in files.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _read(path: Path) -> str | AudioError:
    try:
        state = FileState.of(path)
        age = time.time_ns() - state.mtime_ns
        if 0 <= age < TICK_NS:
            time.sleep((TICK_NS - age) / 1e9)
        digest = audio.content_digest(path)
        if FileState.of(path) == state:
            return digest
        return AudioError(f"{path}: changed while it was read; try again when it is complete")
    except AudioError as error:
        return error


def _is_settled(state: FileState) -> bool:
    """Whether the file is still in a state that any later change of it would alter."""
    is_coarse = state.mtime_ns % 1_000_000_000 == 0
    return state.is_current and not (
        is_coarse and 0 <= time.time_ns() - state.mtime_ns < COARSE_TICK_NS
    )

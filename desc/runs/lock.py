"""Lock of a run's folder, held while a process trains the run.

The operating system releases it when the process ends, however it ends.
"""

from __future__ import annotations

from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from desc.errors import StorageError

LOCK_FILE = ".lock"
WAIT_S = 1.0  # for a process that only looks whether the run is locked


def lock_run(folder: Path) -> BaseFileLock | None:
    """Lock a run's folder until `release` or the end of the process.

    Returns
    -------
    BaseFileLock or None
        None if the file system has no locks; the run proceeds without one.

    Raises
    ------
    StorageError
        If another process is training this run.
    """
    lock = FileLock(folder / LOCK_FILE, timeout=WAIT_S, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise StorageError(
            f"{folder}: another process is training this run; wait until it has ended, or stop it"
        ) from None
    except (OSError, NotImplementedError):
        return None
    return lock


def is_locked(folder: Path) -> bool:
    """Return whether a process trains the run in a folder; True where that cannot be known."""
    path = folder / LOCK_FILE
    if not path.is_file():
        return False
    try:
        with FileLock(path, blocking=False):
            return False
    except (OSError, NotImplementedError):  # `Timeout` is an OSError
        return True

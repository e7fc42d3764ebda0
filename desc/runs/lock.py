"""One process at a time makes a run."""

from __future__ import annotations

from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from desc.errors import StorageError

LOCK_FILE = ".lock"


def lock_run(folder: Path) -> BaseFileLock | None:
    """Claim the folder of a run; the claim ends with `release` or with the process.

    Returns
    -------
    BaseFileLock or None
        None where the file system knows no locks: the run is made all the same.

    Raises
    ------
    StorageError
        If another process is making this run.
    """
    lock = FileLock(folder / LOCK_FILE, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise StorageError(
            f"{folder}: another process is training this run; wait until it has ended, or stop it"
        ) from None
    except (OSError, NotImplementedError):
        return None
    return lock

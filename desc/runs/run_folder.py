"""Run folders: a new one, or that of a run to resume, locked while the run is being made."""

from __future__ import annotations

import secrets
import shutil
import string
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from desc.configuration import RunConfig
from desc.errors import RunNotFoundError, StorageError
from desc.runs.record import RUN_FILE, Record

RUN_ID_LENGTH, CHARACTERS = 8, string.ascii_lowercase + string.digits
LOCK_FILE = ".lock"


def new_folder(run: RunConfig) -> Path:
    """Make `<experiment_dir>/<project>/<run_id>` with a run id that is not taken yet.

    The id has 8 random characters of a-z0-9, as those of W&B.
    """
    root = Path(run.experiment_dir) / run.project
    while True:
        folder = root / "".join(secrets.choice(CHARACTERS) for _ in range(RUN_ID_LENGTH))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if folder.exists():
                continue
            raise StorageError(f"{root}: must be a folder, but a file has this name") from None
        except OSError as error:
            raise StorageError(f"{folder}: cannot be created: {error.strerror}") from error
        return folder


def resumed_folder(record: Record, run: RunConfig) -> Path:
    """Return the folder of a run to resume; a run from elsewhere is copied below experiment_dir.

    Raises
    ------
    RunNotFoundError
        If only a checkpoint of the run exists.
    StorageError
        If experiment_dir already holds a run of this id, or the run cannot be copied.
    """
    if not (record.folder / RUN_FILE).is_file():
        raise RunNotFoundError(
            f"{record.folder}: contains no {RUN_FILE}; resuming needs the run's whole folder"
        )
    root = Path(run.experiment_dir)
    if record.folder.resolve().parent.parent == root.resolve():
        return record.folder
    folder = root / record.project / record.run_id
    if folder.exists():
        raise StorageError(f"{record.folder}: already copied to {folder}; resume it by its id")
    try:
        shutil.copytree(record.folder, folder, ignore=shutil.ignore_patterns(LOCK_FILE))
    except OSError as error:
        raise StorageError(f"{record.folder}: cannot be copied to {folder}: {error}") from error
    return folder


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

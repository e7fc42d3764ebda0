"""The folder of a run that is being made: a new one, or one that is gone on with."""

from __future__ import annotations

import secrets
import shutil
import string
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from desc.configuration import Note, RunConfig
from desc.errors import RunNotFoundError, StorageError
from desc.runs.record import RUN_FILE, Record
from desc.runs.resolve import resolve_record

RUN_ID_LENGTH = 8
LOCK_FILE = ".lock"


def new_run_id() -> str:
    """Return 8 random characters of a-z0-9, the form of W&B's run ids."""
    characters = string.ascii_lowercase + string.digits
    return "".join(secrets.choice(characters) for _ in range(RUN_ID_LENGTH))


def new_folder(run_config: RunConfig) -> Path:
    """Make the folder of a run whose id is not taken yet."""
    root = Path(run_config.experiment_dir) / run_config.project
    while True:
        folder = root / new_run_id()
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if folder.exists():
                continue
            raise StorageError(f"{root}: a file is in the way of the folder of runs") from None
        except OSError as error:
            raise StorageError(f"{folder}: cannot be made: {error.strerror}") from error
        return folder


def existing_folder(run_id: str, run_config: RunConfig, note: Note | None) -> Path:
    """Return the folder of a run to go on with; one from elsewhere is copied here first.

    Raises
    ------
    RunNotFoundError
        If the run is nowhere, or no more of it than a checkpoint.
    StorageError
        If a run of its id is here already, which may have gone on since, or it cannot be copied.
    """
    record = resolve_record(Record, run_id, run_config, note=note)
    root = Path(run_config.experiment_dir)
    if record.folder.resolve().parent.parent == root.resolve():
        return record.folder
    if not (record.folder / RUN_FILE).is_file():
        raise RunNotFoundError(
            f"{record.folder}: holds no {RUN_FILE}; a run is gone on with from its whole folder"
        )
    folder = root / record.project / record.run_id
    if folder.exists():
        raise StorageError(
            f"{folder}: the run in {record.folder} is gone on with here already; name it by its id"
        )
    try:
        shutil.copytree(record.folder, folder, ignore=shutil.ignore_patterns(LOCK_FILE))
    except OSError as error:
        raise StorageError(f"{record.folder}: cannot be copied to {folder}: {error}") from error
    return folder


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

"""Log of a run in progress: its folder first, W&B second."""

from __future__ import annotations

import logging
import secrets
import shutil
import string
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from desc.configuration import RunConfig
from desc.errors import RunNotFoundError, StorageError, TrackingError
from desc.files import temporary_beside
from desc.runs.credentials import offline_reason
from desc.runs.label import check_name, write_label
from desc.runs.lock import LOCK_FILE, lock_run
from desc.runs.metrics_file import MetricsFile
from desc.runs.record import METRICS_FILE, RUN_FILE, R, Record
from desc.runs.wandb_sync import WandbRun

logger = logging.getLogger(__name__)

RUN_ID_LENGTH, CHARACTERS = 8, string.ascii_lowercase + string.digits


class RunLog:
    """The log of a run in progress; a context manager that releases the run at its end.

    Open one with `new` or `resume`, build the run's record with its `run_id` and `folder`, hand
    the record to `begin`, log, and hand the final record to `finish`.

    Everything is written to the run's folder first. Another process talks to W&B, so a server
    that does not respond delays nothing; a problem there is logged as a warning, never raised.

    Attributes
    ----------
    run_id : str
        8 of a-z0-9.
    folder : Path
        `<experiment_dir>/<project>/<run_id>`; it takes `run.json`, `statistics.npz` and
        `checkpoints/`.
    """

    def __init__(self, folder: Path, run: RunConfig, resume_step: int | None = None) -> None:
        self.run_id = folder.name
        self.folder = folder
        self._run = run
        self._lock = lock_run(folder)
        self._metrics = MetricsFile(folder / METRICS_FILE, last_step=resume_step)
        self._resumed = resume_step is not None
        self._wandb: WandbRun | None = None

    @classmethod
    def new(cls, run: RunConfig) -> RunLog:
        """Make the folder of a new run.

        Raises
        ------
        ConfigurationError
            If the name cannot be one, or another run has it.
        StorageError
            If the folder cannot be created.
        """
        if run.name:
            check_name(run.name, Path(run.experiment_dir) / run.project)
        return cls(_new_folder(run), run)

    @classmethod
    def resume(cls, record: Record, run: RunConfig, *, step: int) -> RunLog:
        """Reopen the log of a run.

        Parameters
        ----------
        record : Record
            The run; if it lies outside `run.experiment_dir` it is copied there first.
        run : RunConfig
            Where runs are kept.
        step : int
            Step of the checkpoint to resume from; rows logged after it are dropped.

        Raises
        ------
        RunNotFoundError
            If only a checkpoint of the run exists.
        StorageError
            If the run was copied here earlier, or another process is training it.
        """
        return cls(_resumed_folder(record, run), run, step)

    def begin(self, record: R) -> R:
        """Save the record as `run.json`, and connect to W&B if possible.

        Parameters
        ----------
        record : Record
            Its settings are the config that W&B shows; it must have this log's folder.

        Returns
        -------
        Record
            The record with status `running`, and `offline` telling whether W&B was reached.
        """
        record = replace(record, status="running", offline=True)
        if self._run.name:
            write_label(record.folder, name=self._run.name)
        record.save()
        reason = offline_reason(self._run)
        if reason is None:
            try:
                self._wandb = WandbRun(record, self._run, resume=self._resumed)
                logger.info("W&B shows this run at %s", self._wandb.url)
            except TrackingError as error:
                reason = f"W&B did not accept it: {error}"
        if reason is not None:
            logger.info(
                "run %s is kept on this machine only (%s); upload it later with: "
                "desc runs --upload %s",
                *(self.run_id, reason, self.run_id),
            )
            return record
        record = replace(record, offline=False)
        record.save()
        return record

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics at a step; steps must not fall. `metrics.csv` holds the row on return."""
        row = self._metrics.append(metrics, step)
        if self._wandb is not None:
            self._wandb.log(row)

    def show(self, files: Mapping[str, Path], step: int) -> None:
        """Show sounds (.wav) and pictures (.png) of a step on W&B, by name."""
        if self._wandb is not None and files:
            self._wandb.show(files, step)

    def finish(self, record: Record, *, exit_code: int = 0) -> bool:
        """Save the final record, send the run's files and check that they arrived.

        Parameters
        ----------
        record : Record
            Its metrics become the run's summary on W&B.
        exit_code : int
            Exit code for W&B: 0 for success.

        Returns
        -------
        bool
            Whether the W&B server holds every file.
        """
        record.save()
        wandb, self._wandb = self._wandb, None
        self.close()
        if wandb is None:
            return False
        try:
            with wandb:
                wandb.finish(record.metrics, exit_code=exit_code)
        except TrackingError as error:
            logger.warning(
                "run %s is complete on this machine, but not on W&B: %s; upload it later with: "
                "desc runs --upload %s",
                *(self.run_id, error, self.run_id),
            )
            return False
        return True

    def close(self) -> None:
        """Release the run as it is; W&B shows one that was not finished as failed."""
        if self._lock is not None:
            self._lock.release()
        if self._wandb is not None:
            self._wandb.close()
            self._wandb = None

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _new_folder(run: RunConfig) -> Path:
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


def _resumed_folder(record: Record, run: RunConfig) -> Path:
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
    copy = temporary_beside(folder)  # a copy that is cut off must not look like a run
    try:
        shutil.copytree(record.folder, copy, ignore=shutil.ignore_patterns(LOCK_FILE))
        copy.rename(folder)
    except OSError as error:
        shutil.rmtree(copy, ignore_errors=True)
        raise StorageError(f"{record.folder}: cannot be copied to {folder}: {error}") from error
    return folder

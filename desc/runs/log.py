"""`RunLog`: what a run writes while it is made, into its own folder and to W&B."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import BaseFileLock

from desc.configuration import Note, RunConfig
from desc.errors import TrackingError
from desc.files import write_text
from desc.runs.access import disabled, offline_reason
from desc.runs.folders import existing_folder, lock_run, new_folder
from desc.runs.metrics_file import MetricsFile
from desc.runs.record import CONFIG_FILE, METRICS_FILE, Record, run_files
from desc.runs.sending import (
    INIT_LIMIT_S,
    FilesDifferError,
    finish_online,
    mark_uploaded,
    send_rows,
    send_run,
    write_request,
)
from desc.runs.worker import START_LIMIT_S, Worker

OFFLINE_FINISH_S = 20.0


class RunLog:
    """The log of a run that is being made; as a context manager it ends with the context.

    Everything is in the run's folder first. W&B is spoken to by another process, so that neither
    `log` nor a server that does not answer holds up what is logged; what goes wrong there is a
    note, never an error.

    Attributes
    ----------
    run_id : str
        8 of a-z0-9.
    folder : Path
        `<experiment_dir>/<project>/<run_id>`, where `run.json`, `statistics.npz` and
        `checkpoints/` belong.
    offline : bool
        Whether the run is on this machine only.
    """

    def __init__(
        self,
        run_id: str,
        folder: Path,
        *,
        run_config: RunConfig,
        metrics: MetricsFile,
        config: Mapping[str, Any],
        lock: BaseFileLock | None,
        note: Note | None,
    ) -> None:
        self.run_id = run_id
        self.folder = folder
        self.offline = True
        self._run_config = run_config
        self._config = config
        self._metrics = metrics
        self._lock = lock
        self._note = note
        self._worker: Worker | None = None
        self._started: dict[str, Any] = {}

    @classmethod
    def start(
        cls,
        config: Mapping[str, Any],
        run_config: RunConfig,
        *,
        resume_run_id: str | None = None,
        resume_step: int | None = None,
        notes: str = "",
        note: Note | None = None,
    ) -> RunLog:
        """Begin a run, or go on with one.

        Parameters
        ----------
        config : mapping
            What W&B shows as the run's config: plain values, nested if need be.
        run_config : RunConfig
            Where the run is kept, and whether W&B may be asked.
        resume_run_id : str, optional
            The run to go on with: as for `resolve_run`.
        resume_step : int, optional
            The step its checkpoint was written at; what was logged later is dropped.
        notes : str
            Free text for W&B.
        note : callable, optional
            Gets one line: where the run is shown, or that it is offline and how to send it later.

        Raises
        ------
        RunNotFoundError
            If the run to go on with is nowhere.
        StorageError
            If the run's folder cannot be written, or another process is making this run.
        """
        if resume_run_id is None:
            folder = new_folder(run_config)
        else:
            folder = existing_folder(resume_run_id, run_config, note)
            run_config = replace(run_config, project=folder.parent.name)
        lock = lock_run(folder)
        plain = json.loads(json.dumps(dict(config), default=str))
        write_text(folder / CONFIG_FILE, json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
        metrics = MetricsFile(folder / METRICS_FILE, last_step=resume_step)
        log = cls(
            folder.name,
            folder,
            run_config=run_config,
            metrics=metrics,
            config=plain,
            lock=lock,
            note=note,
        )
        log._connect(resume=resume_run_id is not None, notes=notes)
        return log

    def _connect(self, *, resume: bool, notes: str) -> None:
        """Start the process that speaks to W&B: online if that works, else offline."""
        reason = offline_reason(self._run_config)
        if reason is None:
            try:
                self._worker = self._start_online(resume=resume, notes=notes)
                self._tell(f"W&B shows this run at {self._started['url']}")
                return
            except TrackingError as error:
                reason = f"W&B did not take it: {error}"
        if not disabled():
            self._start_offline(resume=resume, notes=notes)
        self._tell(
            f"run {self.run_id} is kept on this machine only ({reason}); "
            f"send it later with: desc runs --upload {self.run_id}"
        )

    def _request(self, *, online: bool, resume: bool, notes: str) -> dict[str, Any]:
        return write_request(
            self.run_id, self._run_config, self._config, online=online, resume=resume, notes=notes
        )

    def _start_online(self, *, resume: bool, notes: str) -> Worker:
        worker = Worker(self._request(online=True, resume=resume, notes=notes), "online")
        try:
            worker.wait("ready", START_LIMIT_S)
            self._started = worker.wait("started", INIT_LIMIT_S)
        except BaseException:
            worker.close(limit_s=0.0)
            raise
        self.offline = False
        send_rows(worker, self._metrics.rows, int(self._started["next_step"]))
        return worker

    def _start_offline(self, *, resume: bool, notes: str) -> None:
        """Start a process that writes wandb's own offline folder; nothing is waited for.

        Such a folder begins anew with each start, so it gets the rows of the earlier ones, too.
        """
        try:
            request = self._request(online=False, resume=resume, notes=notes)
            self._worker = Worker(request, "offline")
            send_rows(self._worker, self._metrics.rows)
        except TrackingError as error:
            self._tell(str(error))

    def _tell(self, line: str) -> None:
        if self._note is not None:
            self._note(line)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log figures at a step; steps must not fall. The row is in `metrics.csv` on return."""
        row = self._metrics.append(metrics, step)
        if self._worker is not None:
            self._worker.send(do="log", metrics=row)

    def show(self, files: Mapping[str, Path], step: int) -> None:
        """Let W&B show sounds (.wav) and pictures (.png) of a step, by name; they stay here too."""
        if self._worker is not None and files:
            paths = {name: str(path.absolute()) for name, path in files.items()}
            self._worker.send(do="show", files=paths, step=step)

    def finish(
        self,
        record: Record | None = None,
        files: Sequence[str] | None = None,
        *,
        exit_code: int = 0,
    ) -> bool:
        """End the run: write its record, send its files, read back that they arrived.

        Parameters
        ----------
        record : Record, optional
            Saved as `run.json` first; its metrics become the run's summary.
        files : sequence of str, optional
            What to send, relative to the run's folder; by default all files of the run.
        exit_code : int
            What W&B is told: 0 for a run that ended well.

        Returns
        -------
        bool
            Whether a W&B server was seen to hold every file.
        """
        self._metrics.close()
        if record is not None:
            record.save()
        self._release()
        worker, self._worker = self._worker, None
        if worker is None:
            return False
        names = run_files(self.folder) if files is None else list(files)
        metrics = record.metrics if record is not None else {}
        with worker:
            if self.offline:
                return self._finish_offline(worker, names, metrics, exit_code)
            return self._finish_online(worker, names, record, exit_code)

    def _finish_offline(
        self, worker: Worker, names: list[str], metrics: Mapping[str, float], exit_code: int
    ) -> bool:
        worker.send(
            do="finish",
            folder=str(self.folder.absolute()),
            files=names,
            summary=dict(metrics),
            exit_code=exit_code,
            limit_s=OFFLINE_FINISH_S,
        )
        try:
            worker.wait("finished", START_LIMIT_S + OFFLINE_FINISH_S)
        except TrackingError as error:
            self._tell(f"wandb left no offline folder ({error}); the run itself is whole")
        return False

    def _finish_online(
        self, worker: Worker, names: list[str], record: Record | None, exit_code: int
    ) -> bool:
        try:
            metrics = record.metrics if record is not None else {}
            try:
                finish_online(worker, self.folder, names, metrics, exit_code=exit_code)
                mark_uploaded(self.folder, self._started)
            except FilesDifferError:
                if record is None:
                    raise
                worker.close()
                send_run(record, self._run_config, self._config, math.inf, exit_code=exit_code)
        except TrackingError as error:
            self._tell(
                f"run {self.run_id} is whole on this machine, but not on W&B: {error}; "
                f"send it later with: desc runs --upload {self.run_id}"
            )
            return False
        return True

    def _release(self) -> None:
        """Let other processes go on with the run."""
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End a run that was not finished: it is kept as far as it got."""
        self._metrics.close()
        self._release()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

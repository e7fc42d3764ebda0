"""Upload of runs to a W&B server and their download, through a separate process."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from desc.configuration import RunConfig
from desc.errors import TrackingError
from desc.files import temporary_beside, write_json
from desc.runs.credentials import offline_reason
from desc.runs.label import LABEL_FILE
from desc.runs.metrics_file import read_metrics
from desc.runs.record import (
    CHECKPOINTS,
    METRICS_FILE,
    RUN_FILE,
    STATISTICS_FILE,
    UPLOAD_FILE,
    Record,
    now,
    run_files,
)

INIT_TIMEOUT_S = 8.0  # limit given to wandb.init
START_LIMIT_S = 75.0  # starting a process, importing wandb (17 s on a busy machine), wandb.init
CHECK_LIMIT_S = 30.0  # listing the files after an upload
EXIT_LIMIT_S = 5.0
DOWNLOADED = (*CHECKPOINTS, STATISTICS_FILE, METRICS_FILE, LABEL_FILE, RUN_FILE)
SLOWEST_UPLOAD = 250_000  # bytes per second

# Settings that would turn the process into another run than the one requested.
_NOT_INHERITED = (
    *("WANDB_SERVICE", "WANDB_RUN_ID", "WANDB_RUN_STORAGE_ID", "WANDB_DIR", "WANDB_PROJECT"),
    *("WANDB_RESUME", "WANDB_RESUME_FROM", "WANDB_FORK_FROM", "WANDB_NOTES", "WANDB_LAUNCH"),
    *("WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_CONFIG", "WANDB_CONFIG_PATHS"),
    *("WANDB_NOTEBOOK_NAME", "WANDB_INIT_TIMEOUT", "WANDB_FINISH_TIMEOUT"),
)
_ENVIRONMENT = {
    "WANDB_MODE": "online",
    "WANDB_SILENT": "true",
    "WANDB_CONSOLE": "off",
    "WANDB_ERROR_REPORTING": "false",  # usage figures, too
    # The run logs itself, not the repository of the current folder.
    "WANDB_DISABLE_GIT": "true",
    "WANDB_DISABLE_CODE": "true",
    "WANDB_LABEL_DISABLE": "true",
    "WANDB__DISABLE_META": "true",
    "WANDB__SAVE_REQUIREMENTS": "false",
    "WANDB__GRAPHQL_RETRY_MAX": "1",
    "WANDB__FILE_TRANSFER_RETRY_MAX": "1",
    "WANDB__FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "4",
}


def _environment() -> dict[str, str]:
    """Return the environment of the process: the user's key, server and proxies, our limits.

    Empty variables are left out: `WANDB_SILENT=""` makes wandb raise.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WANDB_") or (value and name not in _NOT_INHERITED)
    }
    inherited.setdefault("WANDB_HTTP_TIMEOUT", "5")
    return inherited | _ENVIRONMENT


class Worker:
    """A running `wandb_worker`: takes messages, returns events; a context manager ends it.

    Parameters
    ----------
    timeout_s : float
        Time limit of all events together, seconds.
    **request
        The first message: `task` and its arguments.
    """

    def __init__(self, timeout_s: float, **request: Any) -> None:
        self._deadline = time.monotonic() + timeout_s
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # Windows
        try:
            # -P: neither this folder nor the current one, which may hold a folder `wandb`, is
            # searched for modules. Its own session: Ctrl-C stops the training, not the log.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("wandb_worker.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=_environment(),
                start_new_session=not group,
                creationflags=group,
            )
        except OSError as error:
            self._stderr.close()
            raise TrackingError(f"W&B: no process could be started: {error}") from error
        for target, stream in (
            (self._read, self._process.stdout),
            (self._write, self._process.stdin),
        ):
            threading.Thread(target=target, args=(stream,), daemon=True).start()
        self.send(**request)

    def _read(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in stream:
                self._events.put(json.loads(line))
        self._events.put({"event": "ended"})

    def _write(self, stream: IO[bytes]) -> None:
        """Write in a separate thread, so that a hanging worker blocks nothing."""
        with contextlib.suppress(ValueError, OSError), stream:
            while (message := self._messages.get()) is not None:
                stream.write(json.dumps(message).encode() + b"\n")
                stream.flush()

    def send(self, **message: Any) -> None:
        """Queue one message; never waits, and ignores a worker that has ended."""
        self._messages.put(message)

    def wait(self, limit_s: float = threading.TIMEOUT_MAX) -> dict[str, Any]:
        """Return the next event.

        Raises
        ------
        TrackingError
            If the worker reports an error, ends, or takes longer than `limit_s` seconds or than
            the time left to it.
        """
        limit_s = min(limit_s, max(self._deadline - time.monotonic(), 0.0))
        try:
            found = self._events.get(timeout=limit_s)
        except queue.Empty:
            raise TrackingError(f"no response within {limit_s:.0f} s") from None
        if found["event"] == "ended":
            self._stderr.seek(0)
            lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
            raise TrackingError(f"wandb ended by itself: {lines[-1] if lines else 'no message'}")
        if found["event"] == "error":
            raise TrackingError(str(found["reason"]))
        return found

    def close(self, limit_s: float = EXIT_LIMIT_S) -> None:
        """Close the input of the worker, and kill it if it is still there after `limit_s` s."""
        self._messages.put(None)
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A worker that failed exits by itself; after Ctrl-C nothing is waited for.
        expected = kind is None or issubclass(kind, TrackingError)
        self.close(EXIT_LIMIT_S if expected else 0.0)


class WandbRun(Worker):
    """A run being sent to a W&B server.

    Rows of the run's `metrics.csv` that the server lacks are sent first.

    Parameters
    ----------
    record : Record
        The run; its settings are the config that W&B shows.
    run : RunConfig
        Its `entity` overrides that of the record; `experiment_dir` gets wandb's own files.
    resume : bool
        Whether the server may have the run already.
    timeout_s : float
        Time limit, seconds.

    Raises
    ------
    TrackingError
        If the server does not take the run.
    """

    def __init__(
        self, record: Record, run: RunConfig, *, resume: bool, timeout_s: float = math.inf
    ) -> None:
        self._folder = record.folder
        super().__init__(
            timeout_s,
            task="write",
            run_id=record.run_id,
            entity=run.entity or record.entity,
            project=record.project,
            folder=str(Path(run.experiment_dir).absolute()),
            config=record.settings,
            name=record.name,
            notes=record.notes,
            resume=resume,
            init_timeout_s=INIT_TIMEOUT_S,
            process_id=os.getpid(),
        )
        try:
            started = self.wait(START_LIMIT_S)
        except BaseException:
            self.close(0.0)
            raise
        self.path, self.url = str(started["path"]), str(started["url"] or started["path"])
        path = record.folder / METRICS_FILE
        for row in read_metrics(path) if path.is_file() else []:
            if row["step"] >= started["next_step"]:
                self.log(row)

    def log(self, row: Mapping[str, float]) -> None:
        """Send a row of `metrics.csv`."""
        self.send(do="log", metrics=dict(row))

    def show(self, files: Mapping[str, Path], step: int) -> None:
        """Send sounds (.wav) and pictures (.png) to be shown at a step, by name."""
        paths = {name: str(path.absolute()) for name, path in files.items()}
        self.send(do="show", files=paths, step=step)

    def finish(self, metrics: Mapping[str, float], *, exit_code: int = 0) -> None:
        """Send the run's files and its end, check their sizes, and write `upload.json`.

        Raises
        ------
        TrackingError
            If the server does not respond in time or does not hold the files; the message says
            which.
        """
        sizes = {name: (self._folder / name).stat().st_size for name in run_files(self._folder)}
        upload_s = 30.0 + sum(sizes.values()) / SLOWEST_UPLOAD
        upload_s = min(upload_s, self._deadline - time.monotonic())
        self.send(
            do="finish",
            folder=str(self._folder.absolute()),
            files=list(sizes),
            summary=dict(metrics),
            exit_code=exit_code,
            limit_s=upload_s,
        )
        held = self.wait(upload_s + CHECK_LIMIT_S)["files"]
        wrong = [
            f"{name}: {held[name]} bytes there, {size} here" if name in held else f"{name}: missing"
            for name, size in sizes.items()
            if held.get(name) != size
        ]
        if wrong:
            raise TrackingError(
                "files are missing or incomplete on the server: " + "; ".join(wrong)
            )
        content = {"path": self.path, "url": self.url, "verified": now()}
        write_json(self._folder / UPLOAD_FILE, content, indent=2)


def upload_run(record: Record, run: RunConfig = RunConfig(), timeout_s: float = 600.0) -> str:
    """Send a run of this machine to the W&B server, and check that its files arrived.

    The run is resumed under its id, however much of it the server has. (`wandb sync` of its
    folder would repeat every row that had arrived.)

    Parameters
    ----------
    record : Record
        The run.
    run : RunConfig
        Its `entity`, if set, is where the run goes; the project is the run's own.
    timeout_s : float
        Time limit, seconds.

    Returns
    -------
    str
        The run's web address.

    Raises
    ------
    TrackingError
        If W&B must not be contacted (no key, offline), does not respond, or lacks a
        file in the end. The run on this machine is complete in any case.
    """
    reason = offline_reason(run)
    if reason is not None:
        raise TrackingError(f"run {record.run_id} was not sent: {reason}")
    try:
        with WandbRun(record, run, resume=True, timeout_s=timeout_s) as online:
            online.finish(record.metrics)
            return online.url
    except TrackingError as error:
        raise TrackingError(
            f"run {record.run_id} was not sent completely (time limit {timeout_s:g} s): {error}"
        ) from error


def fetch_run(
    entity: str | None, project: str, run_id: str, download_dir: Path, timeout_s: float
) -> Path:
    """Download a run into `download_dir/<entity>/<project>/<run_id>` and return that folder.

    The files are checked by their sizes and moved there together.

    Raises
    ------
    TrackingError
        If the server does not respond in time, has no such run, has it without this program's
        files, or a file arrives damaged.
    """
    folder = temporary_beside(download_dir / run_id)
    request = {"entity": entity, "project": project, "run_id": run_id}
    try:
        download_dir.mkdir(parents=True, exist_ok=True)
        with Worker(
            timeout_s, task="read", folder=str(folder), wanted=DOWNLOADED, **request
        ) as worker:
            found = worker.wait(START_LIMIT_S)
            _receive(worker, folder, found["files"])
        target = download_dir / found["entity"] / project / run_id
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # damaged, or it would not have been asked for
            shutil.rmtree(target)
        folder.rename(target)
    except OSError as error:
        raise TrackingError(f"{download_dir} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def _receive(worker: Worker, folder: Path, held: dict[str, int]) -> None:
    """Wait for the files of a run, given the sizes of those on the server."""
    if RUN_FILE not in held:
        names = ", ".join(sorted(held)[:5]) + (" …" if len(held) > 5 else "")
        raise TrackingError(
            f"the run has no {RUN_FILE} (its files: {names or 'none'}), so it belongs to "
            "another program or did not finish; train runs of the earlier notebooks again: "
            "desc train --audio_db_dir FOLDER"
        )
    for name in (name for name in DOWNLOADED if name in held):
        try:
            worker.wait()
        except TrackingError as error:
            raise TrackingError(f"{name} could not be downloaded: {error}") from error
        arrived = (folder / name).stat().st_size
        if arrived != held[name]:
            raise TrackingError(
                f"{name} arrived damaged ({held[name]} bytes there, {arrived} here)"
            )

"""A run on a W&B server: started or gone on with, sent, and read back."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from desc.configuration import RunConfig
from desc.errors import RunNotFoundError, TrackingError
from desc.files import write_json
from desc.runs.access import offline_reason
from desc.runs.integrity import differences
from desc.runs.metrics_file import read_metrics
from desc.runs.record import CONFIG_FILE, METRICS_FILE, UPLOAD_FILE, Record, now, run_files
from desc.runs.resolve import find_local
from desc.runs.worker import START_LIMIT_S, Worker

INIT_TIMEOUT_S = 8.0  # wandb's own limit at the start of a run
INIT_LIMIT_S = 15.0  # that and its way out
CHECK_LIMIT_S = 30.0  # the server asked before and after the upload
SLOWEST_UPLOAD = 250_000  # bytes per second


class FilesDifferError(TrackingError):
    """The server answered, but does not hold what was sent."""


def write_request(
    run_id: str,
    run_config: RunConfig,
    config: Mapping[str, Any],
    *,
    online: bool,
    resume: bool,
    notes: str = "",
) -> dict[str, Any]:
    """Return the request by which a worker starts a run, or goes on with it."""
    return {
        "task": "write",
        "run_id": run_id,
        "entity": run_config.entity,
        "project": run_config.project,
        "folder": str(Path(run_config.experiment_dir).absolute()),
        "config": dict(config),
        "notes": notes,
        "mode": "online" if online else "offline",
        "resume": resume,
        "init_timeout_s": INIT_TIMEOUT_S,
        "process_id": os.getpid(),
    }


def send_rows(worker: Worker, rows: list[dict[str, float]], next_step: int = 0) -> None:
    """Log rows that a run's log holds and the other side does not."""
    for row in rows:
        if row["step"] >= next_step:
            worker.send(do="log", metrics=row)


def finish_online(
    worker: Worker,
    folder: Path,
    files: list[str],
    metrics: Mapping[str, float],
    *,
    exit_code: int = 0,
    limit_s: float = math.inf,
) -> None:
    """Send the files and the end of a run, and read back that they arrived.

    Raises
    ------
    FilesDifferError
        If the server answers but does not hold the files as they are here.
    TrackingError
        If it does not answer, or not in time.
    """
    n_bytes = sum((folder / name).stat().st_size for name in files)
    upload_limit_s = min(30.0 + n_bytes / SLOWEST_UPLOAD, limit_s)
    worker.send(
        do="finish",
        folder=str(folder.absolute()),
        files=files,
        summary=dict(metrics),
        exit_code=exit_code,
        limit_s=upload_limit_s,
    )
    held = worker.wait("finished", min(upload_limit_s + CHECK_LIMIT_S, limit_s))["files"]
    wrong = differences(folder, files, held)
    if wrong:
        raise FilesDifferError("the server does not hold what was sent: " + "; ".join(wrong))


def mark_uploaded(folder: Path, started: Mapping[str, Any]) -> str:
    """Note in the run's folder where its files were seen whole, and return the run's address."""
    path, url = str(started["path"]), str(started["url"])
    write_json(folder / UPLOAD_FILE, {"path": path, "url": url, "verified": now()}, indent=2)
    return url or path


def send_run(
    record: Record,
    run_config: RunConfig,
    config: Mapping[str, Any],
    timeout_s: float,
    *,
    exit_code: int = 0,
) -> str:
    """Send a run that is whole on this machine: what of its log is missing, then its files.

    The run is taken up again under its id (`resume`), which works however much of it is there.
    `wandb sync` of its folder does not: measured, it repeats every row that had arrived, and puts
    an earlier session's config and summary over a later one's.

    Returns
    -------
    str
        The run's web address.

    Raises
    ------
    TrackingError
        If the server does not hold all of it in the end; the message says why.
    """
    deadline = time.monotonic() + timeout_s

    def left(limit_s: float) -> float:
        return max(0.0, min(limit_s, deadline - time.monotonic()))

    request = write_request(
        record.run_id,
        run_config,
        config,
        online=True,
        resume=True,
        notes=record.notes,
    )
    with Worker(request, "online") as worker:
        worker.wait("ready", left(START_LIMIT_S))
        started = worker.wait("started", left(INIT_LIMIT_S))
        if (record.folder / METRICS_FILE).is_file():
            rows = read_metrics(record.folder / METRICS_FILE)
            send_rows(worker, rows, int(started["next_step"]))
        finish_online(
            worker,
            record.folder,
            run_files(record.folder),
            record.metrics,
            exit_code=exit_code,
            limit_s=left(math.inf),
        )
    return mark_uploaded(record.folder, started)


def upload_run(run_id: str, run_config: RunConfig | None = None, timeout_s: float = 600.0) -> str:
    """Send a run of this machine to the W&B server, and read back that it arrived.

    Parameters
    ----------
    run_id : str
        Id of the run, or path of its folder.
    run_config : RunConfig, optional
        Where runs are kept; the run goes into its entity and the run's own project.
    timeout_s : float
        Longest time for everything, seconds.

    Returns
    -------
    str
        The run's web address.

    Raises
    ------
    RunNotFoundError
        If there is no such run on this machine.
    TrackingError
        If W&B may not be asked (no key, offline), does not answer, or does not hold every file
        in the end; the message names them. The run here is whole in any case.
    """
    run_config = run_config or RunConfig()
    tried: list[str] = []
    record = find_local(run_id, run_config, tried=tried, record_type=Record)
    if record is None:
        places = "\n  ".join(tried)
        raise RunNotFoundError(f"run {run_id} was not found on this machine:\n  {places}")
    reason = offline_reason(run_config)
    if reason is not None:
        raise TrackingError(f"run {record.run_id} was not sent: {reason}")
    try:
        entity = run_config.entity or record.entity
        target = replace(run_config, project=record.project, entity=entity)
        return send_run(record, target, read_config(record), timeout_s)
    except TrackingError as error:
        raise TrackingError(
            f"run {record.run_id} was not sent whole (time limit {timeout_s:g} s): {error}"
        ) from error


def read_config(record: Record) -> dict[str, Any]:
    """Return the config a run was started with, that of its record where none was kept."""
    try:
        config = json.loads((record.folder / CONFIG_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return record.settings
    return config if isinstance(config, dict) else record.settings

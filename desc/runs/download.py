"""A run's files from a W&B server into the cache: bounded in time, checked, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from desc.errors import TrackingError
from desc.runs.integrity import difference
from desc.runs.record import CHECKPOINTS, METRICS_FILE, RUN_FILE, STATISTICS_FILE
from desc.runs.worker import START_LIMIT_S, Worker

FIND_LIMIT_S = 25.0  # four answers of at most 5 s
SLOWEST_DOWNLOAD = 100_000  # bytes per second


def fetch_run(
    entity: str | None, project: str, run_id: str, download_dir: Path, timeout_s: float
) -> Path:
    """Download a run into `download_dir/<entity>/<project>/<run_id>` and return that folder.

    Raises
    ------
    TrackingError
        If the server does not answer in time, has no such run, has it without this program's
        files, or sends other bytes than it says it holds.
    """
    deadline = time.monotonic() + timeout_s
    request = {"task": "read", "entity": entity, "project": project, "run_id": run_id}
    with Worker(request, "online") as worker:
        worker.wait("ready", min(timeout_s, START_LIMIT_S))
        found = worker.wait("found", min(FIND_LIMIT_S, deadline - time.monotonic()))
        held: dict[str, Any] = found["files"]
        if RUN_FILE not in held:
            raise TrackingError(_no_record(sorted(held)))
        target = download_dir / str(found["entity"]) / project / run_id
        try:
            _fetch_all(worker, held, target, deadline)
        except OSError as error:
            raise TrackingError(f"{target} cannot be written: {error.strerror}") from error
    return target


def _fetch_all(worker: Worker, held: dict[str, Any], target: Path, deadline: float) -> None:
    """Fetch a run's files beside `target`, then put them there together."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        folder = Path(temporary) / target.name
        for name in (*CHECKPOINTS, STATISTICS_FILE, METRICS_FILE, RUN_FILE):
            if name in held:
                _fetch_file(worker, name, held[name], folder, deadline)
        _put_in_place(folder, target)


def _no_record(names: list[str]) -> str:
    listed = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return (
        f"the run is there without {RUN_FILE} (its files: {listed or 'none'}), so it was not made "
        "by this program, or did not finish; a run of the earlier notebooks has to be trained "
        "anew: desc train --audio_db_dir FOLDER"
    )


def _fetch_file(
    worker: Worker, name: str, held: dict[str, Any], folder: Path, deadline: float
) -> None:
    """Fetch one file and compare it with what the server says about it."""
    worker.send(name=name, folder=str(folder))
    own_limit = 20.0 + held["size"] / SLOWEST_DOWNLOAD
    try:
        worker.wait("fetched", min(own_limit, deadline - time.monotonic()))
    except TrackingError as error:
        raise TrackingError(f"{name} could not be fetched: {error}") from error
    wrong = difference(folder / name, held)
    if wrong:
        raise TrackingError(f"{name} arrived damaged ({wrong}) and was not kept")


def _put_in_place(folder: Path, target: Path) -> None:
    """Move a whole run to its place; one that is damaged there makes room."""
    if target.exists():
        shutil.rmtree(target)
    folder.rename(target)

"""Finding runs: from an id or a path to a record, locally first, on W&B last."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from desc.configuration import RunConfig, TrainConfig
from desc.errors import CheckpointError, RunNotFoundError, StorageError, TrackingError
from desc.files import temporary_beside
from desc.runs.credentials import offline_reason
from desc.runs.label import LAST, folder_named, near_names
from desc.runs.record import RUN_FILE, R, Record, RunRecord
from desc.runs.wandb_sync import fetch_run

logger = logging.getLogger(__name__)

_PART = re.compile(r"[\w\-][\w\-. ]*")


def resolve_run(
    run_id_or_path: str | Path,
    run: RunConfig = RunConfig(),
    download_dir: Path | None = None,
    *,
    timeout_s: float = 300.0,
) -> RunRecord:
    """Return the run with an id or at a path; the network is asked only if all else fails.

    Searched in turn: the path of a run's folder or of a .ckpt file; `<experiment_dir>/<project>/
    <run_id>`; the names of runs; other projects there; runs downloaded earlier; the W&B server.

    Parameters
    ----------
    run_id_or_path : str or Path
        A path, `run_id`, `project/run_id`, `entity/project/run_id` or a run's name; `last` is the
        newest run of the project.
    run : RunConfig
        Where runs are kept; with `offline` (or WANDB_MODE=offline) no server is asked.
    download_dir : Path, optional
        Folder of downloaded runs; by default in the cache of this program.
    timeout_s : float
        Time limit of a download, seconds.

    Raises
    ------
    RunNotFoundError
        If no place has the run, or several runs have the name; the message names every place with
        the reason.
    CheckpointError
        If a path was given and its file is damaged or of another program.
    """
    return resolve_record(RunRecord, run_id_or_path, run, download_dir, timeout_s=timeout_s)


def resolve_record(
    record_type: type[R],
    run_id_or_path: str | Path,
    run: RunConfig = RunConfig(),
    download_dir: Path | None = None,
    *,
    timeout_s: float = 300.0,
) -> R:
    """Return a run of one kind, or of any kind for `Record`, as `resolve_run` does.

    With a `timeout_s` of 0 only this machine is searched.
    """
    text = str(run_id_or_path)
    if not text.strip():
        raise RunNotFoundError("no run is named:\n  run_id is empty; give a run's id or folder")
    tried: list[str] = []
    record = _at_path(record_type, Path(text).expanduser(), tried)
    if record is not None:
        return record
    if text == LAST:
        return _last(record_type, run)
    for folder in _folders(text, run, download_dir, timeout_s, tried):
        try:
            return record_type.load(folder)
        except CheckpointError as error:
            tried.append(str(error))
    near = near_names(text, run)
    raise RunNotFoundError(f"run {text} was not found{near or ':'}\n  " + "\n  ".join(tried))


def list_runs(run: RunConfig = RunConfig()) -> list[Record]:
    """Return the runs of a project on this machine, of any kind, oldest first.

    A run with a damaged record is left out, with a warning.

    Parameters
    ----------
    run : RunConfig
        Its `experiment_dir` and `project` name the folder of the runs.
    """
    records: list[Record] = []
    for path in (Path(run.experiment_dir) / run.project).glob(f"[!.]*/{RUN_FILE}"):
        try:
            records.append(Record.load(path.parent))
        except CheckpointError as error:
            logger.warning("skipped: %s", error)
    return sorted(records, key=lambda record: (record.created, record.run_id))


def delete_run(record: Record) -> None:
    """Remove the folder of a run, at once; of a link to a folder, both.

    Raises
    ------
    StorageError
        If a process trains the run, or the folder cannot be removed.
    """
    folder = record.folder.resolve()
    if record.state == "running":
        raise StorageError(f"{folder}: a process is training this run; stop it first")
    if not (folder / RUN_FILE).is_file():
        raise StorageError(f"{folder}: contains no {RUN_FILE}, so it is not removed")
    removed = temporary_beside(folder)  # a run that is half removed must not look like one
    try:
        folder.rename(removed)
        shutil.rmtree(removed)
        if record.folder.is_symlink():
            record.folder.unlink()
    except OSError as error:
        raise StorageError(f"{folder}: cannot be removed: {error.strerror or error}") from error


def _last(record_type: type[R], run: RunConfig) -> R:
    """Return the newest run of a project."""
    records = [record for record in list_runs(run) if isinstance(record, record_type)]
    if not records:
        raise RunNotFoundError(f"{run.experiment_dir}/{run.project}: there is no run yet")
    record = records[-1]
    logger.info("the last run is %s", " ".join(filter(None, (record.run_id, record.name))))
    return record


def _at_path(record_type: type[R], path: Path, tried: list[str]) -> R | None:
    """Return the run of a folder, a `run.json` or a checkpoint; damage is an error here."""
    if path.is_file() and path.name == RUN_FILE:
        path = path.parent
    if path.is_file() and path.suffix == ".ckpt":
        for folder in (path.parent.parent, path.parent):
            if (folder / RUN_FILE).is_file():
                try:
                    return replace(record_type.load(folder), checkpoint_file=path)
                except CheckpointError as error:
                    logger.warning("%s; the settings in %s are used", error, path.name)
                    break
        if issubclass(RunRecord, record_type):
            return _record_of(path)  # type: ignore[return-value]
        raise CheckpointError(f"{path}: no {RUN_FILE} beside this checkpoint")
    if (path / RUN_FILE).is_file():
        return record_type.load(path)
    state = f"contains no {RUN_FILE}" if path.is_dir() else "no such run folder or .ckpt file"
    tried.append(f"path {path}: {state}")
    return None


def _record_of(checkpoint: Path) -> RunRecord:
    """Return a record made from a checkpoint without a run."""
    from desc.models.checkpoint import load_model

    model = load_model(checkpoint)
    return RunRecord(
        run_id=checkpoint.stem,
        folder=checkpoint.parent,
        descriptor_config=model.descriptor_config,
        model_config=model.model_config,
        train_config=TrainConfig(),
        checkpoint_file=checkpoint,
        status="stopped",
    )


def _folders(
    text: str, run: RunConfig, download_dir: Path | None, timeout_s: float, tried: list[str]
) -> Iterator[Path]:
    """Yield the folders with a `run.json` for an id, `project/id`, `entity/project/id` or a name.

    The last one is downloaded. Places without the run are added to `tried`.
    """
    if "/" not in text and (folder := folder_named(text, run)) is not None:
        yield folder
    parts = text.strip("/").split("/")
    if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
        return
    entity = parts[0] if len(parts) == 3 else run.entity
    project, run_id = parts[-2] if len(parts) >= 2 else run.project, parts[-1]
    root = Path(run.experiment_dir)
    folder = root / project / run_id
    if (folder / RUN_FILE).is_file():
        yield folder
    else:
        state = f"contains no {RUN_FILE}" if folder.is_dir() else "not found"
        tried.append(f"{folder}: {state}")
    for path in sorted(root.glob(f"*/{run_id}/{RUN_FILE}")):
        if path.parent != folder:
            found = path.parent.parent.name
            logger.info("run %s was found in project %s, not %s", run_id, found, project)
            yield path.parent
    tried.append(f"{root}/*/{run_id}: not in any other project")
    if download_dir is None:
        from desc.storage import default_cache_dir

        download_dir = default_cache_dir() / "runs"
    pattern = f"{entity or '*'}/{project}/{run_id}"
    yield from (path.parent for path in sorted(download_dir.glob(f"{pattern}/{RUN_FILE}")))
    tried.append(f"downloads {download_dir}/{pattern}: not found")
    if timeout_s <= 0:
        return
    reason = offline_reason(run)
    name = "/".join(filter(None, (entity, project, run_id)))
    if reason is not None:
        tried.append(f"W&B {name}: not contacted ({reason})")
        return
    try:
        yield fetch_run(entity, project, run_id, download_dir, timeout_s)
    except TrackingError as error:
        tried.append(f"W&B {name}: {error}")

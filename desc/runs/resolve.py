"""From a run id or a path to a `RunRecord`: locally first, W&B last."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from desc.configuration import Note, RunConfig, TrainConfig
from desc.errors import CheckpointError, RunNotFoundError, TrackingError
from desc.runs.access import offline_reason
from desc.runs.download import fetch_run
from desc.runs.record import RUN_FILE, R, Record
from desc.runs.record_types import RunRecord, load_record

_PART = re.compile(r"[\w\-][\w\-. ]*")


@dataclass(frozen=True)
class RunName:
    """A run as W&B names it; without an entity, that of the key."""

    entity: str | None
    project: str
    run_id: str

    @classmethod
    def parse(cls, text: str, run_config: RunConfig) -> RunName | None:
        """Read `id`, `project/id` or `entity/project/id`; None where it is none of these."""
        parts = text.strip("/").split("/")
        if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
            return None
        entity, project = run_config.entity, run_config.project
        if len(parts) == 3:
            entity = parts[0]
        if len(parts) >= 2:
            project = parts[-2]
        return cls(entity, project, parts[-1])

    def __str__(self) -> str:
        entity = f"{self.entity}/" if self.entity else ""
        return f"{entity}{self.project}/{self.run_id}"


def _at_path(text: str, tried: list[str], record_type: type[R]) -> R | None:
    """Return the run whose folder, `run.json` or checkpoint `text` is, if it is one."""
    path = Path(text).expanduser()
    if path.is_file() and path.name == RUN_FILE:
        path = path.parent
    if path.is_file() and path.suffix == ".ckpt":
        return _of_checkpoint(path, record_type)
    if (path / RUN_FILE).is_file():
        return _load(path, record_type)
    state = f"holds no {RUN_FILE}" if path.is_dir() else "no such run folder or .ckpt file"
    tried.append(f"path {path}: {state}")
    return None


def _load(folder: Path, record_type: type[R]) -> R:
    """Read a record of one kind, or of any where the type is the root of them all."""
    if record_type is Record:
        return load_record(folder)  # type: ignore[return-value]
    return record_type.load(folder)


def _of_checkpoint(path: Path, record_type: type[R]) -> R:
    """Return the record beside a checkpoint, or what the checkpoint itself tells."""
    for folder in (path.parent.parent, path.parent):
        if (folder / RUN_FILE).is_file():
            return replace(_load(folder, record_type), checkpoint_file=path)
    if not issubclass(RunRecord, record_type):
        raise CheckpointError(f"{path}: a checkpoint of this kind is found by its {RUN_FILE}")
    from desc.models.checkpoint import load_model

    model = load_model(path)
    return RunRecord(  # type: ignore[return-value]
        run_id=path.stem,
        folder=path.parent,
        descriptor_config=model.descriptor_config,
        model_config=model.model_config,
        train_config=TrainConfig(),
        checkpoint_file=path,
        status="stopped",
    )


def _in_folder(folder: Path, label: str, tried: list[str], record_type: type[R]) -> R | None:
    """Return the run kept in `folder`; a damaged one counts as not found, with its reason."""
    if not (folder / RUN_FILE).is_file():
        tried.append(f"{label}: " + (f"holds no {RUN_FILE}" if folder.is_dir() else "not there"))
        return None
    try:
        return _load(folder, record_type)
    except CheckpointError as error:
        tried.append(str(error))
        return None


def _in_experiments(
    name: RunName,
    run_config: RunConfig,
    tried: list[str],
    note: Note | None,
    record_type: type[R],
) -> R | None:
    """Look into the project's folder of runs, then into those of the other projects."""
    root = Path(run_config.experiment_dir)
    folder = root / name.project / name.run_id
    record = _in_folder(folder, str(folder), tried, record_type)
    if record is not None:
        return record
    for other in sorted(root.glob(f"*/{name.run_id}/{RUN_FILE}")):
        project = other.parent.parent.name
        if project != name.project:
            record = _in_folder(other.parent, str(other), tried, record_type)
        if record is not None:
            if note is not None:
                note(f"run {name.run_id} was found in project {project}, not {name.project}")
            return record
    tried.append(f"{root}/*/{name.run_id}: no other project has it")
    return None


def _in_downloads(
    name: RunName, download_dir: Path, tried: list[str], record_type: type[R]
) -> R | None:
    """Look among the runs fetched from W&B earlier."""
    pattern = f"{name.entity or '*'}/{name.project}/{name.run_id}/{RUN_FILE}"
    for path in sorted(download_dir.glob(pattern)):
        record = _in_folder(path.parent, str(path.parent), tried, record_type)
        if record is not None:
            return record
    tried.append(f"downloads {download_dir}/{pattern.removesuffix('/' + RUN_FILE)}: not there")
    return None


def _on_server(
    name: RunName,
    run_config: RunConfig,
    download_dir: Path,
    tried: list[str],
    record_type: type[R],
    *,
    timeout_s: float,
) -> R | None:
    """Fetch the run from W&B, unless there is a reason not to ask."""
    reason = offline_reason(run_config)
    if reason is not None:
        tried.append(f"W&B {name}: not asked ({reason})")
        return None
    try:
        folder = fetch_run(name.entity, name.project, name.run_id, download_dir, timeout_s)
    except TrackingError as error:
        tried.append(f"W&B {name}: {error}")
        return None
    return _in_folder(folder, str(folder), tried, record_type)


def resolve_run(
    run_id_or_path: str | Path,
    run_config: RunConfig | None = None,
    download_dir: Path | None = None,
    *,
    note: Note | None = None,
    timeout_s: float = 300.0,
) -> RunRecord:
    """Return the run with an id or at a path, asking a network only where all else fails.

    Looked at in turn: the path of a run's folder or of a .ckpt file; `<experiment_dir>/<project>/
    <run_id>`, then other projects there; runs downloaded earlier; the W&B server.

    Parameters
    ----------
    run_id_or_path : str or Path
        A path, or `run_id`, `project/run_id` or `entity/project/run_id`.
    run_config : RunConfig, optional
        Where runs are kept; with `offline` (or WANDB_MODE=offline) no server is asked.
    download_dir : Path, optional
        Where downloaded runs are kept, by default in the cache of this program.
    note : callable, optional
        Gets a line where the run is found in another project.
    timeout_s : float
        Longest time for a download, seconds.

    Raises
    ------
    RunNotFoundError
        If no place has the run; the message names every place with the reason.
    CheckpointError
        If a path was given and what is there is damaged or of another program.
    """
    return resolve_record(
        RunRecord, run_id_or_path, run_config, download_dir, note=note, timeout_s=timeout_s
    )


def resolve_record(
    record_type: type[R],
    run_id_or_path: str | Path,
    run_config: RunConfig | None = None,
    download_dir: Path | None = None,
    *,
    note: Note | None = None,
    timeout_s: float = 300.0,
) -> R:
    """Return a run of one kind as `resolve_run` does; `Record` stands for any kind."""
    run_config = run_config or RunConfig()
    tried: list[str] = []
    text = str(run_id_or_path)
    record = find_local(text, run_config, tried=tried, note=note, record_type=record_type)
    name = RunName.parse(text, run_config)
    if record is None and name is not None:
        if download_dir is None:
            from desc.storage import default_cache_dir

            download_dir = default_cache_dir() / "runs"
        record = _in_downloads(name, download_dir, tried, record_type) or _on_server(
            name, run_config, download_dir, tried, record_type, timeout_s=timeout_s
        )
    if record is None:
        raise RunNotFoundError(f"run {text} was not found:\n  " + "\n  ".join(tried))
    return record


def find_local(
    run_id_or_path: str,
    run_config: RunConfig,
    *,
    tried: list[str],
    note: Note | None = None,
    record_type: type[R],
) -> R | None:
    """Return the run at a path or below `experiment_dir`; `tried` gets the places without it."""
    record = _at_path(run_id_or_path, tried, record_type)
    name = RunName.parse(run_id_or_path, run_config)
    if record is None and name is not None:
        record = _in_experiments(name, run_config, tried, note, record_type)
    return record


def list_runs(run_config: RunConfig | None = None, *, note: Note | None = None) -> list[Record]:
    """Return the runs of a project on this machine, of any kind, oldest first.

    A run whose record is damaged is left out, and `note` gets a line that names it.
    """
    run_config = run_config or RunConfig()
    records: list[Record] = []
    root = Path(run_config.experiment_dir) / run_config.project
    for path in root.glob(f"*/{RUN_FILE}"):
        try:
            records.append(load_record(path.parent))
        except CheckpointError as error:
            if note is not None:
                note(f"left out: {error}")
    return sorted(records, key=lambda record: (record.created, record.run_id))

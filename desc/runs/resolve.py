"""Finding runs: from an id or a path to a record, locally first, on W&B last."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic

from desc.configuration import RunConfig, TrainConfig
from desc.errors import CheckpointError, RunNotFoundError, TrackingError
from desc.runs.credentials import offline_reason
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
    <run_id>`, then other projects there; runs downloaded earlier; the W&B server.

    Parameters
    ----------
    run_id_or_path : str or Path
        A path, or `run_id`, `project/run_id` or `entity/project/run_id`.
    run : RunConfig
        Where runs are kept; with `offline` (or WANDB_MODE=offline) no server is asked.
    download_dir : Path, optional
        Folder of downloaded runs; by default in the cache of this program.
    timeout_s : float
        Time limit of a download, seconds.

    Raises
    ------
    RunNotFoundError
        If no place has the run; the message names every place with the reason.
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
    """Return a run of one kind, or of any kind for `Record`, as `resolve_run` does."""
    text = str(run_id_or_path)
    search = _Search(record_type)
    record = search.path(Path(text).expanduser())
    name = RunName.parse(text, run)
    if record is None and name is not None:
        if download_dir is None:
            from desc.storage import default_cache_dir

            download_dir = default_cache_dir() / "runs"
        record = (
            search.experiments(name, Path(run.experiment_dir))
            or search.downloads(name, download_dir)
            or search.server(name, run, download_dir, timeout_s)
        )
    if record is None:
        raise RunNotFoundError(f"run {text} was not found:\n  " + "\n  ".join(search.tried))
    return record


def list_runs(run: RunConfig = RunConfig()) -> list[Record]:
    """Return the runs of a project on this machine, of any kind, oldest first.

    A run with a damaged record is left out, with a warning.

    Parameters
    ----------
    run : RunConfig
        Its `experiment_dir` and `project` name the folder of the runs.
    """
    records: list[Record] = []
    for path in (Path(run.experiment_dir) / run.project).glob(f"*/{RUN_FILE}"):
        try:
            records.append(Record.load(path.parent))
        except CheckpointError as error:
            logger.warning("skipped: %s", error)
    return sorted(records, key=lambda record: (record.created, record.run_id))


@dataclass(frozen=True)
class RunName:
    """Name of a run on W&B; entity None is that of the API key."""

    entity: str | None
    project: str
    run_id: str

    @classmethod
    def parse(cls, text: str, run: RunConfig) -> RunName | None:
        """Read `id`, `project/id` or `entity/project/id`; None for anything else."""
        parts = text.strip("/").split("/")
        if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
            return None
        entity = parts[0] if len(parts) == 3 else run.entity
        project = parts[-2] if len(parts) >= 2 else run.project
        return cls(entity, project, parts[-1])

    def __str__(self) -> str:
        entity = f"{self.entity}/" if self.entity else ""
        return f"{entity}{self.project}/{self.run_id}"


@dataclass(frozen=True)
class _Search(Generic[R]):
    """A search for a run; each method looks in one place and records the result."""

    record_type: type[R]
    tried: list[str] = field(default_factory=list)

    def path(self, path: Path) -> R | None:
        """Return the run of a folder, a `run.json` or a checkpoint; damage is an error here."""
        if path.is_file() and path.name == RUN_FILE:
            path = path.parent
        if path.is_file() and path.suffix == ".ckpt":
            return self._checkpoint(path)
        if (path / RUN_FILE).is_file():
            return self.record_type.load(path)
        state = f"contains no {RUN_FILE}" if path.is_dir() else "no such run folder or .ckpt file"
        self.tried.append(f"path {path}: {state}")
        return None

    def experiments(self, name: RunName, root: Path) -> R | None:
        """Look in the project's folder of runs, then in those of the other projects."""
        folder = root / name.project / name.run_id
        record = self._folder(folder)
        if record is not None:
            return record
        for other in sorted(root.glob(f"*/{name.run_id}/{RUN_FILE}")):
            project = other.parent.parent.name
            record = self._folder(other.parent) if project != name.project else None
            if record is not None:
                logger.info(
                    "run %s was found in project %s, not %s", name.run_id, project, name.project
                )
                return record
        self.tried.append(f"{root}/*/{name.run_id}: not in any other project")
        return None

    def downloads(self, name: RunName, download_dir: Path) -> R | None:
        """Look among the runs downloaded earlier."""
        pattern = f"{name.entity or '*'}/{name.project}/{name.run_id}"
        for path in sorted(download_dir.glob(f"{pattern}/{RUN_FILE}")):
            record = self._folder(path.parent)
            if record is not None:
                return record
        self.tried.append(f"downloads {download_dir}/{pattern}: not found")
        return None

    def server(
        self, name: RunName, run: RunConfig, download_dir: Path, timeout_s: float
    ) -> R | None:
        """Download the run from W&B, unless there is a reason not to ask."""
        reason = offline_reason(run)
        if reason is not None:
            self.tried.append(f"W&B {name}: not contacted ({reason})")
            return None
        try:
            folder = fetch_run(name.entity, name.project, name.run_id, download_dir, timeout_s)
        except TrackingError as error:
            self.tried.append(f"W&B {name}: {error}")
            return None
        return self._folder(folder)

    def _folder(self, folder: Path) -> R | None:
        """Return the run in a folder; a damaged one counts as not found."""
        if not (folder / RUN_FILE).is_file():
            state = f"contains no {RUN_FILE}" if folder.is_dir() else "not found"
            self.tried.append(f"{folder}: {state}")
            return None
        try:
            return self.record_type.load(folder)
        except CheckpointError as error:
            self.tried.append(str(error))
            return None

    def _checkpoint(self, path: Path) -> R:
        """Return the record beside a checkpoint, else one made from the checkpoint itself."""
        for folder in (path.parent.parent, path.parent):
            if (folder / RUN_FILE).is_file():
                return replace(self.record_type.load(folder), checkpoint_file=path)
        if not issubclass(RunRecord, self.record_type):
            raise CheckpointError(f"{path}: no {RUN_FILE} beside this checkpoint")
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

"""`Record`: what is known about any run, and its files."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import desc
from desc.configuration import check_choice
from desc.errors import CheckpointError, ConfigurationError
from desc.files import write_json

RUN_FILE = "run.json"
STATISTICS_FILE = "statistics.npz"
METRICS_FILE = "metrics.csv"
CONFIG_FILE = "config.json"
UPLOAD_FILE = "upload.json"
SAMPLES = "samples"  # folder of the audio samples
CHECKPOINTS = tuple(f"checkpoints/{name}.ckpt" for name in ("last", "best", "planned_best"))
FORMAT, VERSION = "desc-run", 1
DESCRIPTORS = "descriptors"  # kind of a run whose record names none
STATUSES = ("running", "finished", "stopped", "failed")

_PACKAGES = ("torch", "numpy", "scipy", "soundfile", "soxr", "pytorch-lightning", "wandb")


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and those that decide a result."""
    found = {"python": platform.python_version(), "desc": desc.__version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def run_files(folder: Path) -> list[str]:
    """Return the names of a run's files that exist, relative to its folder."""
    samples = sorted(path.name for path in (folder / SAMPLES).glob("[!.]*.wav"))
    names = (RUN_FILE, METRICS_FILE, STATISTICS_FILE, *CHECKPOINTS)
    names += tuple(f"{SAMPLES}/{name}" for name in samples)
    return [name for name in names if (folder / name).is_file()]


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


R = TypeVar("R", bound="Record")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known about any run: its settings, its figures and the folder that holds its files.

    The folder holds `run.json` (this record), `metrics.csv` (the log) and
    `checkpoints/{last,best}.ckpt`. It may be moved or copied.

    Attributes
    ----------
    run_id : str
        8 of a-z0-9.
    folder : Path
        Where the record was read from.
    metrics : dict of str to float
        Final figures; NaN where one could not be computed.
    training_files, validation_files : dict of str to str
        Content digest → path relative to the folder of recordings.
    created : str
        ISO 8601, UTC.
    versions : dict of str to str
        See `versions`.
    schedule : dict
        The schedule of the learning rate as it was fixed at the start, plain JSON values.
    offline : bool
        Whether the run was made without a W&B server; `uploaded` tells whether it was sent since.
    status : str
        running, finished, stopped (by a limit or the user) or failed.
    checkpoint_file : Path, optional
        The one checkpoint to use, where the run was named by a checkpoint.
    """

    kind: ClassVar[str]

    run_id: str
    folder: Path
    metrics: dict[str, float] = field(default_factory=dict)
    training_files: dict[str, str] = field(default_factory=dict)
    validation_files: dict[str, str] = field(default_factory=dict)
    created: str = field(default_factory=now)
    versions: dict[str, str] = field(default_factory=versions)
    schedule: dict[str, Any] = field(default_factory=dict)
    offline: bool = True
    status: str = "finished"
    project: str = "descriptor_model"
    entity: str | None = None
    checkpoint_file: Path | None = None

    def __post_init__(self) -> None:
        check_choice("status", self.status, STATUSES)

    @property
    def model_name(self) -> str:
        """What was trained."""
        raise NotImplementedError

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """The settings by name of their group, as they stand in `run.json`."""
        raise NotImplementedError

    @classmethod
    def read_configs(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments that undo `configs`."""
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, Any]:
        """All settings in one dictionary, as W&B shows them: one spelling everywhere."""
        return {name: value for group in self.configs.values() for name, value in group.items()}

    @property
    def notes(self) -> str:
        """The free text kept with the run."""
        return str(self.settings.get("notes", ""))

    def save(self) -> None:
        """Write `run.json` into the run's folder, at once."""
        write_json(self.folder / RUN_FILE, self._to_dict(), indent=2)

    def _to_dict(self) -> dict[str, Any]:
        figures = {k: float(v) if math.isfinite(v) else None for k, v in self.metrics.items()}
        return {
            "format": FORMAT,
            "version": VERSION,
            "kind": self.kind,
            "run_id": self.run_id,
            "project": self.project,
            "entity": self.entity,
            "created": self.created,
            "status": self.status,
            "offline": self.offline,
            **self.configs,
            "metrics": figures,
            "schedule": self.schedule,
            "training_files": self.training_files,
            "validation_files": self.validation_files,
            "versions": self.versions,
        }

    @classmethod
    def load(cls: type[R], folder: Path) -> R:
        """Read the record of the run in `folder`.

        Raises
        ------
        CheckpointError
            If `run.json` is missing, damaged, of another program, of a newer format or of a run
            of another kind.
        """
        path = folder / RUN_FILE
        content = read_run_file(path)
        kind = content.get("kind", DESCRIPTORS)
        if kind != cls.kind:
            raise CheckpointError(f"{path}: a run of kind {kind!r}; this needs one of {cls.kind!r}")
        try:
            return cls._from_dict(content, folder)
        except (ConfigurationError, KeyError, TypeError, AttributeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise CheckpointError(f"{path}: not a complete record of a run: {reason}") from error

    @classmethod
    def _from_dict(cls: type[R], content: dict[str, Any], folder: Path) -> R:
        metrics = {k: math.nan if v is None else float(v) for k, v in content["metrics"].items()}
        return cls(
            run_id=content["run_id"],
            folder=folder,
            **cls.read_configs(content),
            metrics=metrics,
            training_files=dict(content["training_files"]),
            validation_files=dict(content["validation_files"]),
            created=content["created"],
            versions=dict(content["versions"]),
            schedule=dict(content["schedule"]),
            offline=content["offline"],
            status=content["status"],
            project=content["project"],
            entity=content["entity"],
        )

    def checkpoint(self, which: str = "best") -> Path:
        """Return the path of the `best` checkpoint (else the last one), or of the `last`.

        Raises
        ------
        CheckpointError
            If the run has none.
        """
        check_choice("which", which, ("best", "last"))
        if self.checkpoint_file is not None:
            return self.checkpoint_file
        names = ("best", "last") if which == "best" else ("last",)
        for name in names:
            path = self.folder / "checkpoints" / f"{name}.ckpt"
            if path.is_file():
                return path
        raise CheckpointError(
            f"{self.folder}: run {self.run_id} ({self.status}) has no checkpoint "
            + " or ".join(f"checkpoints/{name}.ckpt" for name in names)
        )

    @property
    def uploaded(self) -> str | None:
        """`entity/project/id` where the files were seen whole on the W&B server, or None."""
        try:
            content = json.loads((self.folder / UPLOAD_FILE).read_text("utf-8"))
            return str(content["path"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def read_run_file(path: Path) -> dict[str, Any]:
    """Return the content of a `run.json` whose format and version are known."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not the record of a run (format must be {FORMAT!r})")
    version = content.get("version")
    if not isinstance(version, int) or version < 1:
        raise CheckpointError(f"{path}: damaged: version={version!r} must be a positive integer")
    if version > VERSION:
        raise CheckpointError(
            f"{path}: version={version} is newer than this program knows "
            f"(up to {VERSION}); update the package"
        )
    return content

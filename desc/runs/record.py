"""Records of runs: settings, results and files of a run, kept as `run.json` in its folder."""

from __future__ import annotations

import importlib.metadata
import logging
import math
import platform
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

import desc
from desc.configuration import (
    ModelConfig,
    TrainConfig,
    check,
    check_choice,
    from_dict,
    to_dict,
)
from desc.descriptors.config import DescriptorConfig
from desc.errors import CheckpointError, StorageError
from desc.files import read_json, read_npz, replacing, write_json
from desc.runs.label import LABEL_FILE, read_label
from desc.runs.lock import is_locked

logger = logging.getLogger(__name__)
RUN_FILE = "run.json"
STATISTICS_FILE = "statistics.npz"
METRICS_FILE = "metrics.csv"
UPLOAD_FILE = "upload.json"
SAMPLES = "samples"  # folder of the audio samples
CHECKPOINTS = tuple(f"checkpoints/{name}.ckpt" for name in ("last", "best", "planned_best"))
FORMAT, VERSION = "desc-run", 1
STATUSES = ("running", "finished", "stopped", "failed")

_PACKAGES = ("torch", "numpy", "scipy", "soundfile", "soxr", "pytorch-lightning", "wandb")
_PLAIN: dict[str, type | UnionType] = {
    **dict.fromkeys(("run_id", "project", "created", "status"), str),
    **{"entity": str | None, "offline": bool},
    **dict.fromkeys(("schedule", "training_files", "validation_files", "versions"), dict),
}  # fields that `run.json` holds as they are, and their types
_NAME = re.compile(r"(?!\.\.?$)[^/\\\x00-\x1f]+")  # of a file or folder


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the packages that affect results."""
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
    names = (RUN_FILE, LABEL_FILE, METRICS_FILE, STATISTICS_FILE, *CHECKPOINTS)
    names += tuple(f"{SAMPLES}/{name}" for name in samples)
    return [name for name in names if (folder / name).is_file()]


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


R = TypeVar("R", bound="Record")


@dataclass(frozen=True, kw_only=True, repr=False)
class Record:
    """Settings and results of a run of any kind, and the folder of its files.

    The folder holds `run.json` (this record), `metrics.csv` (the log) and
    `checkpoints/{last,best}.ckpt`. It may be moved or copied.

    Attributes
    ----------
    run_id : str
        8 of a-z0-9.
    folder : Path
        The run's folder.
    metrics : dict of str to float
        Final metrics; NaN for one that could not be computed.
    training_files, validation_files : dict of str to str
        Content digest → path relative to the folder of recordings.
    created : str
        ISO 8601, UTC.
    versions : dict of str to str
        See `versions`.
    schedule : dict
        The learning rate schedule fixed at the start, plain JSON values.
    offline : bool
        Whether the run was made without a W&B server; see also `uploaded`.
    status : str
        running, finished, stopped (by a limit or the user) or failed; see also `state`.
    checkpoint_file : Path, optional
        The checkpoint to use, if the run was named by a checkpoint.
    inputs : dict
        Options that name the recordings, as `audio_db_dir`, so that a resumed run needs none.
    """

    kind: ClassVar[str] = ""
    config_classes: ClassVar[dict[str, type]] = {}
    """Name of a group of settings in `run.json` → its class."""

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
    inputs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("status", self.status, STATUSES)

    def __repr__(self) -> str:
        loss = self.metrics.get("val_loss")
        return (
            f"{type(self).__name__}({' '.join(filter(None, (self.run_id, self.name)))}: "
            f"{self.model_name}, {self.state}, "
            f"{len(self.training_files)} training files"
            + ("" if loss is None else f", val_loss {loss:.3f}")
            + f", {self.folder})"
        )

    @property
    def model_name(self) -> str:
        """Name of the trained network."""
        raise NotImplementedError

    @property
    def state(self) -> str:
        """The status, but `killed` if it is `running` and no process holds the run's lock."""
        if self.status == "running" and not is_locked(self.folder):
            return "killed"
        return self.status

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """Settings by name of their group, as in `run.json`."""
        return {name: to_dict(getattr(self, name)) for name in self.config_classes}

    @classmethod
    def read_configs(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of the settings in a `run.json`."""
        return {name: from_dict(kind, content[name]) for name, kind in cls.config_classes.items()}

    @property
    def settings(self) -> dict[str, Any]:
        """All settings in one dictionary, the config that W&B shows."""
        return {name: value for group in self.configs.values() for name, value in group.items()}

    @property
    def name(self) -> str:
        """Name by which commands find the run, or nothing."""
        return read_label(self.folder).get("name", "")

    @property
    def notes(self) -> str:
        """Free text kept with the run."""
        return read_label(self.folder).get("note", str(self.settings.get("notes", "")))

    def save(self) -> None:
        """Write `run.json` into the run's folder."""
        content = {"format": FORMAT, "version": VERSION, "kind": self.kind}
        content |= {name: getattr(self, name) for name in _PLAIN} | self.configs
        content["inputs"] = self.inputs
        content["metrics"] = {
            name: float(value) if math.isfinite(value) else None
            for name, value in self.metrics.items()
        }
        write_json(self.folder / RUN_FILE, content, indent=2)

    @classmethod
    def load(cls: type[R], folder: Path) -> R:
        """Read the record of the run in `folder`; `Record.load` reads one of any kind.

        Raises
        ------
        CheckpointError
            If `run.json` is missing, damaged, of another program, of a newer format or of a run
            of another kind.
        """
        path = folder / RUN_FILE
        content = _read_run_file(path)
        kind = str(content.get("kind", RunRecord.kind))
        types: tuple[Any, ...] = (RunRecord, SoundRecord)
        known: dict[str, type[R]] = {one.kind: one for one in types if issubclass(one, cls)}
        if kind not in known:
            needed = " or ".join(map(repr, known))
            raise CheckpointError(
                f"{path}: a run of kind {kind!r}; the kind must be one of {needed}"
            )
        try:
            metrics = {
                name: math.nan if value is None else float(value)
                for name, value in content["metrics"].items()
            }
            plain = {name: content[name] for name in _PLAIN}
            for name, kind_of in _PLAIN.items():
                rule = f"be of type {getattr(kind_of, '__name__', kind_of)}"
                check(isinstance(plain[name], kind_of), name, plain[name], rule)
            for name in ("run_id", "project"):
                check(bool(_NAME.fullmatch(plain[name])), name, plain[name], "be a folder's name")
            for name in ("training_files", "validation_files", "versions"):
                texts = all(isinstance(value, str) for value in plain[name].values())
                check(texts, name, plain[name], "contain texts only")
            return known[kind](
                folder=folder,
                metrics=metrics,
                **plain,
                inputs=dict(content.get("inputs", {})),
                **known[kind].read_configs(content),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise CheckpointError(f"{path}: not a complete record of a run: {reason}") from error

    def checkpoint(self, which: str = "best") -> Path:
        """Return the path of the `best` checkpoint, or of the `last`.

        One that is missing or damaged is replaced by the next best, with a warning if damaged.

        Raises
        ------
        CheckpointError
            If the run has none.
        """
        check_choice("which", which, ("best", "last"))
        if self.checkpoint_file is not None:
            return self.checkpoint_file
        from desc.models.checkpoint_file import damage

        names = ("best", "planned_best", "last", "previous")[0 if which == "best" else 2 :]
        reasons = []
        for name in names:
            path = self.folder / "checkpoints" / f"{name}.ckpt"
            if path.is_file() and (reason := damage(path)) is not None:
                reasons.append(f"{path}: {reason}")
            elif path.is_file():
                for reason in reasons:
                    logger.warning("%s; using %s instead", reason, path.name)
                return path
        kind = "intact checkpoint" if reasons else "checkpoint"
        raise CheckpointError(
            f"{self.folder}: run {self.run_id} ({self.state}) has no {kind} "
            + " or ".join(f"checkpoints/{name}.ckpt" for name in names)
            + "".join(f"; {reason}" for reason in reasons)
        )

    @property
    def uploaded(self) -> str | None:
        """`entity/project/id` on the W&B server that holds the run's files, or None."""
        try:
            return str(read_json(self.folder / UPLOAD_FILE)["path"])
        except (StorageError, KeyError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True, repr=False)
class RunRecord(Record):
    """Record of a trained sequence model of descriptors.

    Beside the files of every run, its folder holds `statistics.npz` (arrays, see `save_arrays`).
    """

    kind: ClassVar[str] = "descriptors"
    config_classes: ClassVar[dict[str, type]] = {
        "descriptor_config": DescriptorConfig,
        "model_config": ModelConfig,
        "train_config": TrainConfig,
    }

    descriptor_config: DescriptorConfig
    model_config: ModelConfig
    train_config: TrainConfig

    @property
    def model_name(self) -> str:
        """Name of the sequence model."""
        return self.model_config.selected_model

    def save_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Write arrays of any shape and numeric type to `statistics.npz`."""
        path = self.folder / STATISTICS_FILE
        for name, array in arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise CheckpointError(f"{path}: array {name} must contain plain numbers")
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]

    def load_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of `statistics.npz`, read-only; nothing is unpickled.

        Raises
        ------
        CheckpointError
            If the file is missing or damaged.
        """
        arrays = read_npz(self.folder / STATISTICS_FILE, CheckpointError)
        for array in arrays.values():
            array.flags.writeable = False
        return arrays


@dataclass(frozen=True, kw_only=True, repr=False)
class SoundRecord(Record):
    """Record of a trained network of sound generation: a vocoder or a generator of mels.

    Attributes
    ----------
    generator : str
        The network: melgan, vocos, unagan or flow.
    mel_config, model_config, train_config : dict
        Its settings as plain values; `desc.soundgen` knows their classes.
    """

    kind: ClassVar[str] = "sound"

    generator: str
    mel_config: dict[str, Any]
    model_config: dict[str, Any]
    train_config: dict[str, Any]

    @property
    def model_name(self) -> str:
        """Name of the network."""
        return self.generator

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """Settings of the mel spectrogram, the network and the training."""
        return {
            "network": {"generator": self.generator},
            "mel_config": self.mel_config,
            "model_config": self.model_config,
            "train_config": self.train_config,
        }

    @classmethod
    def read_configs(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Return the settings in a `run.json` as plain values."""
        groups = {name: content[name] for name in ("mel_config", "model_config", "train_config")}
        for name, group in groups.items():
            check(isinstance(group, dict), name, group, "be a set of settings by name")
        generator = content["network"]["generator"]
        check(isinstance(generator, str), "generator", generator, "be a name")
        return {"generator": generator} | groups


def _read_run_file(path: Path) -> dict[str, Any]:
    """Return the content of a `run.json`, its format and version checked."""
    content = read_json(path, CheckpointError)
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

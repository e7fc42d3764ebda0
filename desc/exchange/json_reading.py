"""The earlier descriptor JSON, read: as sequences of one file, or of a folder of such files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.configuration import to_dict
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, CorpusError, StorageError

LARGEST = 1e30  # beyond any descriptor, within float32


@dataclass(frozen=True, eq=False)
class JsonFolder:
    """Descriptors read from JSON files.

    Attributes
    ----------
    root : Path
        The folder that the sources are relative to: the one that was read where the recordings
        lie in it, else the innermost folder that holds them all.
    sequences : tuple of DescriptorSequence
        One per `_id`, sorted by source.
    problems : dict of str to str
        What is wrong with a JSON file (which is left out) or with a source (which is kept).
    """

    root: Path
    sequences: tuple[DescriptorSequence, ...]
    problems: dict[str, str]


def read_descriptor_json(
    path: str | Path, config: DescriptorConfig
) -> tuple[DescriptorSequence, ...]:
    """Read a JSON file with `_id`, `_sample` and a list per column.

    Parameters
    ----------
    path : path
        The file.
    config : DescriptorConfig
        What the columns mean. The file tells neither its sample rate nor its window; its hop and
        columns must be those of the configuration. Further columns are not read.

    Returns
    -------
    tuple of DescriptorSequence
        One per `_id`, which is its source. The digest is that of its values. `n_samples` is the
        shortest length that gives so many frames, unless the file knows better.

    Raises
    ------
    StorageError
        If the file is no JSON of this shape.
    ConfigurationError
        If its hop, or another setting it names, differs from the configuration.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path}: no JSON: {error}") from error
    try:
        ids, samples = _frames(content)
        _check_settings(content, path, config)
        values = _values(content, config, len(ids))
        groups = _groups(ids)
        for identity, rows in groups.items():
            _check_positions(samples[rows], path, identity, config.hop_length)
        n_samples = _stated_length(content) if len(groups) == 1 else None
        return tuple(
            _sequence(values[rows], config, identity, n_samples)
            for identity, rows in groups.items()
        )
    except _ShapeError as error:
        raise StorageError(f"{path}: {error}") from error


def descriptor_json_hop(path: str | Path) -> int | None:
    """Return the samples between the first two frames of a file; None where it tells nothing."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = json.load(file)
        ids, samples = _frames(content)
    except (OSError, ValueError, RecursionError, _ShapeError):
        return None
    hop = int(samples[1] - samples[0]) if len(ids) > 1 and ids[0] == ids[1] else 0
    return hop if hop > 0 else None


def read_json_folder(
    files: Iterable[tuple[Path, str]], root: Path, config: DescriptorConfig
) -> JsonFolder:
    """Read descriptor JSON files, as `read_descriptor_json`; one that is none is a problem noted.

    Parameters
    ----------
    files : iterable of (Path, str)
        Path of each file, and its path relative to `root`.
    root : Path
        The folder they were found in.
    config : DescriptorConfig
        What the columns mean.

    Raises
    ------
    ConfigurationError
        If the hop of a file, or another setting it names, differs from the configuration.
    """
    problems: dict[str, str] = {}
    found: dict[Path, DescriptorSequence] = {}
    for path, name in files:
        try:
            sequences = read_descriptor_json(path, config)
        except StorageError as error:
            problems[name] = str(error).removeprefix(f"{path}: ")
            continue
        for sequence in sequences:
            recording = _locate(sequence.source, (root, path.parent))
            if recording in found:
                problems[name] = f"{sequence.source} is in another file already"
            else:
                found[recording] = sequence
    base = _common_folder(list(found), root)
    named = []
    for recording, sequence in found.items():
        source = recording.relative_to(base).as_posix()
        named.append(dataclasses.replace(sequence, source=source))
        if not os.path.isfile(recording):
            problems[source] = (
                f"{sequence.source} does not exist; its descriptors are used, its sound cannot be"
            )
    return JsonFolder(base, tuple(sorted(named, key=lambda s: s.source)), problems)


class _ShapeError(ValueError):
    """What a file lacks to be descriptor JSON."""


def _frames(content: Any) -> tuple[list[str], npt.NDArray[np.int64]]:
    if not isinstance(content, dict):
        raise _ShapeError("no descriptor JSON, which is an object of lists")
    absent = [key for key in ("_id", "_sample") if not isinstance(content.get(key), list)]
    if absent:
        raise _ShapeError(f"no descriptor JSON: no list {' and '.join(absent)}")
    ids, samples = content["_id"], content["_sample"]
    if not ids or len(ids) != len(samples):
        raise _ShapeError(
            f"{len(ids)} entries of _id and {len(samples)} of _sample must be as many"
        )
    if not all(isinstance(identity, str) and identity for identity in ids):
        raise _ShapeError("_id must hold the path of a recording for each frame")
    positions = _numbers(samples, "_sample")
    if not np.array_equal(positions, np.round(positions)) or np.abs(positions).max() > 2**53:
        raise _ShapeError("_sample must hold whole numbers of samples")
    return ids, positions.astype(np.int64)


def _numbers(column: Any, name: str) -> npt.NDArray[np.float64]:
    if not isinstance(column, list) or not all(type(x) in (int, float) for x in column):
        raise _ShapeError(f"{name} must be a list of numbers")
    try:
        numbers = np.array(column, dtype=np.float64)
    except OverflowError:
        numbers = np.array([np.inf])
    if not (np.abs(numbers) < LARGEST).all():
        raise _ShapeError(f"{name} must hold finite numbers")
    return numbers


def _values(
    content: dict[str, Any], config: DescriptorConfig, n_frames: int
) -> npt.NDArray[np.float32]:
    # As many MFCC columns as expected, or mfcc13 may be a delta here and a coefficient there.
    mfcc = {key for key in content if re.fullmatch(r"mfcc\d+", key)}
    expected = {name for name in config.names if name.startswith("mfcc")}
    absent = [name for name in config.names if name not in content]
    if absent or (expected and mfcc != expected):
        columns = [key for key in content if not key.startswith("_")]
        raise _ShapeError(
            f"its {len(columns)} columns ({_shortened(columns)}) must be the {config.n_columns} "
            f"of the settings ({_shortened(config.names)})"
        )
    values = np.empty((n_frames, config.n_columns), np.float32)
    for column, name in enumerate(config.names):
        numbers = _numbers(content[name], name)
        if len(numbers) != n_frames:
            raise _ShapeError(f"{len(numbers)} numbers of {name} must be {n_frames}, as of _id")
        values[:, column] = numbers
    return values


def _shortened(names: Sequence[str]) -> str:
    return " ".join(names if len(names) <= 6 else (*names[:3], "…", names[-1]))


def _groups(ids: list[str]) -> dict[str, npt.NDArray[np.intp]]:
    """Return the frames of each recording, in the order in which they first appear."""
    rows: dict[str, list[int]] = {}
    for row, identity in enumerate(ids):
        rows.setdefault(identity, []).append(row)
    return {identity: np.array(frames) for identity, frames in rows.items()}


def _check_positions(
    samples: npt.NDArray[np.int64], path: str | Path, identity: str, hop_length: int
) -> None:
    steps = np.unique(np.diff(samples))
    if samples[0] != 0 or len(steps) > 1 or (len(steps) and steps[0] <= 0):
        raise _ShapeError(f"_sample of {identity} must begin at 0 and rise in equal steps")
    if len(steps) and steps[0] != hop_length:
        raise ConfigurationError(
            f"{path}: the frames of {identity} are {steps[0]} samples apart, which must be "
            f"hop_length={hop_length}"
        )


def _check_settings(content: dict[str, Any], path: str | Path, config: DescriptorConfig) -> None:
    """Compare with the settings that this program writes into the file."""
    meta = content.get("_meta")
    stored = meta.get("config") if isinstance(meta, dict) else None
    if not isinstance(stored, dict):
        return
    for name, value in to_dict(config).items():
        if name in stored and stored[name] != value:
            raise ConfigurationError(
                f"{path}: was made with {name}={stored[name]!r}, but {name}={value!r} is set"
            )


def _stated_length(content: dict[str, Any]) -> int | None:
    meta = content.get("_meta")
    n_samples = meta.get("n_samples") if isinstance(meta, dict) else None
    return n_samples if isinstance(n_samples, int) else None


def _sequence(
    values: npt.NDArray[np.float32], config: DescriptorConfig, source: str, n_samples: int | None
) -> DescriptorSequence:
    if n_samples is None or config.n_frames(n_samples) != len(values):
        # The shortest recording of so many frames: none is called complete that may not be.
        n_samples = (len(values) - 1) * config.hop_length
    digest = hashlib.blake2b(config.fingerprint.encode(), digest_size=16)
    digest.update(np.ascontiguousarray(values, "<f4").data)
    return DescriptorSequence(values, config, source, digest.hexdigest(), n_samples)


def _locate(identity: str, folders: Sequence[Path]) -> Path:
    """Return the absolute path that an `_id` means, whether or not something is there."""
    windows = PureWindowsPath(identity)
    if os.name != "nt" and windows.drive and windows.root:
        identity = "/".join(windows.parts[1:])  # of another system: its name, without the drive
    tried = [os.path.abspath(folder / identity) for folder in (*folders, Path())]
    return Path(next((path for path in tried if os.path.isfile(path)), tried[0]))


def _common_folder(recordings: list[Path], root: Path) -> Path:
    root = Path(os.path.abspath(root))
    if all(recording.is_relative_to(root) for recording in recordings):
        return root
    try:
        return Path(os.path.commonpath([recording.parent for recording in recordings]))
    except ValueError as error:  # two drives of Windows
        raise CorpusError(f"{root}: its recordings have no folder in common: {error}") from error

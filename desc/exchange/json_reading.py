"""Reading descriptor JSON: `_id`, `_sample` and a list per column, in a file or a folder."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.configuration import to_dict
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, CorpusError, StorageError
from desc.files import read_json

Values = npt.NDArray[np.float32]

LARGEST = 1e30  # beyond any descriptor, within float32


def read_descriptor_json(
    path: str | Path, config: DescriptorConfig
) -> tuple[DescriptorSequence, ...]:
    """Read a file of descriptor JSON.

    Parameters
    ----------
    path : path
        The file.
    config : DescriptorConfig
        Settings of extraction. The file holds neither sample rate nor window; its hop and columns
        must be those of the configuration. Further columns are ignored.

    Returns
    -------
    tuple of DescriptorSequence
        One per `_id`, which is its source. The digest is that of its values. `n_samples` is the
        shortest length that gives so many frames, unless the file states it.

    Raises
    ------
    StorageError
        If the file is no JSON of this shape.
    ConfigurationError
        If its hop, or another setting it states, differs from the configuration.
    """
    content, ids, samples = _frames(path)
    meta = content.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    stored = meta.get("config")
    for name, value in to_dict(config).items():
        if isinstance(stored, dict) and stored.get(name, value) != value:
            raise ConfigurationError(
                f"{path}: was made with {name}={stored[name]!r}, but {name}={value!r} is set"
            )
    values = _values(content, path, config)
    rows: dict[str, list[int]] = {}
    for row, source in enumerate(ids):
        rows.setdefault(source, []).append(row)
    for source, frames in rows.items():
        _check_positions(samples[frames], path, source, config.hop_length)
    n_samples = meta.get("n_samples") if len(rows) == 1 else None
    return tuple(_sequence(values[rows[name]], config, name, n_samples) for name in rows)


def descriptor_json_hop(path: str | Path) -> int | None:
    """Return the samples between the first two frames of a file, or None if it has no hop."""
    try:
        _, ids, samples = _frames(path)
    except StorageError:
        return None
    hop = int(samples[1] - samples[0]) if len(ids) > 1 and ids[0] == ids[1] else 0
    return hop if hop > 0 else None


def read_json_folder(
    files: Iterable[tuple[Path, str]], root: Path, config: DescriptorConfig
) -> tuple[Path, tuple[DescriptorSequence, ...], dict[str, str]]:
    """Read files of descriptor JSON; those of another shape become problems.

    Parameters
    ----------
    files : iterable of (Path, str)
        Path of each file, and its path relative to `root`.
    root : Path
        The folder of the files.
    config : DescriptorConfig
        Settings of extraction.

    Returns
    -------
    root : Path
        The folder that was read if it holds all recordings, else the innermost one that does.
    sequences : tuple of DescriptorSequence
        One per `_id`, sorted by source.
    problems : dict of str to str
        Problem by JSON file (not used) or by source (used).

    Raises
    ------
    ConfigurationError
        If the hop of a file, or another setting it states, differs from the configuration.
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
            problems[source] = f"{sequence.source} does not exist; only its descriptors are used"
    return base, tuple(sorted(named, key=lambda s: s.source)), problems


def _frames(path: str | Path) -> tuple[dict[str, Any], list[str], npt.NDArray[np.int64]]:
    """Return the content of a file, and the recording and the centre sample of each frame."""
    content = read_json(path)
    lists = isinstance(content, dict) and isinstance(content.get("_id"), list)
    _check(lists, path, "no descriptor JSON, which holds a list _id and a list per column")
    ids = content["_id"]
    named = len(ids) > 0 and all(isinstance(source, str) and source for source in ids)
    _check(named, path, "_id must hold the path of a recording for each frame")
    samples = _numbers(content, "_sample", path)
    whole = bool((samples == np.round(samples)).all()) and np.abs(samples).max() <= 2**53
    _check(whole, path, "_sample must hold whole numbers of samples")
    return content, ids, samples.astype(np.int64)


def _values(content: dict[str, Any], path: str | Path, config: DescriptorConfig) -> Values:
    """Return the columns of the configuration, (T, D)."""
    # The MFCC columns must be as many: mfcc13 may be a delta in one file and static in another.
    mfcc = {key for key in content if re.fullmatch(r"mfcc\d+", key)}
    expected = {name for name in config.names if name.startswith("mfcc")}
    wrong = set(config.names) - content.keys() | (mfcc ^ expected if expected else set())
    problem = f"the columns {' '.join(sorted(wrong)[:5])} are missing, or not in the settings"
    _check(not wrong, path, problem)
    columns = [_numbers(content, name, path).astype(np.float32) for name in config.names]
    return np.stack(columns, axis=1)


def _numbers(content: dict[str, Any], name: str, path: str | Path) -> npt.NDArray[np.float64]:
    column: Any = content.get(name)
    n_frames = len(content["_id"])
    numeric = isinstance(column, list) and len(column) == n_frames
    numeric = numeric and all(type(x) in (int, float) and abs(x) < LARGEST for x in column)
    _check(numeric, path, f"{name} must be a list of {n_frames} finite numbers, one per _id")
    return np.array(column, np.float64)


def _check(condition: bool, path: str | Path, problem: str) -> None:
    if not condition:
        raise StorageError(f"{path}: {problem}")


def _check_positions(
    samples: npt.NDArray[np.int64], path: str | Path, source: str, hop_length: int
) -> None:
    steps = np.unique(np.diff(samples))
    regular = bool(samples[0] == 0 and len(steps) <= 1 and (steps > 0).all())
    _check(regular, path, f"_sample of {source} must begin at 0 and rise in equal steps")
    if len(steps) and steps[0] != hop_length:
        raise ConfigurationError(
            f"{path}: the frames of {source} are {steps[0]} samples apart, which must be "
            f"hop_length={hop_length}"
        )


def _sequence(
    values: Values, config: DescriptorConfig, source: str, n_samples: Any
) -> DescriptorSequence:
    if not isinstance(n_samples, int) or config.n_frames(n_samples) != len(values):
        n_samples = (len(values) - 1) * config.hop_length  # the shortest of so many frames
    digest = hashlib.blake2b(config.fingerprint.encode(), digest_size=16)
    digest.update(np.ascontiguousarray(values, "<f4").data)
    return DescriptorSequence(values, config, source, digest.hexdigest(), n_samples)


def _locate(identity: str, folders: Sequence[Path]) -> Path:
    """Return the absolute path of an `_id`, which need not exist."""
    windows = PureWindowsPath(identity)
    if os.name != "nt" and windows.drive and windows.root:
        identity = "/".join(windows.parts[1:])  # a Windows path, without its drive
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

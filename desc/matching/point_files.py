"""Files of points and lists in a folder of the cache, whole or absent, and those of before."""

from __future__ import annotations

import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from desc.errors import StorageError
from desc.files import read_json, write_json
from desc.matching.arrays import Float32, Int32, Rows

CHECKED, CHECKED_BYTES = 16, 1 << 18
"""Parts of a file that are compared when it is opened, evenly spread, and the bytes of each."""
File = tuple[str, int]
"""Name of a file's content and playing speed, and its number of rows."""


@dataclass(frozen=True, eq=False)
class Before:
    """Points in the cache that have files in common with those to be built.

    Attributes
    ----------
    folder : Path
        Their folder.
    values : ndarray of float32, (M, d)
        The points.
    old_files : list of (int, int) or None
        First and last row, in `values`, of each file to be built; None: it is not there.
    new_rows : ndarray of int32, (M,)
        The row that each point will have; −1: none.
    shards : list of Path
        The lists.
    changed : float
        Rows that will have come or gone since the lists were trained; inf: there are no lists.
    """

    folder: Path
    values: Float32
    old_files: list[slice | None]
    new_rows: Int32
    shards: list[Path]
    changed: float

    @classmethod
    def of(cls, folder: Path, files: Sequence[File]) -> Before | None:
        """Return those of other folders of a space that have most rows in common, if any."""
        wanted, best, most = Counter(files), None, 0
        for other in sorted(folder.parent.iterdir()):
            known = Counter(_files(other) if other != folder else ())
            common = sum(n_rows * count for (_, n_rows), count in (wanted & known).items())
            if common > most:
                best, most = other, common
        return None if best is None else cls._of(best, most, files)

    @classmethod
    def _of(cls, folder: Path, n_common: int, files: Sequence[File]) -> Before | None:
        old, values = _files(folder), mapped(folder)
        if values is None:
            return None
        places = defaultdict[File, list[int]](list)  # a content may be there several times
        for start, file in zip(first_rows(old), old, strict=False):
            places[file].append(int(start))
        old_files, new_rows = list[slice | None](), np.full(len(values), -1, np.int32)
        for start, file in zip(first_rows(files), files, strict=False):
            first = places[file].pop(0) if places[file] else None
            old_files.append(None if first is None else slice(first, first + file[1]))
            if first is not None:
                new_rows[first : first + file[1]] = np.arange(start, start + file[1])
        found, changed = list_files(folder), math.inf
        if found is not None and about_file(folder / "trained.faiss") is not None:
            n_rows = sum(n_rows for _, n_rows in files)
            changed = found[1]["changed"] + len(values) + n_rows - 2 * n_common
        shards = [] if found is None else found[0]
        return cls(folder, values, old_files, new_rows, shards, changed)


def shard_files(folder: Path, count: int) -> list[Path]:
    """Return the files of so many shards."""
    return [folder / "rows.faiss", *(folder / f"rows-{i}.faiss" for i in range(1, count))]


def list_files(folder: Path) -> tuple[list[Path], dict[str, Any]] | None:
    """Return the files of a folder's lists, and how they were measured; None as `about_file`."""
    about = about_file(folder / "rows.faiss")
    shards = [] if about is None else shard_files(folder, about.get("shards", 1))
    if about is None or any(about_file(shard) is None for shard in shards[1:]):
        return None
    return shards, about


def mapped(folder: Path) -> Float32 | None:
    """Return the points of a folder, or None if they are missing or damaged."""
    files = _files(folder)
    if not files or about_file(folder / "points.f4") is None:
        return None
    flat = np.memmap(folder / "points.f4", "<f4", "r")
    return flat.reshape(sum(n_rows for _, n_rows in files), -1)


def _files(folder: Path) -> list[File]:
    """Return the files whose points a folder holds, none if these are missing or cut short."""
    about = about_file(folder / "points.f4", verify=False)
    return [] if about is None else [(name, n_rows) for name, n_rows in about["files"]]


def finish(path: Path, about: dict[str, Any]) -> None:
    """Write the description of a file that is whole, with its length and checksum."""
    about = about | {"n_bytes": path.stat().st_size, "checksum": _checksum(path)}
    write_json(path.with_suffix(".json"), about)


def about_file(path: Path, *, verify: bool = True) -> dict[str, Any] | None:
    """Return the description of a file, or None if either is missing or damaged.

    Without `verify`, and of files of earlier versions, only the length is compared.
    """
    try:
        about: dict[str, Any] = read_json(path.with_suffix(".json"))
        is_whole = about["n_bytes"] == path.stat().st_size
        if is_whole and verify and "checksum" in about:
            is_whole = about["checksum"] == _checksum(path)
        return about if is_whole else None
    except (StorageError, OSError, KeyError, TypeError):
        return None


def _checksum(path: Path) -> int:
    """Return the CRC-32 of a file, or of parts of a large one: to read all of it takes long."""
    n_bytes, checksum = path.stat().st_size, 0
    count = min(CHECKED, -(-n_bytes // CHECKED_BYTES))
    with path.open("rb") as file:
        for start in np.linspace(0, max(0, n_bytes - CHECKED_BYTES), count).astype(int).tolist():
            file.seek(start)
            checksum = zlib.crc32(file.read(CHECKED_BYTES), checksum)
    return checksum


def first_rows(files: Sequence[File]) -> Rows:
    """Return the first row of each file, and the number of rows."""
    return np.cumsum([0, *(n_rows for _, n_rows in files)])

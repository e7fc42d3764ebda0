"""Points and their inverted lists in the cache: built once, resumed after a kill, updated.

A folder `index/v1/<space>/<files>` belongs to the points of some files in some space:

    points.f4, points.json      the points, and the files they are of
    trained.faiss               cells and axes
    rows.faiss, rows-1.faiss …  the inverted lists, in shards
    rows.json                   how they were measured
    building/                   what is not finished yet

A file has its name only when it is whole; its JSON is written last. When files come or go, points
and lists of the others are taken from the folder of the files before, unless much has changed.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import math
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from filelock import FileLock

from desc.cluster import active_cluster, call_on_workers
from desc.configuration import QueryConfig
from desc.database import DescriptorDatabase
from desc.errors import DescError, StorageError
from desc.files import read_json, write_json
from desc.matching.arrays import Float32, Int32, Rows
from desc.matching.index import (
    InvertedLists,
    encode_rows,
    faiss_module,
    join_lists,
    renumber_lists,
    train_lists,
)
from desc.matching.points import MANY_ROWS, Points, measured, wants_lists
from desc.progress import report
from desc.storage.cache_files import announce, default_limit, limit_at_exit, touch

logger = logging.getLogger(__name__)

File = tuple[str, int]
"""Name of a file's content and playing speed, and its number of rows."""
PART_ROWS = 1 << 20
"""Rows encoded at once; a killed build goes on after the last of such parts."""
SHARD_BYTES = 1 << 30
"""Largest size of a file of lists, about 40 million rows; building takes that much memory."""
CHANGED = 0.25
"""Share of the rows that may come or go before the cells are trained anew."""


def database_points(
    database: DescriptorDatabase,
    space: str,
    compute: Callable[[slice], Float32],
    query: QueryConfig,
    counts: Sequence[int] | None = None,
) -> Points:
    """Return points of a database's files, from the cache if there are many, else computed.

    Parameters
    ----------
    database : DescriptorDatabase
        The rows.
    space : str
        Text that differs between spaces.
    compute : callable
        Returns the points of a slice of them that holds whole files.
    query : QueryConfig
        The distance, and whether there is an index.
    counts : sequence of int, optional
        Number of points of each file; by default each row is one.

    Raises
    ------
    DescError
        If the index needs faiss, which is not installed.
    StorageError
        If the cache cannot be written.
    """
    counts = [file.n_frames for file in database.files] if counts is None else counts
    root, n_rows = database.index_dir, sum(counts)
    with_lists = (root is not None or query.index == "ivf") and wants_lists(query, n_rows)
    if not with_lists and (root is None or n_rows < MANY_ROWS):
        return Points(compute(slice(0, n_rows)), query)
    if with_lists:
        faiss_module()
    names = [f"{file.digest or file.source} {file.speed:g}" for file in database.files]
    files = list(zip(names, counts, strict=True))
    text = f"{space} {query.distance == 'cosine'}".encode()
    name = hashlib.blake2b(text, digest_size=12).hexdigest()
    cache = PointCache(root or _temporary(), name, files, compute, query)
    return cache.open(with_lists=with_lists)


@cache
def _temporary() -> Path:
    """Return a folder for points of databases in memory, removed when the process ends."""
    folder = TemporaryDirectory(prefix="desc-index-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name, "index", "v1")


@dataclass(frozen=True, eq=False)
class PointCache:
    """Points of some files in the cache, and how they are computed.

    Attributes
    ----------
    root : Path
        Folder of all points and indexes.
    space : str
        Name of the space: everything that the points of a file depend on besides the file.
    files : sequence of (str, int)
        The files in the order of their rows.
    compute : callable
        Returns the points of a slice of rows that holds whole files.
    query : QueryConfig
        The distance.
    """

    root: Path
    space: str
    files: Sequence[File]
    compute: Callable[[slice], Float32]
    query: QueryConfig

    @property
    def folder(self) -> Path:
        """The folder of these points."""
        text = json.dumps(self.files).encode()
        return self.root / self.space / hashlib.blake2b(text, digest_size=12).hexdigest()

    def open(self, *, with_lists: bool) -> Points:
        """Open the points, and their lists if wanted; what is missing is built first.

        Raises
        ------
        StorageError
            If the cache cannot be written.
        """
        announce(self.root.parents[1])
        found = self._open(with_lists=with_lists)
        if found is None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with FileLock(self.folder / "lock"):
                    if self._open(with_lists=with_lists) is None:  # else by another process
                        self._build(with_lists=with_lists)
            except OSError as error:
                why = error.strerror or error
                raise StorageError(f"{self.folder}: cannot be written: {why}") from error
            found = self._open(with_lists=with_lists)
        if found is None:
            raise StorageError(f"{self.folder}: cannot be read back; is the disk damaged?")
        for path in self.folder.iterdir():
            touch(path)
        return found

    def _open(self, *, with_lists: bool) -> Points | None:
        values = _mapped(self.folder)
        if values is None or not with_lists:
            return None if values is None else Points(values, self.query)
        about = _about(self.folder / "rows.faiss")
        lists = None
        if about is not None:
            lists = InvertedLists.open(_shards(self.folder, about.get("shards", 1)), self.query)
        if about is None or lists is None or len(lists) != len(values):
            return None
        return Points(values, self.query, lists, about["n_probe"])

    def _build(self, *, with_lists: bool) -> None:
        limit_at_exit(self.root.parents[1], default_limit())
        building = self.folder / "building"
        building.mkdir(exist_ok=True)
        before = _Before.of(self)
        if _mapped(self.folder) is None:
            self._write_points(building / "points.f4", before)
            os.replace(building / "points.f4", self.folder / "points.f4")
            _finish(self.folder / "points.f4", {"files": self.files})
        if with_lists:
            self._write_lists(building, before)
        shutil.rmtree(building)

    def _write_points(self, path: Path, before: _Before | None) -> None:
        """Write the points of all files that are not in the file yet."""
        starts = _starts(self.files)
        first = int(np.flatnonzero(np.diff(starts))[0])
        some = self.compute(slice(int(starts[first]), int(starts[first + 1])))
        row_bytes = some.nbytes // len(some)
        with path.open("ab") as file:
            whole = int(np.searchsorted(starts, file.tell() // row_bytes, side="right")) - 1
            file.truncate(int(starts[whole]) * row_bytes)
            for index in range(whole, len(self.files)):
                report("points", int(starts[index]), int(starts[-1]))
                old = None if before is None else before.old_files[index]
                if before is not None and old is not None:
                    points = before.values[old]
                else:
                    points = self.compute(slice(int(starts[index]), int(starts[index + 1])))
                file.write(np.ascontiguousarray(points, "<f4").data)
        report("points", int(starts[-1]), int(starts[-1]))

    def _write_lists(self, building: Path, before: _Before | None) -> None:
        """Write the lists: those of known files renumbered, those of new files added."""
        values, trained = _mapped(self.folder), self.folder / "trained.faiss"
        assert values is not None  # it was just written
        is_new, parts, changed = np.ones(len(values), bool), list[Path](), 0
        if before is not None and before.changed <= CHANGED * len(values):
            changed = int(before.changed)
            building = building / before.folder.name
            building.mkdir(exist_ok=True)
            shutil.copyfile(before.folder / "trained.faiss", trained)
            is_new[before.new_rows[before.new_rows >= 0]] = False
            for shard in before.shards:
                parts.append(building / f"known-{shard.name}")
                if not parts[-1].is_file():
                    renumber_lists(shard, trained, before.new_rows, parts[-1])
        elif not trained.is_file():
            logger.info("training an index of %d rows", len(values))
            train_lists(values, self.query, trained)
        new = np.flatnonzero(is_new)
        parts += self._encoded(new, building)
        shards = _shards(self.folder, len(groups := _groups(parts)))
        for shard, group in zip(shards, groups, strict=True):
            join_lists(group, shard)
        lists = InvertedLists.open(shards, self.query)
        assert lists is not None
        found = measured(Points(values, self.query, lists), _starts(self.files))
        _finish(shards[0], found | {"changed": changed, "shards": len(shards)})

    def _encoded(self, new: Rows, building: Path) -> list[Path]:
        """Write the lists of new rows in parts, on a cluster by its workers; return the files."""
        np.save(building / "new.npy", new)
        starts = range(0, len(new), PART_ROWS)
        parts = [building / f"{start}.faiss" for start in starts]
        missing = [start for start, part in zip(starts, parts, strict=True) if not part.is_file()]
        encode = partial(encode_part, self.folder, building, self.query)
        if (cluster := active_cluster()) is not None:
            done = call_on_workers(cluster, encode, missing)
        else:
            done = ((start, encode(start)) for start in missing)
        for n_done, (start, is_written) in enumerate(done, 1):
            if not is_written:
                raise DescError(f"{building}: workers died while they encoded rows from {start} on")
            report("index", n_done + len(parts) - len(missing), len(parts))
        return parts


def encode_part(folder: Path, building: Path, query: QueryConfig, start: int) -> bool:
    """Write the lists of a part of the new rows, and return True; runs in any process."""
    values, new = _mapped(folder), np.load(building / "new.npy", mmap_mode="r")
    rows = np.array(new[start : start + PART_ROWS])
    assert values is not None
    encode_rows(folder / "trained.faiss", values[rows], rows, query, building / f"{start}.faiss")
    return True


def _groups(parts: Sequence[Path]) -> list[list[Path]]:
    """Return files in groups, each to be one shard."""
    groups, n_bytes = [[parts[0]]], parts[0].stat().st_size
    for part in parts[1:]:
        n_bytes += part.stat().st_size
        if n_bytes > SHARD_BYTES:
            groups.append([])
            n_bytes = part.stat().st_size
        groups[-1].append(part)
    return groups


def _shards(folder: Path, count: int) -> list[Path]:
    """Return the files of so many shards."""
    return [folder / "rows.faiss", *(folder / f"rows-{i}.faiss" for i in range(1, count))]


@dataclass(frozen=True, eq=False)
class _Before:
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
    def of(cls, cache: PointCache) -> _Before | None:
        """Return those that have most rows in common, or None if there are none."""
        wanted, best, most = Counter(cache.files), None, 0
        for folder in sorted((cache.root / cache.space).iterdir()):
            known = Counter(_files(folder) if folder != cache.folder else ())
            common = sum(n_rows * count for (_, n_rows), count in (wanted & known).items())
            if common > most:
                best, most = folder, common
        return None if best is None else cls._of(best, most, cache)

    @classmethod
    def _of(cls, folder: Path, n_common: int, cache: PointCache) -> _Before | None:
        old, values = _files(folder), _mapped(folder)
        if values is None:
            return None
        places = defaultdict[File, list[int]](list)  # a content may be there several times
        for start, file in zip(_starts(old), old, strict=False):
            places[file].append(int(start))
        old_files, new_rows = list[slice | None](), np.full(len(values), -1, np.int32)
        for start, file in zip(_starts(cache.files), cache.files, strict=False):
            first = places[file].pop(0) if places[file] else None
            old_files.append(None if first is None else slice(first, first + file[1]))
            if first is not None:
                new_rows[first : first + file[1]] = np.arange(start, start + file[1])
        lists, changed = _about(folder / "rows.faiss"), math.inf
        if lists is not None and (folder / "trained.faiss").is_file():
            n_rows = sum(n_rows for _, n_rows in cache.files)
            changed = lists["changed"] + len(values) + n_rows - 2 * n_common
        shards = [] if lists is None else _shards(folder, lists.get("shards", 1))
        return cls(folder, values, old_files, new_rows, shards, changed)


def _mapped(folder: Path) -> Float32 | None:
    """Return the points of a folder, or None if they are missing or cut short."""
    files = _files(folder)
    if not files:
        return None
    flat = np.memmap(folder / "points.f4", "<f4", "r")
    return flat.reshape(sum(n_rows for _, n_rows in files), -1)


def _files(folder: Path) -> list[File]:
    """Return the files whose points a folder holds, none if these are missing or cut short."""
    about = _about(folder / "points.f4")
    return [] if about is None else [(name, n_rows) for name, n_rows in about["files"]]


def _finish(path: Path, about: dict[str, Any]) -> None:
    """Write the description of a file that is whole."""
    write_json(path.with_suffix(".json"), about | {"n_bytes": path.stat().st_size})


def _about(path: Path) -> dict[str, Any] | None:
    """Return the description of a file, or None if either is missing or damaged."""
    try:
        about: dict[str, Any] = read_json(path.with_suffix(".json"))
        return about if about["n_bytes"] == path.stat().st_size else None
    except (StorageError, OSError, KeyError, TypeError):
        return None


def _starts(files: Sequence[File]) -> Rows:
    """Return the first row of each file, and the number of rows."""
    return np.cumsum([0, *(n_rows for _, n_rows in files)])

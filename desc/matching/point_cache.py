"""Points and their inverted lists in the cache: built once, resumed after a kill, updated.

A folder `index/v1/<space>/<files>` belongs to the points of some files in some space:

    points.f4, points.json       the points, and the files they are of
    trained.faiss, trained.json  cells and axes
    rows.faiss, rows-1.faiss …   the inverted lists, in shards
    rows.json, rows-1.json …     how they were measured
    building/                    what is not finished yet

A file is whole when its JSON is there, with its length and checksum. When files come or go, points
and lists of the others are taken from the folder of the files before, unless much has changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from filelock import FileLock, Timeout

from desc.cluster import active_cluster, call_on_workers
from desc.configuration import QueryConfig
from desc.database import DescriptorDatabase
from desc.errors import DescError, StorageError
from desc.matching.arrays import Float32, Rows
from desc.matching.index import (
    InvertedLists,
    encode_rows,
    faiss_module,
    join_lists,
    renumber_lists,
    train_lists,
)
from desc.matching.point_files import (
    Before,
    File,
    about_file,
    finish,
    first_rows,
    list_files,
    mapped,
    shard_files,
)
from desc.matching.points import MANY_ROWS, Points, measured, wants_lists
from desc.progress import report
from desc.storage.cache_files import announce, default_limit, limit_at_exit, touch
from desc.storage.folder import DISK_FULL, substitute

logger = logging.getLogger(__name__)

PART_ROWS = 1 << 20
"""Rows encoded at once; a killed build goes on after the last of such parts."""
SHARD_BYTES = 1 << 30
"""Largest size of a file of lists, about 40 million rows; building takes that much memory."""
MAX_ROWS = 2**31 - 1
"""Most rows of a database: their numbers have 32 bits."""
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
        If there are more than 2³¹ − 1 points, or the index needs faiss, which is not installed.
    StorageError
        If the disk is full.
    """
    counts = [file.n_frames for file in database.files] if counts is None else counts
    root, n_rows = database.index_dir, sum(counts)
    if n_rows > MAX_ROWS:
        raise DescError(f"the database has {n_rows:,} rows, of at most {MAX_ROWS:,}")
    with_lists = (root is not None or query.index == "ivf") and wants_lists(query, n_rows)
    if not with_lists and (root is None or n_rows < MANY_ROWS):
        return Points(compute(slice(0, n_rows)), query)
    if with_lists:
        faiss_module()
    names = [f"{file.digest or file.source} {file.speed:g}" for file in database.files]
    files = list(zip(names, counts, strict=True))
    text = f"{space} {query.distance == 'cosine'}".encode()
    name = hashlib.blake2b(text, digest_size=12).hexdigest()
    if root is not None:
        return _opened(PointCache(root, name, files, compute, query), with_lists=with_lists)
    # In memory a digest says nothing: rows may be a part of a recording. Each has its own folder.
    folder = TemporaryDirectory(prefix="desc-index-", ignore_cleanup_errors=True)
    root = Path(folder.name, "index", "v1")
    points = PointCache(root, name, files, compute, query).open(with_lists=with_lists)
    weakref.finalize(points, folder.cleanup)
    return points


def _opened(cache: PointCache, *, with_lists: bool) -> Points:
    """Open points, in a temporary folder of this process where the cache cannot be written."""
    try:
        return cache.open(with_lists=with_lists)
    except StorageError as error:
        if getattr(error.__cause__, "errno", None) in (None, *DISK_FULL):
            raise
        cache_dir = cache.root.parents[1]
        root = substitute(cache_dir, error) / cache.root.relative_to(cache_dir)
        return replace(cache, root=root).open(with_lists=with_lists)


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
                with _locked(self.folder / "lock"):
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
        values = mapped(self.folder)
        if values is None or not with_lists:
            return None if values is None else Points(values, self.query)
        if (found := list_files(self.folder)) is None:
            return None
        lists = InvertedLists.open(found[0], self.query)
        if lists is None or len(lists) != len(values):
            return None
        return Points(values, self.query, lists, found[1]["n_probe"])

    def _build(self, *, with_lists: bool) -> None:
        limit_at_exit(self.root.parents[1], default_limit())
        building = self.folder / "building"
        building.mkdir(exist_ok=True)
        before = Before.of(self.folder, self.files)
        if mapped(self.folder) is None:
            self._write_points(building / "points.f4", before)
            os.replace(building / "points.f4", self.folder / "points.f4")
            finish(self.folder / "points.f4", {"files": self.files})
        if with_lists:
            self._write_lists(building, before)
        shutil.rmtree(building)

    def _write_points(self, path: Path, before: Before | None) -> None:
        """Write the points of all files that are not in the file yet."""
        starts = first_rows(self.files)
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

    def _write_lists(self, building: Path, before: Before | None) -> None:
        """Write the lists: those of known files renumbered, those of new files added."""
        values, trained = mapped(self.folder), self.folder / "trained.faiss"
        assert values is not None  # it was just written
        is_new, parts, changed = np.ones(len(values), bool), list[Path](), 0
        if before is not None and before.changed <= CHANGED * len(values):
            changed = int(before.changed)
            shutil.copyfile(before.folder / "trained.faiss", building / "trained.faiss")
            os.replace(building / "trained.faiss", trained)
            is_new[before.new_rows[before.new_rows >= 0]] = False
            building = _building(building, trained, before.folder.name)
            for shard in before.shards:
                parts.append(building / f"known-{shard.name}")
                if not parts[-1].is_file():
                    renumber_lists(shard, trained, before.new_rows, parts[-1])
        else:
            if about_file(trained) is None:
                logger.info("training an index of %d rows", len(values))
                train_lists(values, self.query, trained)
            building = _building(building, trained, "all")
        finish(trained, {})
        new = np.flatnonzero(is_new)
        parts += self._encoded(new, building)
        shards = shard_files(self.folder, len(groups := _groups(parts)))
        for shard, group in zip(shards, groups, strict=True):
            join_lists(group, shard)
        for shard in shards[1:]:
            finish(shard, {})
        lists = InvertedLists.open(shards, self.query)
        assert lists is not None
        found = measured(Points(values, self.query, lists), first_rows(self.files))
        finish(shards[0], found | {"changed": changed, "shards": len(shards)})

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


def _building(folder: Path, trained: Path, rows: str) -> Path:
    """Make and return the folder for parts of a training, with these rows."""
    digest = hashlib.blake2b(trained.read_bytes(), digest_size=8).hexdigest()
    building = folder / f"{digest}-{rows}"
    building.mkdir(exist_ok=True)
    return building


def _locked(path: Path) -> AbstractContextManager[object]:
    """Lock a file until the end of the block; log a line if another process has it."""
    lock = FileLock(path)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        logger.info("%s: waiting for another process that builds this index", path.parent)
        return lock.acquire()


def encode_part(folder: Path, building: Path, query: QueryConfig, start: int) -> bool:
    """Write the lists of a part of the new rows, and return True; runs in any process."""
    values, new = mapped(folder), np.load(building / "new.npy", mmap_mode="r")
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

"""Files of the cache: their number, size and age, and their removal.

A file's modification time is the time of its last use; `touch` updates it. A process that uses the
cache leaves a file in its folder `running` until it ends, so that no other process removes what it
needs. This needs no table of uses and no lock between processes.
"""

from __future__ import annotations

import atexit
import math
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from desc.errors import ConfigurationError
from desc.files import is_abandoned, temporary_beside

DESCRIPTORS, AUDIO, PACKED, INDEX = "descriptors", "audio", "packed", "index"
RUNNING = "running"
LIMIT_GB = 10.0
"""Default size of the cache in GiB; `$DESC_CACHE_LIMIT_GB` sets another one."""
IDLE_S = 600.0  # a writer at work changes its file every few seconds
FORGOTTEN_S = 30 * 86400.0
"""After so long, a process of another machine is dead, and a packed view is of a folder as it once
was."""


class CacheFile(NamedTuple):
    """A file of the cache, its size in bytes and the seconds since its last use."""

    path: Path
    n_bytes: int
    age_s: float

    @property
    def is_in_use(self) -> bool:
        """Whether it is the temporary file of a writer at work."""
        name = self.path.name
        return name.startswith(".") and self.age_s <= IDLE_S and not is_abandoned(name)


@dataclass(frozen=True)
class FileCount:
    """Files: how many, and their size in bytes."""

    n_files: int
    n_bytes: int

    def __str__(self) -> str:
        return f"{self.n_files} files, {_mebibytes(self.n_bytes)}"


@dataclass(frozen=True)
class CacheSummary:
    """Number and size of the files in the cache.

    Attributes
    ----------
    folder : Path
        The cache folder.
    descriptors, audio, packed, index : FileCount
        Descriptors of recordings, recordings decoded or resampled, packed views for search, and
        indexes of large ones.
    n_known_files : int
        Recordings whose digest is known.
    """

    folder: Path
    descriptors: FileCount
    audio: FileCount
    packed: FileCount
    index: FileCount
    n_known_files: int

    @property
    def n_bytes(self) -> int:
        """Size of everything, the manifest left out."""
        parts = self.descriptors, self.audio, self.packed, self.index
        return sum(part.n_bytes for part in parts)

    def __str__(self) -> str:
        rows = (
            ("descriptors", self.descriptors),
            ("decoded audio", self.audio),
            ("packed views", self.packed),
            ("indexes", self.index),
        )
        lines = [f"{self.folder}: {_mebibytes(self.n_bytes)}, {self.n_known_files} files known"]
        lines += [f"  {n:13} {p.n_files:6} files {_mebibytes(p.n_bytes):>12}" for n, p in rows]
        return "\n".join(lines)


def touch(path: Path) -> None:
    """Mark a file as used now."""
    with suppress(OSError):  # gone meanwhile, or a cache that may only be read
        os.utime(path)


@cache
def announce(cache_dir: Path) -> Path:
    """Note in the cache that this process uses it until it ends; return the file that says so."""
    mark = temporary_beside(cache_dir / RUNNING / "process")
    with suppress(OSError):  # a cache that may only be read
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        atexit.register(_withdraw, mark)
    return mark


def _withdraw(mark: Path) -> None:
    with suppress(OSError):
        mark.unlink()


def longest_use_s(cache_dir: Path) -> float:
    """Return how long ago the first of the other processes that use the cache began to do so."""
    own = announce(cache_dir)
    marks = [mark for mark in list_files(own.parent) if mark.path != own]
    dead = [m for m in marks if is_abandoned(m.path.name) or m.age_s > FORGOTTEN_S]
    remove(dead)
    return max((mark.age_s for mark in marks if mark not in dead), default=-1.0)


def list_files(*folders: Path) -> list[CacheFile]:
    """Return the files of folders and of the folders in them."""
    now, files = time.time(), []
    for path in (path for folder in folders for path in folder.rglob("*")):
        with suppress(FileNotFoundError):  # removed by another process since it was listed
            if path.is_file():
                status = path.stat()
                files.append(CacheFile(path, status.st_size, now - status.st_mtime))
    return files


def remove(files: Iterable[CacheFile]) -> FileCount:
    """Remove files, except those that another process has open (on Windows) or has removed."""
    removed = []
    for file in files:
        with suppress(OSError):
            file.path.unlink()
            removed.append(file.n_bytes)
    return FileCount(len(removed), sum(removed))


def list_cache(cache_dir: Path) -> list[CacheFile]:
    """Return the files of every part, those of other format versions and leftovers included."""
    return list_files(*(cache_dir / part for part in (DESCRIPTORS, AUDIO, PACKED, INDEX)))


def limit(cache_dir: Path, max_bytes: float) -> FileCount:
    """Remove the least recently used files beyond a size, but none that another process uses."""
    files = list_cache(cache_dir)
    excess = sum(file.n_bytes for file in files) - max_bytes
    in_use_s = longest_use_s(cache_dir) if excess > 0 else 0.0
    chosen = []
    for file in sorted(files, key=lambda file: -file.age_s):
        if excess > 0 and not file.is_in_use and file.age_s > in_use_s:
            chosen.append(file)
            excess -= file.n_bytes
    return remove(chosen)


@cache
def limit_at_exit(cache_dir: Path, max_bytes: float) -> None:
    """Limit the cache when this process ends."""

    def limit_quietly() -> None:
        with suppress(OSError, KeyboardInterrupt):
            limit(cache_dir, max_bytes)

    atexit.register(limit_quietly)


def default_limit() -> float:
    """Return the size of the cache in bytes that no command leaves exceeded.

    Raises
    ------
    ConfigurationError
        If `$DESC_CACHE_LIMIT_GB` is no number of at least 0; `inf` is no limit.
    """
    text = os.environ.get("DESC_CACHE_LIMIT_GB", "") or LIMIT_GB
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not limit >= 0:
        raise ConfigurationError(f"DESC_CACHE_LIMIT_GB={text!r} must be a number of at least 0")
    return limit * 2**30


def _mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB"

"""Files of the cache: their number, size and age, and their removal.

A file's modification time is the time of its last use; `touch` updates it. This needs no table of
uses and no lock between processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

DESCRIPTORS, AUDIO, PACKED = "descriptors", "audio", "packed"
IDLE_S = 600.0  # a writer at work changes its file every few seconds


class CacheFile(NamedTuple):
    """A file of the cache, its size in bytes and the seconds since its last use."""

    path: Path
    n_bytes: int
    age_s: float

    @property
    def is_in_use(self) -> bool:
        """Whether it is the temporary file of a writer at work."""
        return self.path.name.startswith(".") and self.age_s <= IDLE_S


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
    descriptors, audio, packed : FileCount
        Descriptors of recordings, recordings decoded or resampled, packed views for search.
    n_known_files : int
        Recordings whose digest is known.
    """

    folder: Path
    descriptors: FileCount
    audio: FileCount
    packed: FileCount
    n_known_files: int

    @property
    def n_bytes(self) -> int:
        """Size of everything, the manifest left out."""
        return self.descriptors.n_bytes + self.audio.n_bytes + self.packed.n_bytes

    def __str__(self) -> str:
        rows = (
            ("descriptors", self.descriptors),
            ("decoded audio", self.audio),
            ("packed views", self.packed),
        )
        lines = [f"{self.folder}: {_mebibytes(self.n_bytes)}, {self.n_known_files} files known"]
        lines += [f"  {n:13} {p.n_files:6} files {_mebibytes(p.n_bytes):>12}" for n, p in rows]
        return "\n".join(lines)


def touch(path: Path) -> None:
    """Mark a file as used now."""
    with suppress(OSError):  # gone meanwhile, or a cache that may only be read
        os.utime(path)


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


def _mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB"

"""`ArrayFolder`: the array files of one part of the cache."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from desc.errors import StorageError
from desc.storage.arrays import StoredArray, Values, read_array, write_array
from desc.storage.cache_files import announce, touch

logger = logging.getLogger(__name__)

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
LARGE_BYTES = 1 << 28
"""Larger files (1.7 million rows) are not read as a whole; that their end is there is checked."""
_verified: dict[Path, int] = {}
"""Time of change of each file whose checksum this process has compared."""


class ArrayFolder:
    """Array files of a part of the cache, each verified once per process, unless it is large.

    If the cache cannot be written, new files go to a temporary folder, which is removed when the
    process ends.

    Parameters
    ----------
    cache_dir : Path
        The cache.
    part : str
        The folder in it.
    """

    def __init__(self, cache_dir: Path, part: str) -> None:
        self.cache_dir, self.part = cache_dir, part

    def path(self, name: str) -> Path:
        """Return the place of a file."""
        return self.cache_dir / self.part / name

    def has(self, name: str) -> bool:
        """Whether there is such a file, damaged or not."""
        return any(path.exists() for path in self._places(name))

    def read(self, name: str) -> StoredArray | None:
        """Return an array, or None if it is missing or damaged."""
        found = map(self._read, self._places(name))
        return next((stored for stored in found if stored is not None), None)

    def write(
        self, name: str, blocks: Iterable[Values], shape: tuple[int, int], about: dict[str, Any]
    ) -> None:
        """Write an array; see `write_array`.

        Raises
        ------
        StorageError
            If the disk is full.
        """
        if self.cache_dir not in _unwritable:
            begun = False

            def taken() -> Iterator[Values]:
                nonlocal begun
                for block in blocks:
                    begun = True
                    yield block

            try:
                write_array(self.path(name), taken(), shape, about)
                return
            except StorageError as error:
                if begun or getattr(error.__cause__, "errno", errno.ENOSPC) in DISK_FULL:
                    raise
                substitute(self.cache_dir, error)
        write_array(self._places(name)[-1], blocks, shape, about)

    def _places(self, name: str) -> list[Path]:
        if self.cache_dir not in _unwritable:
            return [self.path(name)]
        return [self.path(name), writable(self.cache_dir) / self.part / name]

    def _read(self, path: Path) -> StoredArray | None:
        try:
            status = path.stat()
        except OSError:
            return None
        is_known = _verified.get(path) == status.st_mtime_ns
        verify = not is_known and status.st_size <= LARGE_BYTES
        stored = read_array(path, verify=verify)
        if stored is not None and not is_known:
            announce(self.cache_dir)
            touch(path)
            _verified[path] = path.stat().st_mtime_ns
        return stored


def writable(cache_dir: Path) -> Path:
    """Return the cache, or the temporary folder that takes its place where it cannot be written."""
    return Path(_substitute(cache_dir).name) if cache_dir in _unwritable else cache_dir


def substitute(cache_dir: Path, error: StorageError) -> Path:
    """Return the temporary folder that takes the place of a cache; the first time, warn why."""
    if cache_dir not in _unwritable:
        logger.warning("%s; this process keeps such files in a temporary folder", error)
        _unwritable.add(cache_dir)
    return writable(cache_dir)


_unwritable: set[Path] = set()
"""Caches that could not be written."""


@cache
def _substitute(cache_dir: Path) -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix=f"{cache_dir.name}-")

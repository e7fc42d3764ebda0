"""Showing, limiting and pruning the cache.

When a file was last used is its time of change, which `touch` renews: unlike a table of uses it
cannot be lost, and processes need not agree about it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from desc.configuration import check_integer
from desc.storage.arrays import read_array
from desc.storage.layout import (
    AUDIO,
    DESCRIPTORS,
    PACKED,
    PARTS,
    Layout,
    content_of,
    digest_of,
    digests_of,
    is_temporary,
)
from desc.storage.manifest import Manifest

LEFTOVER_AGE_S = 600.0  # a writer at work changes its file every few seconds


@dataclass(frozen=True)
class CachePart:
    """One kind of file in the cache: how many, and their size in bytes."""

    n_files: int
    n_bytes: int


@dataclass(frozen=True)
class CacheSummary:
    """What the cache holds.

    Attributes
    ----------
    folder : Path
        Where it is.
    descriptors, audio, packed : CachePart
        Descriptors of recordings, recordings decoded or resampled, packed views for search.
    n_known_files : int
        Recordings whose digest is known.
    """

    folder: Path
    descriptors: CachePart
    audio: CachePart
    packed: CachePart
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


@dataclass(frozen=True)
class Removed:
    """What was removed from the cache: how many files, and their size in bytes."""

    n_files: int
    n_bytes: int

    def __str__(self) -> str:
        return f"{self.n_files} files, {_mebibytes(self.n_bytes)}"


def touch(path: Path) -> None:
    """Note that a file is used."""
    with suppress(OSError):  # gone meanwhile, or a cache that may only be read
        os.utime(path)


def summarize(layout: Layout, manifest: Manifest) -> CacheSummary:
    """Return what the cache holds."""
    parts = {part: [size for _, size, _ in _entries(layout, (part,))] for part in PARTS}
    counts = {part: CachePart(len(sizes), sum(sizes)) for part, sizes in parts.items()}
    n_known = len({state.path for state in manifest.all_files()})
    return CacheSummary(layout.root, counts[DESCRIPTORS], counts[AUDIO], counts[PACKED], n_known)


def limit(layout: Layout, max_bytes: int) -> Removed:
    """Remove what was used longest ago until at most `max_bytes` are left."""
    check_integer("max_bytes", max_bytes, 0)
    entries = sorted(_entries(layout, PARTS), key=lambda entry: entry[2])
    excess = sum(size for _, size, _ in entries) - max_bytes
    chosen = []
    for path, size, used in entries:
        if excess <= 0:
            break
        if is_temporary(path) and not _is_abandoned(used):
            continue
        chosen.append(path)
        excess -= size
    return remove(chosen)


def prune(layout: Layout, manifest: Manifest) -> Removed:
    """Remove what belongs to files that are gone or changed, to killed writers, to old formats.

    Contents the manifest does not know (it was lost, or they were saved by hand) stay.
    """
    files = manifest.all_files()
    alive = {state for state in files if state.is_current}
    dead_digests = set(files.values()) - {files[state] for state in alive}
    chosen = [
        path
        for path, _, used in _entries(layout, PARTS)
        if (_is_abandoned(used) if is_temporary(path) else _is_dead(path, layout, dead_digests))
    ]
    removed = remove(chosen)
    manifest.forget([state for state in files if state not in alive], sorted(dead_digests))
    return removed


def remove(paths: Iterable[Path]) -> Removed:
    """Remove files; one that another process has open (on Windows) or has removed is passed."""
    n_files = n_bytes = 0
    for path in paths:
        with suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            n_files, n_bytes = n_files + 1, n_bytes + size
    return Removed(n_files, n_bytes)


def unused_for(folder: Path, days: float) -> list[Path]:
    """Return the files of a folder that were not used for so many days."""
    oldest = time.time() - days * 86400
    return [path for path, _, used in _stated(folder.glob("*")) if used < oldest]


def _is_dead(path: Path, layout: Layout, dead_digests: set[str]) -> bool:
    if not layout.is_current(path):
        return True
    if layout.folder(PACKED) not in path.parents:
        return digest_of(path) in dead_digests
    stored = read_array(path, verify=False)
    return stored is None or not dead_digests.isdisjoint(map(content_of, digests_of(stored.about)))


def _is_abandoned(used: float) -> bool:
    return used < time.time() - LEFTOVER_AGE_S


def _entries(layout: Layout, parts: Iterable[str]) -> list[tuple[Path, int, float]]:
    """Return path, size and time of last use of every file."""
    return [entry for part in parts for entry in _stated(layout.files(part))]


def _stated(paths: Iterable[Path]) -> list[tuple[Path, int, float]]:
    entries = []
    for path in paths:
        with suppress(FileNotFoundError):  # removed by another process since it was listed
            status = path.stat()
            entries.append((path, status.st_size, status.st_mtime))
    return entries


def _mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB"

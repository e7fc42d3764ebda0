"""Files of the cache: names, sizes, limiting and pruning.

A file's modification time is the time of its last use; `touch` updates it. This needs no table of
uses and no lock between processes.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desc.configuration import check_integer
from desc.descriptors.config import DescriptorConfig
from desc.storage.arrays import read_array
from desc.storage.manifest import Manifest

FORMAT_VERSION = 1
"""Raised whenever the files change, or extraction gives other numbers for the same settings."""

DESCRIPTORS, AUDIO, PACKED = "descriptors", "audio", "packed"
PARTS = (DESCRIPTORS, AUDIO, PACKED)
LEFTOVER_AGE_S = 600.0  # a writer at work changes its file every few seconds


@dataclass(frozen=True)
class Layout:
    """Names of the files below a cache folder.

    Attributes
    ----------
    root : Path
        The cache folder.
    """

    root: Path

    def folder(self, part: str) -> Path:
        """Return the folder of a part, for this version of the format."""
        return self.root / part / f"v{FORMAT_VERSION}"

    def descriptors(self, digest: str, config: DescriptorConfig) -> Path:
        """Return the file of a content's descriptors."""
        return self.folder(DESCRIPTORS) / config.fingerprint / f"{digest}.npy"

    def audio(self, digest: str, sample_rate: int, suffix: str) -> Path:
        """Return the file of a content's decoded audio."""
        return self.folder(AUDIO) / f"{digest}-{sample_rate}{suffix}"

    def packed(self, digests: Sequence[str], config: DescriptorConfig) -> Path:
        """Return the file of the concatenated descriptors of several contents."""
        key = hashlib.blake2b("\n".join((config.fingerprint, *digests)).encode(), digest_size=16)
        return self.folder(PACKED) / f"{key.hexdigest()}.npy"

    def files(self, part: str) -> Iterator[Path]:
        """Yield the files of a part, those of other format versions and leftovers included."""
        yield from (path for path in (self.root / part).rglob("*") if path.is_file())

    def is_current(self, path: Path) -> bool:
        """Whether a file of a part is of this version of the format."""
        return any(self.folder(part) in path.parents for part in PARTS)


def digest_of(path: Path) -> str:
    """Return the digest in the name of a file of descriptors or of decoded audio."""
    return content_of(path.stem)


def content_of(key: str) -> str:
    """Return the digest of a recording's content: the part of a key before the hyphen."""
    return key.partition("-")[0]


def is_temporary(path: Path) -> bool:
    """Whether a name is that of a temporary file, left by a running or killed writer."""
    return path.name.startswith(".")


def digests_of(about: dict[str, Any]) -> tuple[str, ...]:
    """Return the digests in the description of a packed file."""
    return tuple(digest for digest, _, _ in about.get("files", ()))


@dataclass(frozen=True)
class CachePart:
    """One kind of file in the cache: how many, and their size in bytes."""

    n_files: int
    n_bytes: int


@dataclass(frozen=True)
class CacheSummary:
    """Number and size of the files in the cache.

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
    """Files removed from the cache: their number, and their size in bytes."""

    n_files: int
    n_bytes: int

    def __str__(self) -> str:
        return f"{self.n_files} files, {_mebibytes(self.n_bytes)}"


def touch(path: Path) -> None:
    """Mark a file as used now."""
    with suppress(OSError):  # gone meanwhile, or a cache that may only be read
        os.utime(path)


def summarize(layout: Layout, manifest: Manifest) -> CacheSummary:
    """Return the number and size of the files in the cache."""
    parts = {part: [size for _, size, _ in _entries(layout, (part,))] for part in PARTS}
    counts = {part: CachePart(len(sizes), sum(sizes)) for part, sizes in parts.items()}
    n_known = len({state.path for state in manifest.all_files()})
    return CacheSummary(layout.root, counts[DESCRIPTORS], counts[AUDIO], counts[PACKED], n_known)


def limit(layout: Layout, max_bytes: int) -> Removed:
    """Remove the least recently used files until at most `max_bytes` are left."""
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
    """Remove the files of missing or changed recordings, of killed writers and old formats.

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
    """Remove files, except those that another process has open (on Windows) or has removed."""
    n_files = n_bytes = 0
    for path in paths:
        with suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            n_files, n_bytes = n_files + 1, n_bytes + size
    return Removed(n_files, n_bytes)


def unused_for(folder: Path, days: float) -> list[Path]:
    """Return the files of a folder unused for a number of days."""
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

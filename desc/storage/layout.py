"""Where the cache keeps what, and under which names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desc.descriptors.config import DescriptorConfig

FORMAT_VERSION = 1
"""Raised whenever the files change, or extraction gives other numbers for the same settings."""

DESCRIPTORS, AUDIO, PACKED = "descriptors", "audio", "packed"
PARTS = (DESCRIPTORS, AUDIO, PACKED)


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
        """Return the file of the descriptors of several contents, one behind the other."""
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
    """Return the digest of a recording's content, of a key that may name more behind a hyphen."""
    return key.partition("-")[0]


def is_temporary(path: Path) -> bool:
    """Whether the name is a temporary one, of a writer at work or of one that was killed."""
    return path.name.startswith(".")


def digests_of(about: dict[str, Any]) -> tuple[str, ...]:
    """Return the digests in the description of a packed file."""
    return tuple(digest for digest, _, _ in about.get("files", ()))

"""`PackedViews`: descriptors of several recordings in one file, which is memory-mapped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from desc.configuration import to_dict
from desc.descriptors.config import DescriptorConfig
from desc.errors import StorageError
from desc.storage.arrays import StoredArray, Values
from desc.storage.cache_files import FORGOTTEN_S, list_files, remove
from desc.storage.folder import ArrayFolder


class PackedViews(ArrayFolder):
    """Files that hold the descriptors of several contents, one behind the other.

    Their description has the key `files`: digest, frames and samples of each content.
    """

    def open(self, digests: Sequence[str], config: DescriptorConfig) -> StoredArray | None:
        """Return the view of contents in this order, or None if it is missing or damaged."""
        stored = self.read(_name(digests, config))
        if stored is None or [file[0] for file in stored.about["files"]] != list(digests):
            return None
        return stored

    def pack(
        self,
        files: Sequence[tuple[str, int, int]],
        blocks: Iterable[Values],
        config: DescriptorConfig,
    ) -> StoredArray:
        """Write a view and open it; views that were not used for long are removed.

        Raises
        ------
        StorageError
            If the view cannot be written.
        """
        digests = [digest for digest, _, _ in files]
        shape = (sum(n_frames for _, n_frames, _ in files), config.n_columns)
        name = _name(digests, config)
        self.write(name, blocks, shape, {"files": files} | about_config(config))
        views = list_files(self.path(name).parent)
        remove(view for view in views if view.age_s > FORGOTTEN_S)
        stored = self.open(digests, config)
        if stored is None:
            raise StorageError(f"{self.path(name)}: cannot be read back; is the disk damaged?")
        return stored


def about_config(config: DescriptorConfig) -> dict[str, Any]:
    """Return what is stored with descriptors: their settings and columns."""
    return {"format": 1, "config": to_dict(config), "names": list(config.names)}


def _name(digests: Sequence[str], config: DescriptorConfig) -> str:
    key = hashlib.blake2b("\n".join((config.fingerprint, *digests)).encode(), digest_size=16)
    return f"{key.hexdigest()}.npy"

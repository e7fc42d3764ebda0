"""The cache: descriptors by content, recordings by path, decoded audio, packed views."""

from desc.storage.cache_files import CacheSummary, FileCount
from desc.storage.decoded import DecodedAudio
from desc.storage.store import DescriptorStore, default_cache_dir

__all__ = ["CacheSummary", "DecodedAudio", "DescriptorStore", "FileCount", "default_cache_dir"]

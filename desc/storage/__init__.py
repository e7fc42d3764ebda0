"""The cache: descriptors by content, recordings by path, decoded audio, packed views."""

from desc.storage.cache_files import CacheSummary, FileCount
from desc.storage.store import DescriptorStore, default_cache_dir

__all__ = ["CacheSummary", "DescriptorStore", "FileCount", "default_cache_dir"]

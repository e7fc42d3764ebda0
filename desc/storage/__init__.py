"""The cache: descriptors by content, recordings by path, decoded audio, packed views."""

from desc.storage.cache_files import CachePart, CacheSummary, Removed
from desc.storage.store import DescriptorStore, default_cache_dir

__all__ = ["CachePart", "CacheSummary", "DescriptorStore", "Removed", "default_cache_dir"]

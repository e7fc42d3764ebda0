"""A folder of recordings and its descriptors: found, extracted in parallel, opened."""

from desc.corpus.discovery import SkippedFile, find_files
from desc.corpus.opening import Corpus, open_corpus

__all__ = ["Corpus", "SkippedFile", "find_files", "open_corpus"]

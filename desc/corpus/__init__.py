"""A folder of recordings and its descriptors: found, extracted in parallel, opened."""

from desc.corpus.discovery import SkippedFile, find_files
from desc.corpus.opening import Corpus, open_corpus
from desc.corpus.variants import check_speeds, with_variants

__all__ = ["Corpus", "SkippedFile", "check_speeds", "find_files", "open_corpus", "with_variants"]

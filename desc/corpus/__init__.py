"""A folder of recordings and its descriptors: found, extracted in parallel, opened."""

from desc.corpus.discovery import SkippedFile, find_files, log_skipped
from desc.corpus.opening import Corpus, open_corpus
from desc.corpus.variants import check_speeds, check_tempo, common_tempo, with_tempo, with_variants

__all__ = [
    "Corpus",
    "SkippedFile",
    "check_speeds",
    "check_tempo",
    "common_tempo",
    "find_files",
    "log_skipped",
    "open_corpus",
    "with_tempo",
    "with_variants",
]

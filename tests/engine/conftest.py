"""Small recordings of both kinds of training."""

from tests.soundgen.conftest import folder, recordings
from tests.training.conftest import make_corpus, make_sequence

__all__ = ["folder", "make_corpus", "make_sequence", "recordings"]

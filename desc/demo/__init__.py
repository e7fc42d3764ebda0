"""The embedded default: a synthetic corpus, then the whole job on it."""

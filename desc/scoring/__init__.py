"""Continuations of excerpts, in one run's units, and every metric of them."""

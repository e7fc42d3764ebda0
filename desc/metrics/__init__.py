"""Metrics of forecasts and of the realism of continuations, on plain arrays.

Everywhere: standardised static descriptors, M samples, E excerpts, T frames, F columns. Each
docstring gives the value for the reference (two real excerpts of one piece) and the failure mode
that the metric misses; `docs/evaluation.md` says which to read together.
"""

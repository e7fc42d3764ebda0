"""Metrics of forecasts and of the realism of continuations, on plain arrays.

The arrays hold standardised static descriptors: M samples, E excerpts, T frames, F columns. Each
docstring gives the reference (the value for two real excerpts of one piece) and the failure modes
(bad continuations with a good value); `docs/evaluation.md` says which metrics to read together.
"""

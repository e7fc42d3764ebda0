"""Metrics of forecasts and of the realism of continuations, on plain arrays.

Everywhere: standardised static descriptors, M samples, E excerpts, T frames, F columns. Each
docstring gives the value for the reference (two real excerpts of one piece) and the failure mode
that the metric misses; `docs/evaluation.md` says which to read together.
"""

from __future__ import annotations

from desc.metrics.forecast import crps, energy_score, mean_nll, skill, spread
from desc.metrics.movement import (
    ACF_LAGS,
    TAIL_FRAMES,
    acf_distance,
    autocorrelation,
    diff_ratio,
    modspec_db,
    modulation_spectrum,
    tail_std,
)
from desc.metrics.realism import c2st, frechet_distance, track_distance
from desc.metrics.windows import (
    FLOOR,
    WINDOW_LENGTH,
    nearest_windows,
    novelty,
    window_features,
)

__all__ = [
    "ACF_LAGS",
    "FLOOR",
    "TAIL_FRAMES",
    "WINDOW_LENGTH",
    "acf_distance",
    "autocorrelation",
    "c2st",
    "crps",
    "diff_ratio",
    "energy_score",
    "frechet_distance",
    "mean_nll",
    "modspec_db",
    "modulation_spectrum",
    "nearest_windows",
    "novelty",
    "skill",
    "spread",
    "tail_std",
    "track_distance",
    "window_features",
]

"""Table of the descriptor families: columns, and the space in which each is unbounded.

A family is a group of columns computed together. Only `mfcc` has delta columns; the columns of
the others are all static.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Space = Literal["identity", "log", "logit"]


@dataclass(frozen=True)
class Family:
    """One family of descriptors.

    Attributes
    ----------
    name : str
        Name in `--descriptors`.
    columns : tuple of str
        Names of the columns; empty for `mfcc`, whose number is a setting.
    space : str
        Transform of the columns for models and matching: `identity`, `log` (positive numbers)
        or `logit` (numbers in 0 … 1).
    floor : float
        Smallest distance to the edge of the range before log or logit are taken.
    """

    name: str
    columns: tuple[str, ...]
    space: Space = "identity"
    floor: float = 1e-6


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("mfcc", ()),
        Family("centroid", ("centroid",), "log", 1.0),  # Hz
        Family("flatness", ("flatness",), "log", 1e-10),  # librosa's amin
        Family("rolloff", ("rolloff",), "log", 1.0),  # Hz
        Family("rms", ("rms",), "log", 1e-5),  # amplitude
        Family("chroma", tuple(f"chroma{i}" for i in range(12)), "logit", 1e-3),
        Family("zero_crossing_rate", ("zero_crossing_rate",), "logit", 1e-3),
        Family("f0", ("f0", "voicing")),  # log2 Hz, and 0 … 1
        Family("bandwidth", ("bandwidth",), "log", 1.0),  # Hz
        Family("contrast", tuple(f"contrast{i}" for i in range(7))),  # dB
        Family("tonnetz", tuple(f"tonnetz{i}" for i in range(6))),  # -1 … 1
        Family("onset_strength", ("onset_strength",), "log", 0.1),  # dB
    )
}
COLUMN_SPACES: dict[str, tuple[Space, float]] = {"voicing": ("logit", 1e-3)}
"""Columns whose space is not that of their family."""

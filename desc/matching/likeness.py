"""Distance of a target from a corpus, beside the distance between the corpus's own recordings."""

from __future__ import annotations

import logging

import numpy as np

from desc.database import DescriptorDatabase
from desc.matching.arrays import Bools, Float32, Float64
from desc.matching.points import Points

logger = logging.getLogger(__name__)

FAR = 2.0
"""A target counts as far from the corpus above this many times the corpus's own distance."""
N_FRAMES = 1000
"""Frames by which the distance of a target is measured."""
N_FILES, N_ROWS = 6, 40
"""Files, and rows of each, by which the distance between recordings is measured."""


def nearest_distances(target: Float32, rows: Points, usable: Bools) -> Float64:
    """Return the distances from frames of a target (T, d) to the nearest usable row of a corpus.

    Of up to 1,000 frames, evenly spread.
    """
    some = np.linspace(0, len(target) - 1, min(N_FRAMES, len(target))).round().astype(int)
    return rows.nearest(target[some], usable, 1).distances[:, 0]


def distance_between_recordings(points: Points, database: DescriptorDatabase) -> float | None:
    """Return the median distance of a row to the nearest one of another recording.

    Measured on some rows of some files, evenly spread; None if there is one recording only.

    Parameters
    ----------
    points : Points
        Rows of the database in the match space.
    database : DescriptorDatabase
        Maps rows to recordings.
    """
    digests = np.array([file.digest or file.source for file in database.files])
    if len(set(digests)) < 2:
        return None
    found = []
    for index in np.unique(np.linspace(0, len(digests) - 1, N_FILES).round().astype(int)):
        other = (digests != digests[index])[database.file_index]
        rows = np.flatnonzero(database.file_index == index)
        if other.any() and len(rows):
            some = rows[np.linspace(0, len(rows) - 1, N_ROWS).round().astype(int)]
            found.append(points.nearest(points.values[some], other, 1).distances[:, 0])
    return float(np.median(np.concatenate(found)))


def warn_if_far(source: str, distances: Float64, own: float | None, *, causal: bool) -> None:
    """Log a warning if a target is far from the corpus.

    Parameters
    ----------
    source : str
        Name of the target.
    distances : ndarray of float64
        See `nearest_distances`.
    own : float or None
        See `distance_between_recordings`.
    causal : bool
        Whether the selection is causal, for which `match_space` cannot be advised.
    """
    distance = float(np.median(distances))
    if own is not None and distance > FAR * own:
        advice = "--match_space .5 or 1 shifts its level and timbre towards the corpus's"
        logger.warning(
            f"{source}: the target is far from the corpus: its median distance to the nearest "
            f"row is {distance:.2f}, against {own:.2f} between recordings of the corpus. "
            + ("sounds that are more like it fit better" if causal else advice)
        )

"""Onsets of a database, found in its descriptors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from desc.database import DescriptorDatabase
from desc.query.envelope import envelope_db
from desc.query.requirements import require
from desc.query.space import BLOCK_ROWS

RISE_DB, RISE_FACTOR = 1.0, 1.5
"""An onset's flux is this much above, and this many times, the mean of the frames around it."""
AROUND, APART = 8, 4
"""Frames on either side that count as around; fewest frames between onsets (93 ms)."""

Float64 = npt.NDArray[np.float64]


def onset_rows(database: DescriptorDatabase) -> npt.NDArray[np.bool_]:
    """Return whether a sound begins at each row (N,); the first row of a file always counts.

    Flux is the mean rise in dB of the spectral envelope that the MFCC describe since the frame
    before. An onset is a peak of it, well above the
    frames around and at least 4 frames after the last one. The window reaches a hop ahead, so
    the row's sound begins up to 1.2 frames before the onset and does not cut it.

    Raises
    ------
    ConfigurationError
        If there are no MFCC among the descriptors.
    """
    require("mfcc", "units='onset'", database.config)
    strength = _flux(database)
    first = np.diff(database.file_index, prepend=-1) != 0
    strength[first] = 0
    starts = np.flatnonzero(first)
    onsets: npt.NDArray[np.bool_] = first.copy()
    for start, stop in zip(starts, np.append(starts[1:], len(first)), strict=True):
        onsets[start:stop] |= _peaks(strength[start:stop])
    return onsets


def _flux(database: DescriptorDatabase) -> Float64:
    flux = np.zeros(len(database))
    for start in range(0, len(database), BLOCK_ROWS):
        rows = slice(max(start - 1, 0), start + BLOCK_ROWS)
        envelope = envelope_db(database.values[rows], database.config)
        rises = np.maximum(np.diff(envelope, axis=0), 0).mean(1)
        flux[rows.start + 1 : rows.start + 1 + len(rises)] = rises
    return flux


def _peaks(strength: Float64) -> npt.NDArray[np.bool_]:
    """Return the onsets of a file, the strongest of those that are too close."""
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    around = uniform_filter1d(strength, 2 * AROUND + 1, mode="constant")
    highest = maximum_filter1d(strength, 2 * APART - 1, mode="constant")
    peaks = (strength == highest) & (strength > np.maximum(RISE_FACTOR * around, around + RISE_DB))
    onsets = np.zeros(len(strength), bool)
    last = 0
    for frame in np.flatnonzero(peaks).tolist():
        if APART <= frame <= len(strength) - APART and frame - last >= APART:
            onsets[frame] = True
            last = frame
    return onsets

"""Units at the predicted pitch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from desc.database import DescriptorDatabase
from desc.query.selection import Selection

VOICED = 0.5
"""Voicing above which a frame has a pitch."""
LEAST_SEMITONES = 0.05
"""Changes below it are not heard, and the unit stays untouched."""


def with_transposition(
    selection: Selection,
    queries: npt.NDArray[np.floating],
    database: DescriptorDatabase,
    limit_semitones: float,
) -> Selection:
    """Return the selection with the transposition that brings units to the pitch asked for.

    It is the median difference of pitch over the frames that are voiced in the target and in the
    unit; units without such frames, and those further off than the limit, stay as they are.

    Parameters
    ----------
    selection : Selection
        Units of any layers.
    queries : ndarray, (T, D)
        Descriptors that were asked for, in descriptor units.
    database : DescriptorDatabase
        What the units refer to.
    limit_semitones : float
        Largest change up or down; 0: none. It needs f0 among the descriptors.
    """
    if not limit_semitones:
        return selection
    pitch, voicing = database.config.groups["f0"]
    units = []
    for unit in selection.units:
        own = database.values[unit.first_row : unit.first_row + unit.n_frames]
        asked = queries[unit.onset_frame : unit.onset_frame + unit.n_frames]
        voiced = (own[:, voicing] > VOICED) & (asked[:, voicing] > VOICED)
        change = 0.0
        if voiced.any():
            change = 12 * float(np.median((asked - own)[voiced, pitch]))
        fits = LEAST_SEMITONES <= abs(change) <= limit_semitones
        units.append(replace(unit, transpose_semitones=round(change, 2) if fits else 0.0))
    return Selection(tuple(units))

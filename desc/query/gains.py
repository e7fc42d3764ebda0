"""Gain of units: as loud as what was asked for, within bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from desc.configuration import QueryConfig
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.query.neighbours import spaces
from desc.query.selection import Selection

LEVEL = "mfcc0"


def with_unit_gains(
    selection: Selection,
    queries: npt.NDArray[np.floating],
    database: DescriptorDatabase,
    standardizer: Standardizer | None = None,
    *,
    limit_db: float,
    query: QueryConfig = QueryConfig(),
) -> Selection:
    """Return the selection with the gain that brings each unit to the level of its frames.

    mfcc0 is √n_mels times the mean of the mel bands in dB (the transform is orthonormal), so the
    gain is the mean difference of mfcc0 over the unit / √n_mels. Without mfcc there is none.

    Parameters
    ----------
    selection : Selection
        Units of any layers.
    queries : ndarray, (T, D)
        Descriptors that were asked for, in descriptor units.
    database : DescriptorDatabase
        What the units refer to.
    standardizer : Standardizer or None
        Statistics of the run; None: those of the database.
    limit_db : float
        Largest gain up or down in dB; 0: none.
    query : QueryConfig
        With the match space `corpus`, levels are compared relative to each side's statistics.
    """
    if not limit_db or LEVEL not in database.config.names:
        return selection
    column = database.config.names.index(LEVEL)
    asked, own = (space.standardizer for space in spaces(database, standardizer, query))
    level = np.asarray(queries, np.float64)[:, column]
    if own is not asked:
        level = (level - asked.mean[column]) / asked.scale[column]
        level = level * own.scale[column] + own.mean[column]
    units = []
    for unit in selection.units:
        rows = database.values[unit.first_row : unit.first_row + unit.n_frames, column]
        wanted = level[unit.onset_frame : unit.onset_frame + unit.n_frames]
        gain_db = float(np.mean(wanted - rows)) / np.sqrt(database.config.n_mels)
        # Hundredths of a dB: what is equal but for rounding is left untouched.
        bounded = round(float(np.clip(gain_db, -limit_db, limit_db)), 2)
        units.append(replace(unit, gain_db=bounded + 0.0))
    return Selection(tuple(units))

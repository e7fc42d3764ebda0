"""Gain of units: as loud as what was asked for, within bounds, or silent."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from desc.database import DescriptorDatabase
from desc.query.selection import Selection, Unit

LEVEL = "mfcc0"
MUTED_DB = -200.0
"""Gain of what is not to be heard."""


def with_unit_gains(
    selection: Selection,
    queries: npt.NDArray[np.floating],
    database: DescriptorDatabase,
    *,
    limit_db: float,
) -> Selection:
    """Return the selection with the gain that brings each unit to the level of its frames.

    The gain is the mean difference of level, the mean of the mel bands in dB, over the unit.
    Without mfcc there is none.

    Parameters
    ----------
    selection : Selection
        Units of any layers.
    queries : ndarray, (T, D)
        Descriptors that were asked for, in descriptor units.
    database : DescriptorDatabase
        What the units refer to.
    limit_db : float
        Largest gain up or down in dB; 0: none.
    """
    if not limit_db or LEVEL not in database.config.names:
        return selection
    wanted = _levels_db(queries, database)
    units = []
    for unit in selection.units:
        own = _levels_db(database.values[unit.first_row : unit.first_row + unit.n_frames], database)
        frames = wanted[unit.onset_frame : unit.onset_frame + unit.n_frames]
        gain_db = float(np.mean(frames - own))
        # Hundredths of a dB: what is equal but for rounding is left untouched.
        bounded = round(float(np.clip(gain_db, -limit_db, limit_db)), 2)
        units.append(replace(unit, gain_db=bounded + 0.0))
    return Selection(tuple(units))


def silent_frames(
    queries: npt.NDArray[np.floating], database: DescriptorDatabase, gate_db: float | None
) -> npt.NDArray[np.bool_]:
    """Return which frames (T,) are to be silent.

    Parameters
    ----------
    queries : ndarray, (T, D)
        Descriptors that were asked for, in descriptor units.
    database : DescriptorDatabase
        Its loudest row is the reference.
    gate_db : float or None
        Level relative to it, below which a frame is silent; None: none is. It needs mfcc among
        the descriptors.
    """
    if gate_db is None:
        return np.zeros(len(queries), bool)
    loudest = _levels_db(database.values, database).max()
    quiet: npt.NDArray[np.bool_] = _levels_db(queries, database) < loudest + gate_db
    return quiet


def split_at(selection: Selection, silent: npt.NDArray[np.bool_]) -> Selection:
    """Cut units where silence begins and ends; cost is shared by length."""
    changes = np.flatnonzero(np.diff(silent)) + 1
    units: list[Unit] = []
    for unit in selection.units:
        end = unit.onset_frame + unit.n_frames
        inside = changes[(changes > unit.onset_frame) & (changes < end)].tolist()
        for onset, stop in pairwise([unit.onset_frame, *inside, end]):
            first_row = unit.first_row + onset - unit.onset_frame
            cost = unit.cost * (stop - onset) / unit.n_frames
            units.append(
                replace(
                    unit, first_row=first_row, n_frames=stop - onset, onset_frame=onset, cost=cost
                )
            )
    return Selection(tuple(units))


def muted(selection: Selection, silent: npt.NDArray[np.bool_]) -> Selection:
    """Return the selection with the units that begin in silence turned off."""
    return Selection(
        tuple(
            replace(unit, gain_db=MUTED_DB) if silent[unit.onset_frame] else unit
            for unit in selection.units
        )
    )


def _levels_db(
    values: npt.NDArray[np.floating], database: DescriptorDatabase
) -> npt.NDArray[np.float64]:
    """Return the mean level of the mel bands of descriptors (n, D) in dB, (n,).

    mfcc0 is √n_mels times that (the transform is orthonormal).
    """
    column = database.config.names.index(LEVEL)
    levels: npt.NDArray[np.float64] = values[:, column] / np.sqrt(database.config.n_mels)
    return levels

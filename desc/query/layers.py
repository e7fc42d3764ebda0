"""Superimposed selections: what is left to be answered, and how loud an answer helps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from desc.database import DescriptorDatabase
from desc.descriptors.deltas import append_deltas
from desc.query.envelope import envelope_db, mfcc_of
from desc.query.gains import MUTED_DB
from desc.query.selection import Selection

Float64 = npt.NDArray[np.float64]

LEAST_DB = -20.0
"""Where nothing is left of a band, this much below the target is asked for."""
LOWEST_GAIN_DB = -24.0


def played_power(selection: Selection, n_frames: int, database: DescriptorDatabase) -> Float64:
    """Return the power (T, bands) that the units of all layers add up to, as of unlike sounds."""
    total = np.zeros((n_frames, envelope_db(database.values[:0], database.config).shape[1]))
    for unit in selection.units:
        rows = database.values[unit.first_row : unit.first_row + unit.n_frames]
        level = envelope_db(rows, database.config) + unit.gain_db
        total[unit.onset_frame : unit.onset_frame + unit.n_frames] += _power(level)
    return total


def left_over(
    queries: npt.NDArray[np.floating], played: Float64, database: DescriptorDatabase
) -> npt.NDArray[np.float32]:
    """Return descriptors (T, D) of what a target (T, D) has more than was played (T, bands).

    Only the MFCC, and their deltas, are changed.
    """
    config = database.config
    target = _power(envelope_db(queries, config))
    rest = np.maximum(target - played, target * _power(np.array(LEAST_DB)))
    changed = np.array(queries, np.float32)
    mfcc = list(config.groups["mfcc"])
    changed[:, mfcc] = mfcc_of(10 * np.log10(rest), config)
    return append_deltas(changed[:, config.static_columns], config)


def with_helping_gains(
    selection: Selection,
    queries: npt.NDArray[np.floating],
    played: Float64,
    database: DescriptorDatabase,
    *,
    limit_db: float,
) -> Selection:
    """Return the selection with the gains at which it brings the sum nearest to the target.

    Of the steps of 1 dB from −24 dB to the limit, and silence, each unit gets the one with the
    smallest mean square error of the summed envelope in dB; so no unit makes it worse.

    Parameters
    ----------
    selection : Selection
        Units of a further layer.
    queries : ndarray, (T, D)
        The target.
    played : ndarray, (T, bands)
        Power of the layers before.
    database : DescriptorDatabase
        What the units refer to.
    limit_db : float
        Largest gain.
    """
    gains = np.concatenate([[MUTED_DB], np.arange(LOWEST_GAIN_DB, limit_db + 0.5)])
    target = envelope_db(queries, database.config)
    units = []
    for unit in selection.units:
        frames = slice(unit.onset_frame, unit.onset_frame + unit.n_frames)
        rows = database.values[unit.first_row : unit.first_row + unit.n_frames]
        own = _power(envelope_db(rows, database.config))
        sums = played[frames] + _power(gains)[:, None, None] * own  # (gains, frames, bands)
        errors = ((10 * np.log10(sums) - target[frames]) ** 2).mean((1, 2))
        units.append(replace(unit, gain_db=float(gains[errors.argmin()])))
    return Selection(tuple(units))


def _power(level_db: Float64) -> Float64:
    power: Float64 = 10 ** (level_db / 10)
    return power

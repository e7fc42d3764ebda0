"""Levels and pitch of selected units: gains, silence, layers and transposition."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np

from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.deltas import append_deltas
from desc.descriptors.envelope import envelope_db, mfcc_of
from desc.descriptors.pitch import VOICED
from desc.matching.arrays import Bools, Float32, Float64, Values
from desc.matching.units import MUTED_DB, Unit, Units

LEVEL = "mfcc0"
LEAST_DB = -20.0
"""Level of a further layer's target, relative to the target, in a band that is already full."""
LOWEST_GAIN_DB = -24.0
"""Lowest gain of a unit of a further layer, dB."""
LEAST_SEMITONES = 0.05
"""Smaller changes of pitch are inaudible, and the unit stays untouched."""


def levels_db(values: Values, config: DescriptorConfig) -> Float64:
    """Return the mean level of the mel bands of descriptors (n, D) in dB, (n,).

    mfcc0 is √n_mels times that, as the transform is orthonormal.
    """
    return values[:, config.names.index(LEVEL)] / np.sqrt(config.n_mels)


def with_gains(
    units: Units, target: Values, database: DescriptorDatabase, *, limit_db: float
) -> Units:
    """Return units with the gains that bring each to the mean level of its frames.

    Without mfcc among the descriptors there is no gain.

    Parameters
    ----------
    units : tuple of Unit
        Units of any layers.
    target : ndarray, (T, D)
        Descriptors to match, in descriptor units.
    database : DescriptorDatabase
        The rows of the units.
    limit_db : float
        Largest gain up or down in dB; 0: none.
    """
    if not limit_db or LEVEL not in database.config.names:
        return units
    wanted = levels_db(target, database.config)
    found = []
    for unit in units:
        own = levels_db(database.values[unit.rows], database.config)
        gain_db = float(np.mean(wanted[unit.frames] - own))
        # Hundredths of a dB: levels that differ by rounding only are left untouched.
        bounded = round(float(np.clip(gain_db, -limit_db, limit_db)), 2)
        found.append(replace(unit, gain_db=bounded + 0.0))
    return tuple(found)


def with_gain_curves(
    units: Units, target: Values, database: DescriptorDatabase, *, limit_db: float
) -> Units:
    """Return units with the gain curves by which their level moves as the target's.

    A curve changes the frames of a unit against each other: before it is limited, its mean is
    0 dB, as the mean level is that of `with_gains`. Muted units have none. Without mfcc there is
    none.

    Parameters
    ----------
    units : tuple of Unit
        Units of any layers, with shifts and transposition.
    target : ndarray, (T, D)
        Descriptors to match, in descriptor units.
    database : DescriptorDatabase
        The rows of the units.
    limit_db : float
        Largest change up or down in dB; 0: none. Gain and curve together rise by no more, unless
        the gain alone does.
    """
    if not limit_db or LEVEL not in database.config.names:
        return units
    wanted = levels_db(target, database.config)

    def curve_db(unit: Unit) -> tuple[float, ...]:
        if unit.gain_db <= MUTED_DB:
            return ()
        changes = wanted[unit.frames] - _played_levels_db(unit, database)
        highest_db = np.clip(limit_db - unit.gain_db, 0.0, limit_db)
        curve = np.clip(changes - changes.mean(), -limit_db, highest_db).round(2) + 0.0
        return tuple(curve.tolist()) if curve.any() else ()

    return tuple(replace(unit, gain_curve_db=curve_db(unit)) for unit in units)


def _played_levels_db(unit: Unit, database: DescriptorDatabase) -> Float64:
    """Return the level (n,) of the file where a unit plays it in each of its frames, dB."""
    hop, centres = database.config.hop_length, database.centre_samples
    file = database.file_index[unit.first_row]
    ratio = 2 ** (unit.transpose_semitones / 12)
    from_middle = np.arange(unit.n_frames) - (unit.n_frames - 1) / 2
    offsets = (ratio * from_middle - from_middle[0]) * hop + unit.shift_samples
    places = centres[unit.first_row] + database.files[int(file)].speed * offsets
    first, stop = np.searchsorted(database.file_index, [file, file + 1])
    around = math.ceil(abs(ratio - 1) * unit.n_frames) + 1
    rows = slice(max(first, unit.rows.start - around), min(stop, unit.rows.stop + around))
    return np.interp(places, centres[rows], levels_db(database.values[rows], database.config))


def split_at(units: Units, silent: Bools) -> Units:
    """Split units at the beginnings and ends of silence (T,). Cost is shared by length."""
    changes = np.flatnonzero(np.diff(silent)) + 1
    found: list[Unit] = []
    for unit in units:
        onset, end = unit.frames.start, unit.frames.stop
        inside = changes[(changes > onset) & (changes < end)].tolist()
        for start, stop in pairwise([onset, *inside, end]):
            piece = replace(
                unit,
                first_row=unit.first_row + start - onset,
                n_frames=stop - start,
                onset_frame=start,
                cost=unit.cost * (stop - start) / unit.n_frames,
            )
            found.append(piece)
    return tuple(found)


def muted(units: Units, silent: Bools) -> Units:
    """Return units, those that begin in silence (T,) muted."""
    return tuple(
        replace(unit, gain_db=MUTED_DB) if silent[unit.onset_frame] else unit for unit in units
    )


def played_power(units: Units, n_frames: int, database: DescriptorDatabase) -> Float64:
    """Return the summed power (T, bands) of the units of all layers, as of uncorrelated sounds."""
    total = np.zeros((n_frames, envelope_db(database.values[:0], database.config).shape[1]))
    for unit in units:
        curve = np.array(unit.gain_curve_db or (0.0,))[:, None]
        level = envelope_db(database.values[unit.rows], database.config) + unit.gain_db + curve
        total[unit.frames] += _power(level)
    return total


def residual_target(target: Values, played: Float64, database: DescriptorDatabase) -> Float32:
    """Return the target (T, D) minus the power played so far (T, bands), as descriptors.

    Only the MFCC and their deltas are changed.
    """
    config = database.config
    power = _power(envelope_db(target, config))
    rest = np.maximum(power - played, power * _power(np.array(LEAST_DB)))
    changed = np.array(target, np.float32)
    changed[:, list(config.groups["mfcc"])] = mfcc_of(10 * np.log10(rest), config)
    return append_deltas(changed[:, config.static_columns], config)


def with_fitted_gains(
    units: Units,
    target: Values,
    played: Float64,
    database: DescriptorDatabase,
    *,
    limit_db: float,
) -> Units:
    """Return units of a further layer with the gains that bring the sum nearest to the target.

    Gains are silence and steps of 1 dB from −24 dB to the limit. Each unit gets the one with the
    smallest mean square error of the summed envelope in dB, so no unit increases the error (before
    its gain curve).

    Parameters
    ----------
    units : tuple of Unit
        Units of one layer.
    target : ndarray, (T, D)
        Descriptors to match, in descriptor units.
    played : ndarray, (T, bands)
        Power of the layers before.
    database : DescriptorDatabase
        The rows of the units.
    limit_db : float
        Largest gain, dB.
    """
    gains = np.concatenate([[MUTED_DB], np.arange(LOWEST_GAIN_DB, limit_db + 0.5)])
    wanted = envelope_db(target, database.config)
    found = []
    for unit in units:
        own = _power(envelope_db(database.values[unit.rows], database.config))
        sums = played[unit.frames] + _power(gains)[:, None, None] * own  # (gains, frames, bands)
        errors = ((10 * np.log10(sums) - wanted[unit.frames]) ** 2).mean((1, 2))
        found.append(replace(unit, gain_db=float(gains[errors.argmin()])))
    return tuple(found)


def with_transposition(
    units: Units, target: Values, database: DescriptorDatabase, limit_semitones: float
) -> Units:
    """Return units with the transposition that brings each to the target's pitch.

    The change is the median difference of pitch over the frames that are voiced in the target and
    in the unit. Units without such frames, and those further off than the limit, stay as they are.

    Parameters
    ----------
    units : tuple of Unit
        Units of any layers.
    target : ndarray, (T, D)
        Descriptors to match, in descriptor units.
    database : DescriptorDatabase
        The rows of the units.
    limit_semitones : float
        Largest change up or down; 0: none. Other values need f0 among the descriptors.
    """
    if not limit_semitones:
        return units
    pitch, voicing = database.config.groups["f0"]
    found = []
    for unit in units:
        own, wanted = database.values[unit.rows], target[unit.frames]
        voiced = (own[:, voicing] >= VOICED) & (wanted[:, voicing] >= VOICED)
        change = 0.0
        if voiced.any():
            change = 12 * float(np.median((wanted - own)[voiced, pitch]))
        fits = LEAST_SEMITONES <= abs(change) <= limit_semitones
        found.append(replace(unit, transpose_semitones=round(change, 2) if fits else 0.0))
    return tuple(found)


def _power(level_db: Float64) -> Float64:
    return 10 ** (level_db / 10)

"""Attacks inside the hop: units are shifted so that their attack meets the target's.

Frames are a hop apart, but their windows overlap. The later an attack is in a window, the less of
its power the window holds, so the levels of the frames around it tell its place between them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.envelope import N_BANDS, envelope_db
from desc.matching.arrays import Float64, Rows, Values
from desc.matching.units import SourcePositions, Unit, Units, played_rows

OFFSETS = np.arange(-2, 4)
"""Frames around a frame by which the attack near it is placed."""
EARLIEST, LATEST, STEPS = -0.5, 1.5, 32
"""Places that are tried, in hops from the frame's centre, and their number per hop."""
EXPONENT = 0.35
"""Exponent of the power that is compared, so that frames that hold little of it count as well."""
BLOCK_FRAMES = 1 << 13
"""Frames that are measured at once."""
POINTS = 256
"""Points by which a window is summed."""
DECAYS = (1e-12, 0.01, 0.1, 0.4, 1.0)
"""Powers that are left of a sound a hop after its attack."""
RISE_DB = 6.0
"""Least rise of an attack, in the mean of the bands."""
FIT = 0.95
"""Least cosine between the course of the frames and that of a decaying sound."""
FARTHEST = 0.75
"""Largest shift, in hops."""


def attack_places(values: Values, frames: Rows, config: DescriptorConfig) -> Float64:
    """Return the places of the attacks near frames (m,) of descriptors (T, D), in hops, (m,).

    Counted from the centre of each frame, -.5 to 1.5; NaN where there is none, or the frame is too
    near to the first or the last one. The place is that of the decaying sound whose course, in the
    windows of the frames around, is most like that of the bands that rise.
    """
    blocks = range(0, max(len(frames), 1), BLOCK_FRAMES)
    return np.concatenate([_places(values, frames[i : i + BLOCK_FRAMES], config) for i in blocks])


def _places(values: Values, frames: Rows, config: DescriptorConfig) -> Float64:
    places = np.full(len(frames), np.nan)
    whole = np.flatnonzero((frames + OFFSETS[0] >= 0) & (frames + OFFSETS[-1] < len(values)))
    around = frames[whole, None] + OFFSETS
    levels = envelope_db(values[around.ravel()], config).reshape(*around.shape, N_BANDS)
    levels -= levels[:, :2].min(1, keepdims=True)
    rises = levels.max(1)  # (m, bands), not negative
    rising = rises.mean(1) >= RISE_DB
    whole, levels, rises = whole[rising], levels[rising], rises[rising]
    sizes = (10 ** (levels / 10) - 1).clip(0) ** EXPONENT
    sizes /= sizes.max(1, keepdims=True) + 1e-9
    course = np.einsum("mtb,mb->mt", sizes, rises)
    course /= np.linalg.norm(course, axis=1, keepdims=True)
    tried, shapes = _decaying(config.n_fft, config.hop_length)
    fits = course @ shapes.T
    found = tried[fits.argmax(1)]
    inside = (found > tried[0]) & (found < tried[-1])
    places[whole] = np.where(inside & (fits.max(1) >= FIT), found, np.nan)
    return places


@lru_cache(maxsize=4)
def _decaying(n_fft: int, hop_length: int) -> tuple[Float64, Float64]:
    """Return places (n,) of attacks, each with each of the decays, and their courses (n, frames).

    A course is the compressed power of the frames around, as a vector of length 1.
    """
    times = ((np.arange(POINTS) + 0.5) / POINTS - 0.5) * n_fft / hop_length  # from the centre
    window = np.hanning(POINTS + 2)[1:-1] ** 2
    places = np.repeat(np.arange(EARLIEST, LATEST, 1 / STEPS), len(DECAYS))
    decays = np.tile(DECAYS, len(places) // len(DECAYS))
    since = OFFSETS[:, None] + times - places[:, None, None]
    sounds = np.where(since >= 0, decays[:, None, None] ** since.clip(0), 0)
    shapes = (sounds @ window) ** EXPONENT
    return places, shapes / (np.linalg.norm(shapes, axis=1, keepdims=True) + 1e-9)


def with_attacks(
    units: Units, target: Values, database: DescriptorDatabase, positions: SourcePositions
) -> Units:
    """Return units shifted, by up to .75 hops, so that their attacks meet the target's.

    The shift is the mean over the attacks that a unit and its part of the target have in common. A
    unit that continues the one before keeps that one's shift. Without mfcc among the descriptors
    there is none.

    Parameters
    ----------
    units : tuple of Unit
        Units of any layers.
    target : ndarray, (T, D)
        Descriptors to match, in descriptor units.
    database : DescriptorDatabase
        The rows of the units.
    positions : SourcePositions
        The order of the rows in their files.
    """
    config, chain = database.config, positions.chain
    if "mfcc" not in config.groups or not units:
        return units
    lengths = [unit.n_frames for unit in units]
    number, rows = np.repeat(np.arange(len(units)), lengths), played_rows(units)
    frames = np.concatenate([np.arange(unit.frames.start, unit.frames.stop) for unit in units])
    around = chain[np.clip(rows[:, None] + OFFSETS, 0, len(chain) - 1)]
    own = np.where(
        (np.diff(around) == 1).all(1), attack_places(database.values, rows, config), np.nan
    )
    late = own - attack_places(target, frames, config)
    ends = np.array([unit.frames.stop for unit in units])[number] - 0.5
    common = (np.abs(late) <= FARTHEST) & (frames + own < ends)
    sums = np.bincount(number[common], late[common], len(units))
    means = sums / np.maximum(np.bincount(number[common], minlength=len(units)), 1)
    found: list[Unit] = []
    for unit, shift in zip(units, np.rint(means * config.hop_length).astype(int), strict=True):
        before = found[-1] if found else unit
        adjacent = (before.layer, before.frames.stop) == (unit.layer, unit.onset_frame)
        follows = chain[unit.first_row] == chain[before.rows.stop - 1] + 1
        kept = before.shift_samples if adjacent and follows else int(shift)
        found.append(replace(unit, shift_samples=kept))
    return tuple(found)

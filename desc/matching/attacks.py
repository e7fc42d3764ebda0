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
from desc.descriptors.envelope import envelope_db
from desc.matching.arrays import Float64, Rows, Values
from desc.matching.units import SourcePositions, Unit, Units

OFFSETS = np.arange(-2, 4)
"""Frames that are compared, relative to the first one of a unit."""
EARLIEST, LATEST, STEPS = -0.5, 1.5, 64
"""Places at which an attack is looked for, in hops from the first frame's centre, and their number
per hop. A unit sounds from -.5 on."""
POINTS = 256
"""Points by which a window is summed."""
DECAYS = (1e-12, 0.03, 0.2, 0.6, 1.0)
"""Powers that are left of a sound a hop after its attack."""
RISE_DB = 6.0
"""Least rise of an attack, in the mean of the bands."""
FIT = 0.9
"""Least cosine between the power of the frames and that of a decaying sound."""
FARTHEST = 0.5
"""Largest shift, in hops."""


def attack_places(values: Values, frames: Rows, config: DescriptorConfig) -> Float64:
    """Return where the attacks at frames (m,) of descriptors (T, D) begin, in hops, (m,).

    Counted from the centre of each frame, -.5 to 1.5; NaN where there is none, or it is too near
    to the first or the last frame. The place is that of the decaying sound whose power, in the
    windows of the frames around, is most like that of the bands that rise.
    """
    whole = (frames + OFFSETS[0] >= 0) & (frames + OFFSETS[-1] < len(values))
    around = np.where(whole, frames, -OFFSETS[0])[:, None] + OFFSETS
    around = np.minimum(around, len(values) - 1)
    levels = envelope_db(values[around.ravel()], config).reshape(*around.shape, -1)
    levels -= levels[:, :2].min(1, keepdims=True)
    rises = levels.max(1).clip(0)  # of each band
    sizes = np.sqrt((10 ** (levels / 10) - 1).clip(0))
    sizes /= sizes.max(1, keepdims=True) + 1e-9
    course = np.einsum("mtb,mb->mt", sizes, rises)
    course /= np.linalg.norm(course, axis=1, keepdims=True) + 1e-9
    places, shapes = _decaying(config.n_fft, config.hop_length)
    fits = course @ shapes.T
    best = fits.argmax(1)
    good = whole & (rises.mean(1) >= RISE_DB) & (fits[np.arange(len(best)), best] >= FIT)
    return np.where(good, places[best], np.nan)


@lru_cache(maxsize=4)
def _decaying(n_fft: int, hop_length: int) -> tuple[Float64, Float64]:
    """Return places (n,) of attacks, and the power of the frames about each, (n, frames), norm 1.

    Each place comes with each of the decays.
    """
    times = ((np.arange(POINTS) + 0.5) / POINTS - 0.5) * n_fft / hop_length  # from the centre
    window = np.hanning(POINTS + 2)[1:-1] ** 2
    places = np.repeat(np.arange(EARLIEST, LATEST, 1 / STEPS), len(DECAYS))
    decays = np.tile(DECAYS, len(places) // len(DECAYS))
    since = OFFSETS[:, None] + times - places[:, None, None]
    sounds = np.where(since >= 0, decays[:, None, None] ** since.clip(0), 0)
    shapes = np.sqrt(sounds @ window)
    return places, shapes / np.linalg.norm(shapes, axis=1, keepdims=True)


def with_attacks(
    units: Units, target: Values, database: DescriptorDatabase, positions: SourcePositions
) -> Units:
    """Return units shifted so that their attack meets the target's.

    A unit is shifted, by up to half a hop, if an attack begins in its first one and a half frames
    both in its file and in the target. A unit that continues the one before keeps that one's
    shift. Without mfcc among the descriptors there is no shift.

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
    config = database.config
    if "mfcc" not in config.groups or not units:
        return units
    rows = np.array([unit.first_row for unit in units])
    chain = positions.chain[np.clip(rows[:, None] + OFFSETS, 0, len(database) - 1)]
    inside = (np.diff(chain) == 1).all(1)
    own = attack_places(database.values, rows, config)
    wanted = attack_places(target, np.array([unit.onset_frame for unit in units]), config)
    late = np.where(inside, own - wanted, np.nan)
    shifts = np.where(np.abs(late) <= FARTHEST, np.rint(late * config.hop_length), 0).astype(int)
    found: list[Unit] = []
    for unit, shift in zip(units, shifts.tolist(), strict=True):
        before = found[-1] if found else unit
        adjacent = (before.layer, before.frames.stop) == (unit.layer, unit.onset_frame)
        follows = positions.chain[unit.first_row] == positions.chain[before.rows.stop - 1] + 1
        kept = before.shift_samples if adjacent and follows else shift
        found.append(replace(unit, shift_samples=kept))
    return tuple(found)

"""Unit selection: from candidate rows to units that are played in one piece.

A selection method chooses one row per frame; `units_of_rows` makes units of them. The method here
takes the nearest row of every frame by itself; `path` looks at the whole sequence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.database import DescriptorDatabase
from desc.query.moments import NEAR_MOMENTS, Moments
from desc.query.search import Matches


@dataclass(frozen=True)
class Unit:
    """Consecutive frames of one file.

    Attributes
    ----------
    first_row : int
        Row of the database; the unit goes on with the rows after it.
    n_frames : int
        Length in frames.
    onset_frame : int
        Frame of the result at which it starts.
    layer : int
        Voice it belongs to; the units of a layer follow each other without gap.
    cost : float
        Sum over its frames of what choosing them cost: distances, and joins where a method
        counts them.
    gain_db : float
        Gain with which it is played: see `desc.query.with_unit_gains`.
    transpose_semitones : float
        Change of pitch: see `desc.query.transposing`.
    """

    first_row: int
    n_frames: int
    onset_frame: int
    layer: int = 0
    cost: float = 0.0
    gain_db: float = 0.0
    transpose_semitones: float = 0.0


@dataclass(frozen=True)
class Selection:
    """What is to be played: units in the order of layer and onset."""

    units: tuple[Unit, ...]

    @property
    def n_frames(self) -> int:
        """Length of the longest layer in frames."""
        return max((unit.onset_frame + unit.n_frames for unit in self.units), default=0)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Row of the database that each frame (T,) of layer 0 plays."""
        spans = [unit.first_row + np.arange(unit.n_frames) for unit in self.units if not unit.layer]
        return np.concatenate([np.zeros(0, np.int64), *spans]).astype(np.int64)


def select_nearest(matches: Matches, database: DescriptorDatabase) -> Selection:
    """Choose the nearest row of every frame; cost is the sum of their distances."""
    return Selection(units_of_rows(matches.rows[:, 0], matches.distances[:, 0], database))


def units_of_rows(
    rows: npt.NDArray[np.int64],
    costs: npt.NDArray[np.float64],
    database: DescriptorDatabase,
    *,
    layer: int = 0,
) -> tuple[Unit, ...]:
    """Join frames whose rows follow each other in a file.

    Parameters
    ----------
    rows : ndarray of int64, (T,)
        Row chosen for each frame.
    costs : ndarray of float64, (T,)
        What it cost.
    database : DescriptorDatabase
        Says which rows are neighbours: same file, and centres one hop apart.
    layer : int
        The layer of all units.
    """
    if not len(rows):
        return ()
    starts = np.concatenate([[0], np.flatnonzero(~_continues(rows, database)) + 1])
    lengths = np.diff(np.append(starts, len(rows)))
    sums = np.add.reduceat(costs, starts)
    return tuple(
        Unit(int(rows[start]), int(length), int(start), layer, float(cost))
        for start, length, cost in zip(starts, lengths, sums, strict=True)
    )


def row_places(database: DescriptorDatabase) -> npt.NDArray[np.int64]:
    """Return a number (N,) for each row: one more where a row goes on from the one before.

    Elsewhere it is two more.
    """
    rows = np.arange(len(database))
    steps = np.where(_continues(rows, database), 1, 2)
    return np.concatenate([[0], np.cumsum(steps)])[: len(database)]


def repeat_share(
    selection: Selection, database: DescriptorDatabase, within_s: float = 0.5
) -> float:
    """Return the share (0 to 1) of the frames that come back too soon.

    They are those within two moments of one that an earlier unit of layer 0 played in the last
    `within_s` seconds, at whatever speed.
    """
    rows = selection.rows
    if not len(rows):
        return 0.0
    moments = Moments.of(database).of_row[rows]
    units = np.cumsum(np.concatenate([[0], ~_continues(rows, database)]))
    repeated = np.zeros(len(rows), bool)
    for lag in range(1, min(int(within_s * database.config.frame_rate) + 1, len(rows))):
        near = np.abs(moments[lag:] - moments[:-lag]) <= NEAR_MOMENTS
        repeated[lag:] |= near & (units[lag:] != units[:-lag])
    return float(repeated.mean())


def _continues(rows: npt.NDArray[np.int64], database: DescriptorDatabase) -> npt.NDArray[np.bool_]:
    """Return whether each row (T − 1,) but the first follows the one before it in its file."""
    files, centres = database.file_index[rows], database.centre_samples[rows]
    hops = database.config.hop_length * np.array([file.speed for file in database.files])
    result: npt.NDArray[np.bool_] = (
        (np.diff(rows) == 1)
        & (np.diff(files) == 0)
        & (np.abs(np.diff(centres) - hops[files[1:]]) < 1)  # centres are rounded
    )
    return result

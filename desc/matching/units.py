"""Units, and the places of rows in their recordings.

A unit is a stretch of consecutive frames of one file that is played in one piece. Rows with nearby
source positions sound alike, regardless of their speed.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.playlist import CORPUS
from desc.configuration import RenderConfig
from desc.database import DescriptorDatabase
from desc.matching.arrays import Bools, Float64, Int32, Rows
from desc.matching.space import BLOCK_ROWS

MUTED_DB = -200.0
"""Gain of a silent unit, dB."""
NEAR_POSITIONS = 2
"""Source positions this close sound alike: the windows of two hops overlap."""
_POSITIONS: WeakKeyDictionary[DescriptorDatabase, SourcePositions] = WeakKeyDictionary()
"""Source positions of the databases that are in use."""


@dataclass(frozen=True)
class Unit:
    """Consecutive frames of one file.

    Attributes
    ----------
    first_row : int
        Its first row of the database; the rows after it follow.
    n_frames : int
        Length in frames.
    onset_frame : int
        Frame of the result at which it starts.
    layer : int
        Layer it belongs to. The units of a layer follow each other without gaps.
    cost : float
        Sum of the costs of its frames: distances to the target, and transition costs if the
        search uses them.
    gain_db : float
        Gain at which it is played, dB.
    transpose_semitones : float
        Change of pitch by playing it faster or slower.
    shift_samples : int
        Samples by which it is read later in its file, so that its attack meets the target's.
    gain_curve_db : tuple of float
        Change of the gain at each of its frames, dB; empty: none.
    """

    first_row: int
    n_frames: int
    onset_frame: int
    layer: int = 0
    cost: float = 0.0
    gain_db: float = 0.0
    transpose_semitones: float = 0.0
    shift_samples: int = 0
    gain_curve_db: tuple[float, ...] = ()

    @property
    def rows(self) -> slice:
        """Its rows of the database."""
        return slice(self.first_row, self.first_row + self.n_frames)

    @property
    def frames(self) -> slice:
        """Its frames of the result."""
        return slice(self.onset_frame, self.onset_frame + self.n_frames)


Units = tuple[Unit, ...]
"""Units in the order of layer and onset."""


def sounding(units: Units) -> Units:
    """Return the units that are not muted."""
    return tuple(unit for unit in units if unit.gain_db > MUTED_DB)


def units_of_rows(rows: Rows, costs: Float64, database: DescriptorDatabase) -> Units:
    """Join frames whose rows follow each other in a file into units.

    Parameters
    ----------
    rows : ndarray of int64, (T,)
        Row chosen for each frame.
    costs : ndarray of float64, (T,)
        Cost of each choice.
    database : DescriptorDatabase
        Consecutive rows are of one file, with centres one hop apart.
    """
    if not len(rows):
        return ()
    starts = np.concatenate([[0], np.flatnonzero(~_continues(rows, database)) + 1])
    lengths = np.diff(np.append(starts, len(rows)))
    sums = np.add.reduceat(costs, starts)
    return tuple(
        Unit(int(rows[start]), int(length), int(start), cost=float(cost))
        for start, length, cost in zip(starts, lengths, sums, strict=True)
    )


def rows_of_units(units: Units) -> Rows:
    """Return the row of the database that each frame (T,) of layer 0 plays."""
    return played_rows(tuple(unit for unit in units if not unit.layer))


def played_rows(units: Units) -> Rows:
    """Return the rows of the database that units play, one after the other."""
    spans = [np.arange(unit.rows.start, unit.rows.stop) for unit in units]
    return np.concatenate([np.zeros(0, np.int64), *spans])


def to_playlist(
    units: Units,
    database: DescriptorDatabase,
    rendering: RenderConfig = RenderConfig(),
    *,
    fade_ends: bool = False,
) -> Playlist:
    """Return units as a playlist of pieces of files.

    A unit of n frames becomes n·hop samples of its file, from half a hop before the centre of its
    first frame; so the lengths of a layer of N frames add up to N·hop. A unit of a recording at
    another speed is transposed by it, about the centre of what it plays.

    Parameters
    ----------
    units : tuple of Unit
        At least one.
    database : DescriptorDatabase
        The rows of the units.
    rendering : RenderConfig
        Gives the length of the fades. The first start and the last end of a layer have none,
        unless `fade_ends`.
    fade_ends : bool
        Whether the first start and the last end of a layer are faded, too.
    """
    fade_ms = rendering.crossfade_ms
    events = tuple(unit_event(unit, database, fade_ms if fade_ends else 0.0) for unit in units)
    roots = {CORPUS: Path(os.path.abspath(database.root)).as_posix()}
    playlist = Playlist(events, database.config.sample_rate, roots)
    return playlist if fade_ends else playlist.with_crossfade(fade_ms)


def unit_event(unit: Unit, database: DescriptorDatabase, fade_ms: float = 0.0) -> PlaylistEvent:
    """Return a unit as a piece of its file, with fades of this length."""
    hop = database.config.hop_length
    file = database.files[int(database.file_index[unit.first_row])]
    # At speed v, each sample played corresponds to v samples of the recording.
    before_centre = (unit.n_frames * hop - hop) / 2 + unit.shift_samples
    centre = int(database.centre_samples[unit.first_row]) + file.speed * before_centre
    return PlaylistEvent(
        source=file.source,
        start_sample=round(centre - unit.n_frames * hop / 2),
        n_samples=unit.n_frames * hop,
        onset_sample=unit.onset_frame * hop,
        digest=file.digest,
        fade_in_ms=fade_ms,
        fade_out_ms=fade_ms,
        gain_db=unit.gain_db,
        gain_curve=tuple(
            (frame * hop + hop // 2, gain_db) for frame, gain_db in enumerate(unit.gain_curve_db)
        ),
        transpose_semitones=unit.transpose_semitones + round(12 * math.log2(file.speed), 6),
        layer=unit.layer,
    )


def repeat_share(units: Units, database: DescriptorDatabase, within_s: float = math.inf) -> float:
    """Return the share (0 to 1) of sounding frames that repeat a sound of the result.

    A frame counts if another unit, of any layer, played a source position within two of its own
    before, at whatever speed. Of two frames at the same time, that of the higher layer counts.
    Muted units are left out.

    Parameters
    ----------
    units : tuple of Unit
        The units of a result.
    database : DescriptorDatabase
        The rows of the units.
    within_s : float
        Count only what was played within this time, seconds.
    """
    units = sounding(units)
    if not units:
        return 0.0
    rows = played_rows(units)
    frames = np.concatenate([np.arange(u.frames.start, u.frames.stop) for u in units])
    layers = np.repeat([u.layer for u in units], [u.n_frames for u in units])
    joined = _continues(rows, database) & (np.diff(layers) == 0) & (np.diff(frames) == 1)
    number = np.cumsum(np.concatenate([[0], ~joined]))  # of pieces that continue each other
    time = frames * (layers.max() + 1) + layers
    positions = SourcePositions.of(database).of_row[rows].astype(np.int64)
    key = positions * (time.max() + 1) + time
    order = np.argsort(key)
    changes = np.diff(number[order], prepend=-1) != 0
    changes |= np.diff(positions[order], prepend=-1) != 0
    before = np.maximum.accumulate(np.where(changes, np.arange(len(key)), 0)) - 1
    repeated = np.zeros(len(key), bool)
    for near in range(-NEAR_POSITIONS, NEAR_POSITIONS + 1):
        last = np.searchsorted(key[order], key + near * (time.max() + 1)) - 1
        own = (last >= 0) & (number[order[last]] == number)
        last = np.where(own, before[last], last)  # the last one of another piece
        found = (last >= 0) & (positions[order[last]] == positions + near)
        lag_s = (frames - frames[order[last]]) / database.config.frame_rate
        repeated |= found & (lag_s <= within_s)
    return float(repeated.mean())


@dataclass(frozen=True, eq=False)
class SourcePositions:
    """The hop of its recording that each row plays, and the order of rows in their files.

    A recording that is played at several speeds has the same positions at all of them. The
    positions of two recordings are more than `NEAR_POSITIONS` apart.

    Attributes
    ----------
    of_row : ndarray of int32, (N,)
        Source position of each row.
    files : ndarray of int32, (N,)
        The recording, at its speed, that each row belongs to.
    count : int
        Larger than any position.
    chain : ndarray of int32, (N,)
        One more than the previous row's if the row continues it in its file, otherwise two more.
    ends : ndarray of int64, (E,)
        Rows that the next row does not continue, ascending.
    """

    of_row: Int32
    files: Int32
    count: int
    chain: Int32
    ends: Rows

    @classmethod
    def of(cls, database: DescriptorDatabase) -> SourcePositions:
        """Return the source positions of the rows of a database; they are kept while it is."""
        if database not in _POSITIONS:
            _POSITIONS[database] = cls._of(database)
        return _POSITIONS[database]

    @classmethod
    def _of(cls, database: DescriptorDatabase) -> SourcePositions:
        names, contents = np.unique([file.digest for file in database.files], return_inverse=True)
        files, centres = database.file_index, database.centre_samples
        ends = np.unique(np.cumsum([file.n_frames for file in database.files]))
        last = ends[ends > 0] - 1
        spans = np.full(len(names), 1 + NEAR_POSITIONS)
        furthest = _hops(centres[last], database) + 1 + NEAR_POSITIONS
        np.maximum.at(spans, contents[files[last]], furthest)
        first = (np.cumsum(spans) - spans)[contents].astype(np.int32)
        of_row, found = np.empty(len(files), np.int32), [np.zeros(0, np.int64)]
        steps = _steps(database)
        for start in range(0, len(files), BLOCK_ROWS):  # in little memory
            block = slice(start, start + BLOCK_ROWS + 1)
            of_row[block] = _hops(centres[block], database)
            of_row[block] += first.take(files[block])  # three times as fast as by an index
            joined = _joined(files[block], centres[block], steps)
            found.append(start + np.flatnonzero(~joined))
        breaks = np.concatenate(found)
        lengths = np.diff(breaks, prepend=-1, append=len(files) - 1)
        chain = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        chain += np.arange(len(files), dtype=np.int32)
        return cls(of_row, files, int(spans.sum()), chain, breaks)

    @cached_property
    def keys(self) -> Rows:
        """File and position of each row in one ascending number, (N,) int64."""
        return self.files.astype(np.int64) * (self.count + NEAR_POSITIONS) + self.of_row

    @cached_property
    def n_different(self) -> int:
        """The number of different positions."""
        return self._different(slice(None))

    def count_of(self, usable: Bools) -> int:
        """Return the number of different positions of some rows, given which (N,)."""
        return self.n_different if usable.all() else self._different(usable)

    def _different(self, rows: Bools | slice) -> int:
        found = np.zeros(self.count, bool)
        found[self.of_row[rows]] = True
        return int(found.sum())

    def continued(self, count: int) -> Rows:
        """Return `count` or a few more rows that the next row continues, evenly spread, or all."""
        n_all = len(self.chain) - 1 - len(self.ends)
        numbers = np.arange(0, n_all, max(1, n_all // count))
        before = self.ends - np.arange(len(self.ends))  # rows before each end that are continued
        return numbers + np.searchsorted(before, numbers, side="right")

    def rows_within(self, files: Rows, positions: Rows, radius: int) -> tuple[Rows, Rows]:
        """Return the first row, and the one after the last, of files (n,) near positions (n,).

        `radius` is `NEAR_POSITIONS` at most.
        """
        wanted = files.astype(np.int64) * (self.count + NEAR_POSITIONS) + positions
        first = np.searchsorted(self.keys, wanted - radius)
        return first, np.searchsorted(self.keys, wanted + radius, side="right")

    def continues(self, rows: Rows, later: Rows) -> Bools:
        """Return whether each later row follows the row in its file."""
        return self.chain[later] == self.chain[rows] + 1

    def successors(self, rows: Rows) -> tuple[Rows, Bools]:
        """Return the rows that continue these, and whether there are any; else the rows."""
        later = np.minimum(rows + 1, len(self.chain) - 1)
        follow = self.continues(rows, later)
        return np.where(follow, later, rows), follow


def _hops(centres: Rows, database: DescriptorDatabase) -> Rows:
    """Return the hop of its recording, rounded, in which each sample lies."""
    hop = database.config.hop_length
    return (centres + hop // 2) // hop


def _continues(rows: Rows, database: DescriptorDatabase) -> Bools:
    """Return whether each row (T − 1,) but the first follows the one before it in its file."""
    files, centres = database.file_index[rows], database.centre_samples[rows]
    return (np.diff(rows) == 1) & _joined(files, centres, _steps(database))


def _steps(database: DescriptorDatabase) -> int | Float64:
    """Return the samples between frames, of each file (F,) where recordings have other speeds."""
    hop = database.config.hop_length
    speeds = np.array([file.speed for file in database.files])
    return hop if (speeds == 1).all() else hop * speeds


def _joined(files: Int32, centres: Rows, steps: int | Float64) -> Bools:
    """Return whether frames (n − 1,) but the first follow the one before in its file."""
    apart = np.diff(centres)
    # Centres at other speeds are rounded.
    near = apart == steps if isinstance(steps, int) else np.abs(apart - steps[files[1:]]) < 1
    return (files[1:] == files[:-1]) & near

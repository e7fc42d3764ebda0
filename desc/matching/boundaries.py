"""Boundaries of units longer than a frame: onsets or beats of the corpus, or grains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from desc.configuration import SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.envelope import envelope_db
from desc.matching.arrays import Bools, Float32, Float64, Rows, Values
from desc.matching.space import BLOCK_ROWS
from desc.matching.units import SourcePositions
from desc.metrics.rhythm import onset_curve, track_beats

RISE_DB, RISE_FACTOR = 1.0, 1.5
"""An onset's flux is this much above, and this many times, the mean of the frames around it."""
AROUND, APART = 8, 4
"""Frames on either side that count as around; fewest frames between onsets (93 ms)."""

AHEAD = 1
"""Frames before a beat at which its unit begins, so that its attack stays whole."""


@dataclass(frozen=True, eq=False)
class UnitBoundaries:
    """Beginnings and lengths of the units of a database.

    Attributes
    ----------
    lengths : ndarray of int64, (N,)
        Frames from each row to the end of the unit that contains it; 0: no unit may begin there.
    starts : ndarray of int64, (M,)
        Rows at which units begin.
    look : int
        Number of frames at the beginning of a unit that its search uses.
    units : str
        `onset`, `beat` or `grain`.
    """

    lengths: Rows
    starts: Rows
    look: int
    units: str

    @classmethod
    def of(
        cls, database: DescriptorDatabase, positions: SourcePositions, selection: SelectionConfig
    ) -> UnitBoundaries:
        """Return the units of the settings: from onset to onset, from beat on, or grains.

        A unit that begins at a beat ends with its file at the latest. A grain may begin at any row
        with enough frames of its file after it. A file that is shorter is one grain.
        """
        chain, rows = positions.chain, np.arange(len(database))
        ends = np.flatnonzero(np.append(np.diff(chain) != 1, True))
        remaining = ends[np.searchsorted(ends, rows)] + 1 - rows
        if selection.units == "onset":
            starts = np.flatnonzero(onset_rows(database))
            stops = np.append(starts[1:], len(rows))
            lengths = stops[np.searchsorted(starts, rows, side="right") - 1] - rows
            return cls(np.minimum(lengths, remaining), starts, APART, "onset")
        if selection.units == "beat":
            files = np.split(database.values, np.flatnonzero(np.diff(database.file_index)) + 1)
            beats = [beat_frames(values, database.config) for values in files]
            firsts = np.cumsum([0, *map(len, files[:-1])])
            starts = np.concatenate([n + first for n, first in zip(beats, firsts, strict=True)])
            apart = np.concatenate([np.diff(frames) for frames in beats])
            look = round(float(np.median(apart))) if len(apart) else APART
            return cls(remaining, starts, look, "beat")
        n_frames = selection.grain_frames(database.config.frame_rate)
        first = np.diff(chain, prepend=chain[0] - 2) != 1
        whole = (remaining >= n_frames) | first
        lengths = np.where(whole, np.minimum(remaining, n_frames), 0)
        return cls(lengths, np.flatnonzero(whole), n_frames, "grain")

    @property
    def in_corpus(self) -> Rows:
        """(N,) lengths of units that know no target: from beat to beat, otherwise `lengths`.

        0 where no unit begins.
        """
        lengths = np.zeros_like(self.lengths)
        own = self.lengths[self.starts]
        if self.units == "beat":
            own = np.minimum(own, np.append(np.diff(self.starts), len(lengths)))
        lengths[self.starts] = own
        return lengths

    def target_starts(self, target: Values, config: DescriptorConfig) -> Rows:
        """Return the frames (n,) of a target (T, D) at which units begin: beats, or multiples."""
        if self.units == "beat":
            return beat_frames(target, config)
        return np.arange(0, len(target), self.look if self.units == "grain" else 1)

    def target_stops(self, starts: Rows, n_frames: int) -> Rows:
        """Return the end of the longest unit from each frame (T,) of a target on.

        Units on beats end at the next of the beats after the first, others with the target.
        """
        if self.units != "beat":
            return np.full(n_frames, n_frames)
        later = np.append(starts[1:], n_frames)
        return later[(np.searchsorted(starts, np.arange(n_frames), "right") - 1).clip(0)]

    def sketches(self, points: Float32, starts: Rows, remaining: Rows) -> Float32:
        """Return the means (m, 2·d) of the two halves of the first `look` frames of stretches.

        Parameters
        ----------
        points : ndarray of float32, (n, d)
            Consecutive frames.
        starts, remaining : ndarray of int64, (m,)
            First frame of each stretch, and its length. Shorter stretches are padded with their
            last frame.
        """
        half = (self.look + 1) // 2
        parts = []
        for offsets in (range(half), range(self.look - half, self.look)):
            total = np.zeros((len(starts), points.shape[1]), np.float32)
            for offset in offsets:
                total += points[starts + np.minimum(offset, remaining - 1)]
            parts.append(total / np.float32(len(offsets)))
        return np.hstack(parts)


def beat_frames(values: Values, config: DescriptorConfig) -> Rows:
    """Return the beats (n,) of consecutive frames (T, D), at least one; they must have mfcc.

    Where there is no pulse, onsets count, and the first frame where there is no onset either.
    """
    curve = onset_curve(envelope_db(values, config))
    beats = track_beats(curve, config.frame_rate)
    if not len(beats):
        beats = np.flatnonzero(_peaks(curve))
    return np.unique(np.maximum(beats - AHEAD, 0)) if len(beats) else np.zeros(1, np.int64)


def onset_rows(database: DescriptorDatabase) -> Bools:
    """Return whether a sound begins at each row (N,). The first row of a file always counts.

    Spectral flux is the mean rise in dB, since the frame before, of the spectral envelope given by
    the MFCC. An onset is a peak of the flux, well above the frames around it and at least 4 frames
    after the previous one. The analysis window reaches a hop ahead, so the sound of the row begins
    up to 1.2 frames before the onset and does not cut it. The database must have mfcc.
    """
    strength = _flux(database)
    first = np.diff(database.file_index, prepend=-1) != 0
    strength[first] = 0
    starts = np.flatnonzero(first)
    onsets = first.copy()
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


def _peaks(strength: Float64) -> Bools:
    """Return the onsets of a file; of onsets that are too close, the strongest."""
    around = sliding_window_view(np.pad(strength, AROUND), 2 * AROUND + 1).mean(1)
    highest = sliding_window_view(np.pad(strength, APART - 1), 2 * APART - 1).max(1)
    peaks = (strength == highest) & (strength > np.maximum(RISE_FACTOR * around, around + RISE_DB))
    onsets = np.zeros(len(strength), bool)
    last = 0
    for frame in np.flatnonzero(peaks).tolist():
        if APART <= frame <= len(strength) - APART and frame - last >= APART:
            onsets[frame] = True
            last = frame
    return onsets

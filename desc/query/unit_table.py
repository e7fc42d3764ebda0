"""`UnitTable`: the units of a database where they are longer than a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.configuration import SelectionConfig
from desc.database import DescriptorDatabase
from desc.query.onsets import APART, onset_rows
from desc.query.scores import Float32
from desc.query.selection import row_places

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class UnitTable:
    """Where units begin and how far they go.

    Attributes
    ----------
    lengths : ndarray of int64, (N,)
        Frames from each row to the end of the unit that begins, or goes on, there; 0: none may.
    starts : ndarray of int64, (M,)
        Rows at which units begin.
    look : int
        Frames of a unit by which it is looked for.
    step : int
        Units of a result begin at multiples of so many frames; 1: anywhere.
    """

    lengths: Rows
    starts: Rows
    look: int
    step: int

    @classmethod
    def of(cls, database: DescriptorDatabase, config: SelectionConfig) -> UnitTable:
        """Return the units of the settings: from onset to onset, or grains of one length.

        A grain may begin at any row of a file that has as many frames after it; a file that is
        shorter is one grain.
        """
        places = row_places(database)
        ends = np.flatnonzero(np.append(np.diff(places) != 1, True))
        remaining = ends[np.searchsorted(ends, np.arange(len(places)))] + 1 - np.arange(len(places))
        if config.units == "onset":
            starts = np.flatnonzero(onset_rows(database))
            stops = np.append(starts[1:], len(places))
            rows = np.arange(len(places))
            lengths = stops[np.searchsorted(starts, rows, side="right") - 1] - rows
            return cls(np.minimum(lengths, remaining), starts, APART, 1)
        n_frames = config.grain_frames(database.config.frame_rate)
        first = np.diff(places, prepend=places[0] - 2) != 1
        whole = (remaining >= n_frames) | first
        lengths = np.where(whole, np.minimum(remaining, n_frames), 0)
        return cls(lengths, np.flatnonzero(whole), n_frames, n_frames)

    def sketches(self, points: Float32, starts: Rows, remaining: Rows) -> Float32:
        """Return the means (m, 2·d) of the two halves of the first `look` frames of stretches.

        Parameters
        ----------
        points : ndarray of float32, (n, d)
            Frames one behind the other.
        starts, remaining : ndarray of int64, (m,)
            First frame of each stretch, and how many there are; of shorter ones the last frame
            stands for those that are missing.
        """
        half = (self.look + 1) // 2
        parts = []
        for offsets in (range(half), range(self.look - half, self.look)):
            total = np.zeros((len(starts), points.shape[1]), np.float32)
            for offset in offsets:
                total += points[starts + np.minimum(offset, remaining - 1)]
            parts.append(total / np.float32(len(offsets)))
        return np.hstack(parts)

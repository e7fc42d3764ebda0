"""Moments: what is heard twice where two rows are near, at whatever speed it is played."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.database import DescriptorDatabase

NEAR_MOMENTS = 2
"""Moments so near sound alike: the windows of two hops overlap."""
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Moments:
    """The moment of its recording that each row lets hear, in hops.

    A recording that is played at several speeds has the same moments at all of them. Two
    recordings are more than `NEAR_MOMENTS` apart.

    Attributes
    ----------
    of_row : ndarray of int32, (N,)
    files : ndarray of int64, (N,)
        The recording at its speed that each row belongs to.
    count : int
        Larger than any moment.
    keys : ndarray of int64, (N,)
        File and moment in one ascending number.
    """

    of_row: npt.NDArray[np.int32]
    files: Ints
    count: int
    keys: Ints

    @classmethod
    def of(cls, database: DescriptorDatabase) -> Moments:
        """Return the moments of the rows of a database."""
        names, contents = np.unique([file.digest for file in database.files], return_inverse=True)
        hops = np.floor(database.centre_samples / database.config.hop_length + 0.5).astype(np.int64)
        files = database.file_index.astype(np.int64)
        recordings = contents[files]
        spans = np.full(len(names), 1 + NEAR_MOMENTS)
        np.maximum.at(spans, recordings, hops + 1 + NEAR_MOMENTS)
        moments = (np.cumsum(spans) - spans)[recordings] + hops
        count = int(spans.sum())
        keys = files * (count + NEAR_MOMENTS) + moments
        return cls(moments.astype(np.int32), files, count, keys)

    def rows_within(self, files: Ints, moments: Ints, radius: int) -> tuple[Ints, Ints]:
        """Return the first row, and the one after the last, of files (n,) near moments (n,).

        `radius` is `NEAR_MOMENTS` at most.
        """
        wanted = files * (self.count + NEAR_MOMENTS) + moments
        first = np.searchsorted(self.keys, wanted - radius)
        return first, np.searchsorted(self.keys, wanted + radius, side="right")

"""How often and how soon a row may be used: what a corpus allows, and who has used what."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.configuration import Note, SelectionConfig
from desc.errors import ConfigurationError
from desc.query.selection import NEAR_ROWS

Places = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

NOWHERE = -(1 << 30)
"""A place that is near no other."""
LAG_FRAMES = 64
"""Frames after which a decision is final where uses are counted (1.5 s): paths that differ in
earlier ones are given up, so that one count serves all."""


@dataclass(frozen=True)
class Limits:
    """What a path may not do.

    Attributes
    ----------
    hold : int
        Frames within which a row, or one near it, does not come back in another unit.
    max_use : int or None
        Times that a row is used at the most.
    """

    hold: int
    max_use: int | None

    @property
    def memory(self) -> int:
        """Frames that have to be remembered."""
        return self.hold if self.max_use is None else max(self.hold, LAG_FRAMES)


def feasible_limits(
    config: SelectionConfig, n_rows: int, n_frames: int, frame_rate: float, note: Note | None = None
) -> Limits:
    """Return the limits of the settings, the hold shortened to what can always be kept.

    A held frame bars 2·`NEAR_ROWS` + 1 rows; of n_frames − 1 frames, every `max_use` can use up a
    row. One row more than all of these leaves every path a way to go on.

    Parameters
    ----------
    config : SelectionConfig
        What is wanted.
    n_rows : int
        Rows that may be used.
    n_frames : int
        Frames to be answered.
    frame_rate : float
        Frames per second.
    note : callable, optional
        Told in one line if the hold is shortened.

    Raises
    ------
    ConfigurationError
        If the rows, each used `max_use` times, are fewer than the frames.
    """
    used_up = 0
    if config.max_use is not None:
        if n_rows * config.max_use < n_frames:
            raise ConfigurationError(
                f"max_use={config.max_use} must be at least {math.ceil(n_frames / n_rows)}: "
                f"{n_rows} rows used {config.max_use} times are {n_rows * config.max_use}, and "
                f"{n_frames} frames are to be answered"
            )
        used_up = (n_frames - 1) // config.max_use
    wanted = math.ceil(config.hold_s * frame_rate - 1e-9)
    longest = max(0, (n_rows - used_up - 1) // (2 * NEAR_ROWS + 1))
    if min(wanted, n_frames - 1) > longest and note is not None:
        note(
            f"hold_s={config.hold_s:g} is shortened to {longest / frame_rate:.2f} s: the corpus "
            f"has {n_rows} rows for {n_frames} frames"
        )
    return Limits(min(wanted, longest), config.max_use)


class History:
    """What the paths of a beam played lately, as rings of places.

    Parameters
    ----------
    limits : Limits
        What is to be kept.
    n_rows : int
        Rows of the database.
    """

    def __init__(self, limits: Limits, n_rows: int) -> None:
        self._limits = limits
        self._size = limits.memory
        self._places: Places = np.empty((0, self._size), np.int32)  # (B, frames)
        self._rows = np.empty((0, self._size if limits.max_use else 0), np.int64)
        self._used = np.zeros(n_rows if limits.max_use else 0, np.int64)
        self._frame = 0

    def start(self, places: Places, rows: npt.NDArray[np.int64]) -> None:
        """Begin paths with these first rows (B,)."""
        self._places = np.full((len(rows), self._size), NOWHERE, np.int32)
        self._rows = np.full((len(rows), self._rows.shape[1]), -1, np.int64)
        self._write(places, rows)

    def follow(
        self, parents: npt.NDArray[np.intp], places: Places, rows: npt.NDArray[np.int64]
    ) -> None:
        """Let path i go on from path parents[i] with a row."""
        if self._size:
            self._places = self._places[parents]
            self._rows = self._rows[parents]
            self._write(places, rows)

    def _write(self, places: Places, rows: npt.NDArray[np.int64]) -> None:
        if self._size:
            self._places[:, self._frame % self._size] = places
            if self._limits.max_use is not None:
                self._rows[:, self._frame % self._size] = rows
        self._frame += 1

    def settle(self) -> Bools | None:
        """Make the oldest remembered frame final, by the first path; return who agrees (B,).

        None where nothing has to be settled. To be called before the next frame.
        """
        if self._limits.max_use is None or self._frame < self._size:
            return None
        oldest = self._rows[:, self._frame % self._size]
        self._used[oldest[0]] += 1
        agree: Bools = oldest == oldest[0]
        return agree

    def keep(self, paths: Bools) -> None:
        """Forget the other paths."""
        self._places, self._rows = self._places[paths], self._rows[paths]

    def forget(self) -> None:
        """Forget the frame that was settled: it is counted."""
        self._rows[:, self._frame % self._size] = -1

    def bars_jumps(self, places: Places, rows: npt.NDArray[np.int64]) -> Bools | None:
        """Return whether each path may not jump to each row, (B, K); None: all may."""
        barred: Bools | None = None
        if self._limits.hold:
            barred = np.any(self._near(self._held()[:, :, None], places), axis=1)
        if self._limits.max_use is not None:
            uses = (self._rows[:, :, None] == rows).sum(1) + self._used[rows]
            spent: Bools = uses >= self._limits.max_use
            barred = spent if barred is None else barred | spent
        return barred

    def bars_going_on(self, places: Places, rows: npt.NDArray[np.int64]) -> Bools | None:
        """Return whether each path may not go on with its next row, (B,); None: all may.

        What the path's own unit played just before is no repetition.
        """
        barred: Bools | None = None
        if self._limits.hold:
            held = self._held()
            near = self._near(held, places[:, None])
            for lag in range(1, min(NEAR_ROWS, self._limits.hold) + 1):
                near[:, -lag] &= held[:, -lag] != places - lag
            barred = np.any(near, axis=1)
        if self._limits.max_use is not None:
            uses = (self._rows == rows[:, None]).sum(1) + self._used[rows]
            spent: Bools = uses >= self._limits.max_use
            barred = spent if barred is None else barred | spent
        return barred

    def _held(self) -> Places:
        """Return the places of the last `hold` frames (B, hold), oldest first."""
        order = (self._frame - self._limits.hold + np.arange(self._limits.hold)) % self._size
        return self._places[:, order]

    @staticmethod
    def _near(held: Places, places: Places) -> Bools:
        # One comparison instead of two: what is below −NEAR_ROWS becomes huge without a sign.
        shifted = (places - held + np.int32(NEAR_ROWS)).view(np.uint32)
        result: Bools = shifted <= 2 * NEAR_ROWS
        return result

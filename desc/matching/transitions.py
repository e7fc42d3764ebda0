"""Transition costs between rows of a corpus, and the `Problem` that the searches solve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from desc.configuration import QueryConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.pitch import VOICED
from desc.matching.arrays import Bools, Float32, Float64, Rows
from desc.matching.knn import Neighbours, paired, pairwise_squares, release
from desc.matching.points import Points
from desc.matching.repetition import Limits
from desc.matching.slow_scale import moving_mean
from desc.matching.units import SourcePositions

STEP_ROWS = 20000
"""Rows by which the median step is measured."""
READ_ROWS = 2000
"""Rows read at once."""
FREE_STEPS = 1.5
"""A transition this many steps wide costs its distance; narrower ones cost less."""
OCTAVE = 12.0
"""Semitones of the most expensive interval."""
TIE = 1e-9
"""Added to every jump, so that of equal paths the one with fewer units is taken."""


@dataclass(frozen=True, eq=False)
class Transitions:
    """Rows of a corpus in the match space, and the cost of playing one after another.

    Attributes
    ----------
    corpus_points : Points
        The rows in the space of the search.
    positions : SourcePositions
        Their places in the recordings.
    step : float
        Median distance between a row and the next one of its file, measured on some rows; 1 if the
        rows do not change.
    database : DescriptorDatabase
        The rows in descriptor units.
    """

    corpus_points: Points
    positions: SourcePositions
    step: float
    database: DescriptorDatabase

    @classmethod
    def of(
        cls, points: Points, positions: SourcePositions, database: DescriptorDatabase
    ) -> Transitions:
        """Measure the rows of a database."""
        some = positions.continued(STEP_ROWS)
        steps = np.zeros(len(some))
        for start in range(0, len(some), READ_ROWS):
            rows = some[start : start + READ_ROWS]
            apart = paired(points.values[rows], points.values[rows + 1], points.query)
            steps[start : start + READ_ROWS] = apart
            release(points.values)
        step = float(np.median(steps)) if len(steps) else 0.0
        return cls(points, positions, step or 1.0, database)

    @property
    def points(self) -> Float32:
        """Coordinates of the rows, (N, d)."""
        return self.corpus_points.values

    @property
    def query(self) -> QueryConfig:
        """Settings of the distance."""
        return self.corpus_points.query

    def costs(self, ahead: Rows, rows: Rows, change: float, octave_cost: float) -> Float64:
        """Return the cost of playing rows (m,) where others (n,) would have come next, (n, m).

        It is the squared distance of the two, scaled to equal the distance at 1.5 times the step,
        or at 1.5 times the target's change, whichever is larger. A change no larger than the
        music's own is nearly free, a larger one is expensive, and an attack in the target costs
        nothing extra. If both rows are voiced, their interval is added, up to an octave.

        Parameters
        ----------
        ahead, rows : ndarray of int
            Rows of the corpus.
        change : float
            Change of the target that excuses a jump, see `Problem.changes`.
        octave_cost : float
            Cost of an interval of an octave.
        """
        costs = pairwise_squares(self.points[ahead], self.points[rows], self.query)
        costs /= FREE_STEPS * max(self.step, change)
        if octave_cost and "f0" in self.database.config.groups:
            pitch, later = (_semitones(these, self.database) for these in (ahead, rows))
            interval = np.abs(pitch[:, None] - later)
            costs += octave_cost / OCTAVE * np.nan_to_num(np.minimum(interval, OCTAVE))
        return costs


@dataclass(frozen=True, eq=False)
class Problem:
    """A target to be played with the rows of a corpus, as the searches take it.

    Attributes
    ----------
    points : ndarray of float32, (T, d)
        The target in the match space.
    usable : ndarray of bool, (N,)
        Rows that may be played.
    typical_distance : float
        Median distance of a frame to its nearest row. The other costs are in this unit.
    limits : Limits
        Constraints on repetition.
    selection : SelectionConfig
        Costs and widths of the search.
    transitions : Transitions
        The rows and the costs between them.
    local : int
        Frames on either side over which the target's usual change is measured; 0: none.
    seed : int
        Seed of the random part of the costs.
    """

    points: Float32
    usable: Bools
    typical_distance: float
    limits: Limits
    selection: SelectionConfig
    transitions: Transitions
    local: int = 0
    seed: int = 0

    @property
    def jump_cost(self) -> float:
        """Constant cost of every jump."""
        return self.selection.continuity * self.typical_distance + TIE

    @property
    def random_cost(self) -> float:
        """Mean of the random amount added per frame of a candidate; 0: none."""
        drawn = self.selection.selection == "sample"
        return self.selection.unit_temperature * self.typical_distance if drawn else 0.0

    @cached_property
    def changes(self) -> Float64:
        """Change of the target at each frame (T,) that excuses a jump; 0 for the first.

        It is the distance to the frame before, or, with a slow scale, what that is above its mean
        over the frames around: in music that changes all the time, only an attack excuses a jump.
        """
        apart = paired(self.points[1:], self.points[:-1], self.transitions.query)
        changes = np.concatenate([[0.0], apart])
        return np.maximum(changes - moving_mean(changes, self.local), 0) if self.local else changes

    def transition_costs(self, ahead: Rows, rows: Rows, frame: int) -> Float64:
        """Return `Transitions.costs` at a frame of the target, (n, m)."""
        octave_cost = self.selection.pitch_continuity * self.typical_distance
        change = float(self.changes[frame])
        return self.transitions.costs(ahead, rows, change, octave_cost)

    def nearest(self, frame: int, count: int) -> Neighbours:
        """Return the `count` nearest usable rows of one frame, or all if there are fewer."""
        point = self.points[frame][None]
        return self.transitions.corpus_points.nearest(point, self.usable, count)


def _semitones(rows: Rows, database: DescriptorDatabase) -> Float32:
    """Return the pitch of some rows, NaN where unvoiced."""
    pitch, voicing = database.config.groups["f0"]
    values = database.values[rows]
    return np.where(values[:, voicing] >= VOICED, OCTAVE * values[:, pitch], np.float32(np.nan))

"""Every metric of a set of continuations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.metrics import (
    acf_distance,
    c2st,
    crps,
    diff_ratio,
    energy_score,
    frechet_distance,
    modspec_db,
    novelty,
    spread,
    tail_std,
    track_distance,
)
from desc.scoring.continuations import Continuations
from desc.scoring.excerpts import Excerpts
from desc.scoring.yardstick import Yardstick

Array = npt.NDArray[np.float64]
Figures = dict[str, float]

REAL = "real, same track"  # the floor: its novelty is that of what really followed
HORIZONS = (1, 10, 43, 215, 500)  # frames after the context: 23 ms to 12 s
SPREAD_HORIZON = 43
MOST_CLASSIFIED = 2  # samples the classifier is trained on, one at a time: it takes seconds


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores continuations of one set of excerpts.

    Attributes
    ----------
    excerpts : Excerpts
    yardstick : Yardstick
    training : sequence of ndarray, (T, F), optional
        The training recordings, standardised; without them there is no novelty.
    """

    excerpts: Excerpts
    yardstick: Yardstick
    training: Sequence[Array] | None = None

    def score(self, continuations: Continuations) -> Figures:
        """Return the metrics by name; NaN where one means nothing for these continuations."""
        figures = self.score_quickly(continuations)
        figures["c2st"] = float(
            np.mean([self._c2st(x) for x in continuations.samples[:MOST_CLASSIFIED]])
        )
        figures["novelty"] = self._novelty(continuations)
        return figures

    def score_quickly(self, continuations: Continuations) -> Figures:
        """Return the metrics that take milliseconds: all but C2ST and novelty.

        Those of windows and of movement are means over samples, so that each compares as many
        generated frames as real ones: a Fréchet distance falls with their number.
        """
        figures = self._forecast(continuations)
        each = [self._movement(x) | self._realism(x) for x in continuations.samples]
        for name in each[0]:
            figures[name] = float(np.mean([one[name] for one in each]))
        return figures

    def _forecast(self, continuations: Continuations) -> Figures:
        x, y = continuations.samples, self.excerpts.targets
        steps = y.shape[1]
        known = continuations.forecast == "point" or (
            continuations.forecast == "samples" and len(x) > 1
        )
        figures: Figures = {}
        for name, score in (("crps", crps), ("energy", energy_score)):
            for h in (h for h in HORIZONS if h <= steps):
                value = score(x[:, :, h - 1], y[:, h - 1]) if known else math.nan
                figures[f"{name}_{h}"] = value
        h = SPREAD_HORIZON - 1
        if continuations.forecast == "point":
            figures["spread"] = 0.0
        else:
            figures["spread"] = spread(x[:, :, h], y[:, h]) if known else math.nan
        return figures

    def _movement(self, x: Array) -> Figures:
        y, rate = self.excerpts.targets, self.yardstick.config.frame_rate
        return {
            "tail_std": tail_std(x, y),
            "diff_ratio": diff_ratio(x, y),
            "acf": acf_distance(x, y),
            "modspec_db": modspec_db(x, y, rate),
        }

    def _realism(self, x: Array) -> Figures:
        y, tracks = self.excerpts.targets, self.excerpts.tracks
        a, of_a = self.yardstick.features(x)
        b, of_b = self.yardstick.features(y)
        figures = {
            "fd": frechet_distance(a, b),
            "track_distance": track_distance(a, b, tracks[of_a], tracks[of_b]),
        }
        context = self.excerpts.protocol.context
        if x.shape[1] > context:  # what has become of it at the end of a long continuation
            late, _ = self.yardstick.features(x[:, -context:])
            figures["fd_late"] = frechet_distance(late, b)
        return figures

    def _c2st(self, x: Array) -> float:
        a, of_a = self.yardstick.features(x)
        b, of_b = self.yardstick.features(self.excerpts.targets)
        tracks = self.excerpts.tracks
        return c2st(a, b, tracks[of_a], tracks[of_b])

    def _novelty(self, continuations: Continuations) -> float:
        if self.training is None:
            return math.nan
        samples = continuations.samples
        if continuations.name == REAL:  # its own context holds what came before: ask what followed
            samples = self.excerpts.targets[None]
        contexts = np.concatenate([self.excerpts.contexts] * len(samples))
        return novelty(np.concatenate(list(samples)), contexts, self.training)

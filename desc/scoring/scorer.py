"""`Scorer`: all metrics of a set of continuations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from desc.metrics.forecast import crps, energy_score, spread
from desc.metrics.movement import acf_distance, diff_ratio, modspec_db, tail_std
from desc.metrics.realism import c2st, frechet_distance, frechet_error, track_distance
from desc.metrics.windows import novelty
from desc.scoring.beat import Beats, described_onsets
from desc.scoring.excerpts import Continuations, Excerpts
from desc.scoring.reference_scales import ReferenceScales

Array = npt.NDArray[np.float64]
Figures = dict[str, float]

REAL = "real, same track"  # the reference; novelty and beat are those of the real continuation
HORIZONS = (1, 10, 43, 215, 500)  # frames after the context: 23 ms to 12 s
SPREAD_HORIZON = 43
MAX_CLASSIFIED = 2  # draws used for what takes long: the classifier, the jackknife


def mean_figures(each: Sequence[Figures]) -> Figures:
    """Average sets of figures with the same names."""
    return {name: float(np.mean([figures[name] for figures in each])) for name in each[0]}


@dataclass(frozen=True, eq=False)
class Scorer:
    """Metrics of continuations of one set of excerpts.

    Attributes
    ----------
    excerpts : Excerpts
    scales : ReferenceScales
    training : sequence of ndarray, (T, F), optional
        The training recordings, standardised; without them novelty is NaN.
    """

    excerpts: Excerpts
    scales: ReferenceScales
    training: Sequence[Array] | None = None

    def score(self, continuations: Continuations) -> Figures:
        """Compute all metrics by name; NaN where a metric does not apply."""
        figures = self.score_quickly(continuations)
        few = [self._slowly(x) for x in continuations.draws[:MAX_CLASSIFIED]]
        figures |= mean_figures(few)
        figures["novelty"] = self._novelty(continuations)
        return figures

    def score_quickly(self, continuations: Continuations) -> Figures:
        """Compute the fast metrics, in milliseconds: all but C2ST, novelty and errors of FD.

        Window and movement metrics are means over draws. Each draw has as many frames as the
        real music, because a Fréchet distance falls with the number of frames.
        """
        each = [self._movement(x) | self._realism(x) for x in continuations.draws]
        # The context contains the frames before; use those after.
        draws = self.excerpts.targets[None] if continuations.name == REAL else continuations.draws
        beat = mean_figures([self._beat(x) for x in draws])
        return self._forecast(continuations) | mean_figures(each) | beat

    def _forecast(self, continuations: Continuations) -> Figures:
        x, y = continuations.draws, self.excerpts.targets
        steps = y.shape[1]
        known = continuations.forecast == "point" or (
            continuations.forecast == "draws" and len(x) > 1
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
        y, rate = self.excerpts.targets, self.scales.config.frame_rate
        return {
            "tail_std": tail_std(x, y),
            "diff_ratio": diff_ratio(x, y),
            "acf": acf_distance(x, y),
            "modspec_db": modspec_db(x, y, rate),
        }

    @cached_property
    def beats(self) -> Beats | None:
        """The beat of the contexts; None where MFCC are not among the descriptors."""
        curves = self._onsets(self.excerpts.contexts)
        rate = self.scales.config.frame_rate
        return None if curves is None else Beats(curves, self.excerpts.tracks, rate)

    def _onsets(self, x: Array) -> list[Array] | None:
        found = [described_onsets(z, self.scales.standardizer) for z in x]
        curves = [curve for curve in found if curve is not None]
        return curves or None

    def _beat(self, x: Array) -> Figures:
        curves = self._onsets(x)
        return {} if self.beats is None or curves is None else self.beats.figures(curves)

    def _realism(self, x: Array) -> Figures:
        y, tracks = self.excerpts.targets, self.excerpts.tracks
        a, of_a = self.scales.features(x)
        b, of_b = self.scales.features(y)
        figures = {
            "fd": frechet_distance(a, b),
            "track_distance": track_distance(a, b, tracks[of_a], tracks[of_b]),
        }
        late = self._late(x)
        if late is not None:
            figures["fd_late"] = frechet_distance(late[0], b)
        return figures

    def _late(self, x: Array) -> tuple[Array, npt.NDArray[np.int64]] | None:
        """Return the features of the end of long continuations, and each row's excerpt."""
        context = self.excerpts.protocol.context
        return self.scales.features(x[:, -context:]) if x.shape[1] > context else None

    def _slowly(self, x: Array) -> Figures:
        a, of_a = self.scales.features(x)
        b, of_b = self.scales.features(self.excerpts.targets)
        tracks, late = self.excerpts.tracks, self._late(x)
        given = a, b, tracks[of_a], tracks[of_b]
        figures = {"c2st": c2st(*given), "fd_se": frechet_error(*given)}
        if late is not None:
            figures["fd_late_se"] = frechet_error(late[0], b, tracks[late[1]], tracks[of_b])
        return figures

    def _novelty(self, continuations: Continuations) -> float:
        if self.training is None:
            return math.nan
        draws = continuations.draws
        if continuations.name == REAL:  # as in `score_quickly`
            draws = self.excerpts.targets[None]
        contexts = np.concatenate([self.excerpts.contexts] * len(draws))
        return novelty(np.concatenate(list(draws)), contexts, self.training)

"""Realism of a model's continuations of the validation recordings, measured during training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from desc.configuration import Sampling
from desc.corpus import Corpus
from desc.descriptors.sequence import DescriptorSequence
from desc.engine import stopping
from desc.errors import CorpusError
from desc.models.base import CONTEXT_FRAMES, DescriptorModel
from desc.models.statistics import silent_frames
from desc.progress import reporting
from desc.scoring.excerpts import Continuations, Protocol, continue_excerpts, cut_excerpts
from desc.scoring.reference_scales import ReferenceScales
from desc.scoring.scorer import REAL, Figures, Scorer
from desc.training.recordings import n_complete, without_ending

# Few and short, so that measuring takes about as long as a few dozen steps.
EXCERPTS, SAMPLES, STEPS = 12, 4, 256
TIMED_STEPS = 8, 24  # of the short continuations that are timed
LEAST_STEPS = 64  # a window of 43, and then some
METRICS = (
    "fd", "acf", "modspec_db", "crps_43", "track_distance", "tail_std", "diff_ratio", "spread",
)  # fmt: skip
BEAT_METRICS = ("rhythm", "beat", "beats", "beats_kept")


@dataclass(frozen=True, eq=False)
class Realism:
    """Continues excerpts of the validation recordings and scores them.

    Excerpts and random numbers are the same each time, so changes of a figure during a run are due
    to training.

    Attributes
    ----------
    scorer : Scorer
    seed : int
        Seed of the draws.
    """

    scorer: Scorer
    seed: int

    @classmethod
    def of(
        cls,
        validation: Sequence[DescriptorSequence],
        scales: ReferenceScales,
        seed: int,
        corpus: Corpus,
    ) -> Realism:
        """Choose about a dozen excerpts, evenly from up to a dozen recordings.

        Contexts have 512 frames, continuations 256, or fewer if all recordings are too short.
        Recordings end before a fade-out or silence at their end. Excerpts whose continuation
        contains silence are left out if others remain, because a few silent windows dominate the
        Fréchet distance.

        Parameters
        ----------
        validation : sequence of DescriptorSequence
        scales : ReferenceScales
        seed : int
        corpus : Corpus
            Contains the validation recordings.

        Raises
        ------
        CorpusError
            If no recording has 192 complete frames of music.
        """
        needed = sum(_lengths(validation))
        usable = [s for s in validation if n_complete(s) >= needed]
        n = min(EXCERPTS, len(usable))
        chosen = [usable[i] for i in np.linspace(0, len(usable) - 1, n).round().astype(int)]
        chosen = [without_ending(s, corpus) for s in chosen]
        protocol = Protocol("validation", *_lengths(chosen), math.ceil(EXCERPTS / n))
        excerpts = cut_excerpts(chosen, protocol, scales)
        sounding = np.array([not silent_frames(x, scales.config).any() for x in excerpts.targets])
        if sounding.any():
            excerpts = excerpts.chosen(sounding)
        return cls(Scorer(excerpts, scales), seed)

    def measure(self, model: DescriptorModel) -> dict[str, float]:
        """Return `val_fd` and the other metrics under their names in a run's record.

        See `docs/evaluation.md`; NaN where one means nothing for these recordings.
        """
        with reporting(None):  # the progress shown is that of training
            values = continue_excerpts(
                model, self.scorer.excerpts, Sampling(seed=self.seed), n_draws=SAMPLES
            )
        draws = self.scorer.scales.standardise(values)
        figures = self.scorer.score_quickly(Continuations("model", "run", draws))
        return _named(figures)

    def duration_s(self, model: DescriptorModel) -> float:
        """Estimate the seconds of a measurement from those of two short ones."""
        excerpts, seconds = self.scorer.excerpts, []
        for steps in TIMED_STEPS:
            short = replace(excerpts, protocol=replace(excerpts.protocol, steps=steps))
            began = stopping.now()
            continue_excerpts(model, short, Sampling(seed=self.seed), n_draws=SAMPLES)
            seconds.append(stopping.now() - began)
        step_s = (seconds[1] - seconds[0]) / (TIMED_STEPS[1] - TIMED_STEPS[0])
        return seconds[1] + max(0.0, step_s) * (excerpts.protocol.steps - TIMED_STEPS[1])

    def floor(self) -> dict[str, float]:
        """Return the metrics of the real music before each excerpt; NaN for forecast metrics."""
        real = Continuations(REAL, "reference", self.scorer.excerpts.preceding[None], "none")
        figures = self.scorer.score_quickly(real)
        return _named(figures)

    def linear(self) -> dict[str, float]:
        """Return the metrics of the linear baseline (VAR) with replayed innovations."""
        excerpts, var = self.scorer.excerpts, self.scorer.scales.var
        rng, steps = np.random.default_rng(self.seed), excerpts.protocol.steps
        draws = [
            [
                var.continuation(context, steps, rng, period=period)
                for context, period in zip(excerpts.contexts, excerpts.periods, strict=True)
            ]
            for _ in range(SAMPLES)
        ]
        figures = self.scorer.score_quickly(Continuations("VAR", "baseline", np.array(draws)))
        return _named(figures)


def _named(figures: Figures) -> dict[str, float]:
    """Return metrics under their names in a record; those of beats where there is one."""
    beat = {f"val_{name}": figures.get(name, math.nan) for name in BEAT_METRICS}
    known = {name: value for name, value in beat.items() if math.isfinite(value)}
    return {f"val_{name}": figures[name] for name in METRICS} | known


def _lengths(recordings: Sequence[DescriptorSequence]) -> tuple[int, int]:
    """Return frames of a context and of its continuation that fit the longest recording."""
    longest = max(map(n_complete, recordings))
    steps = min(STEPS, longest // 3)
    if steps < LEAST_STEPS:
        raise CorpusError(
            f"the longest validation recording has {longest} complete frames; "
            f"{3 * LEAST_STEPS} are needed for a context and a continuation"
        )
    return min(CONTEXT_FRAMES, longest - steps), steps

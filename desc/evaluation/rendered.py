"""Evaluation of rendered continuations: matched, rendered and analysed again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from desc import audio, progress
from desc.concatenation import render
from desc.configuration import RenderConfig
from desc.corpus import Corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract_signal, loudest_band_db
from desc.descriptors.standardizer import Standardizer
from desc.evaluation.candidates import Candidate
from desc.evaluation.settings import EvaluateConfig
from desc.evaluation.tables import Row
from desc.matching import Matcher
from desc.outputs import match_figures
from desc.prediction import with_deltas
from desc.scoring.excerpts import Continuations, continue_excerpts
from desc.scoring.scorer import REAL, Figures, Scorer, mean_figures
from desc.storage import DescriptorStore

Values = npt.NDArray[np.float32]

REAL_RENDERED = "real, rendered"
RENDERING = RenderConfig(channels="mono")
BLOCK = 1 << 16  # samples read at once


def rendered_rows(
    runs: Sequence[Candidate],
    scorer: Scorer,
    settings: EvaluateConfig,
    *,
    recordings: Corpus,
    sounds: DescriptorDatabase,
    store: DescriptorStore,
) -> tuple[Row, ...]:
    """Score continuations before and after rendering with the sounds of a database.

    The rows are the reference, the real continuations rendered, and for each run its first draw
    as predicted and as rendered. All metrics use the frames whose window lies inside the rendered
    sound. Rendered rows also have `error`, the root mean square difference between rendered and
    target descriptors in standard deviations, and the mean matching figures of `desc predict`.

    Parameters
    ----------
    runs : sequence of Candidate
    scorer : Scorer
        Scorer of the excerpts to continue.
    settings : EvaluateConfig
    recordings : Corpus
        Recordings of the excerpts; `top_db` counts from the loudest band of each.
    sounds : DescriptorDatabase
        Sounds to render with.
    store : DescriptorStore
        Cache of decoded sounds.
    """
    excerpts, total = scorer.excerpts, len(scorer.excerpts) * (1 + len(runs))
    analysis = _Analysis(scorer, recordings, sounds, store, settings.seed, total)
    standardizer = runs[0].model.statistics.standardizer
    rows = [
        analysis.reference(),
        analysis.after(REAL_RENDERED, "baseline", excerpts.raw_targets, standardizer),
    ]
    for run in runs:
        [drawn] = continue_excerpts(run.model, excerpts, settings.one_draw(), n_draws=1)
        rows.append(analysis.before(run.name, "run", drawn))
        standardizer = run.model.statistics.standardizer
        rows.append(analysis.after(f"{run.run_id} rendered", "run", drawn, standardizer))
    return tuple(rows)


def heard_frames(n_frames: int, config: DescriptorConfig) -> slice:
    """Return those of `n_frames` rendered frames whose whole window lies inside the sound.

    Frame t starts at sample t·hop, so its centre is at t·hop + hop/2.
    """
    hop, half = config.hop_length, config.n_fft // 2
    first = max(0, -(-(half - hop // 2) // hop))
    stop = (n_frames * hop - half - hop // 2) // hop + 1
    return slice(first, max(first, stop))


@dataclass(eq=False)
class _Analysis:
    """Renders continuations of excerpts, extracts their descriptors and scores them."""

    full: Scorer
    recordings: Corpus
    sounds: DescriptorDatabase
    store: DescriptorStore
    seed: int
    n_total: int
    n_done: int = 0
    loudest: dict[int, float] = field(default_factory=dict)

    @cached_property
    def kept(self) -> slice:
        """The frames that are scored."""
        return heard_frames(self.full.excerpts.protocol.steps, self.sounds.config)

    @cached_property
    def scorer(self) -> Scorer:
        """Scorer of these frames alone."""
        excerpts, kept = self.full.excerpts, self.kept
        targets, preceding = excerpts.targets[:, kept], excerpts.preceding[:, kept]
        return replace(self.full, excerpts=replace(excerpts, targets=targets, preceding=preceding))

    def reference(self) -> Row:
        """Score the real music before the excerpts."""
        preceding = self.scorer.excerpts.preceding
        real = Continuations(REAL, "reference", preceding[None], "none")
        return Row(REAL, "reference", self.scorer.score(real), preceding)

    def before(self, name: str, kind: str, values: Values) -> Row:
        """Score continuations (E, T, F) as predicted."""
        return self._row(name, kind, values[:, self.kept])

    def after(self, name: str, kind: str, values: Values, standardizer: Standardizer) -> Row:
        """Score continuations (E, T, F) as rendered."""
        matcher = Matcher(self.sounds, standardizer, rendering=RENDERING)
        rendered, each = [], []
        for excerpt, static in enumerate(values):
            described, figures = self._render(matcher, excerpt, static)
            rendered.append(described)
            each.append(figures)
            self.n_done += 1
            progress.report("render", self.n_done, self.n_total)
        row = self._row(name, kind, np.stack(rendered))
        difference = row.example - self.scorer.scales.standardise(values[:, self.kept])
        error = {"error": math.sqrt((difference**2).mean())}
        return replace(row, figures=row.figures | error | mean_figures(each))

    def _row(self, name: str, kind: str, values: Values) -> Row:
        x = self.scorer.scales.standardise(values)
        figures = self.scorer.score(Continuations(name, kind, x[None], "none"))
        return Row(name, kind, figures, x)

    def _render(self, matcher: Matcher, excerpt: int, static: Values) -> tuple[Values, Figures]:
        """Render a continuation (T, F); return its descriptors (T', F) and matching figures."""
        excerpts = self.full.excerpts
        track = int(excerpts.tracks[excerpt])
        values = with_deltas(excerpts.raw_contexts[excerpt], static, self.sounds.config)
        match = matcher.match(values, seed=self.seed, exclude_digest=excerpts.digests[track])
        with progress.reporting(None):
            clip = render(match.playlist, store=self.store, rendering=RENDERING)
        described = self._described(clip.samples[:, 0], self._loudest(track))
        return described[self.kept], match_figures(match)

    def _loudest(self, track: int) -> float:
        """Return the level of the loudest band of an excerpt's recording, dB."""
        if track not in self.loudest:
            path = self.recordings.path(self.full.excerpts.sources[track])
            blocks = audio.read_mono_blocks(path, self.sounds.config.sample_rate, BLOCK)
            self.loudest[track] = loudest_band_db(blocks, self.sounds.config)
        return self.loudest[track]

    def _described(self, sound: Values, loudest_db: float) -> Values:
        """Extract static columns (T, F) of rendered samples (S,), at their recording's level."""
        config = self.sounds.config
        # Half a hop of silence puts the centre of frame t at (t + 1)·hop.
        lead = np.zeros(config.hop_length - config.hop_length // 2, np.float32)
        values, _ = extract_signal([lead, sound], config, loudest_db=loudest_db)
        return values[1:, config.static_columns]

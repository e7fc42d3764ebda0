"""Evaluation of rendered continuations: matched, rendered and analysed again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from desc import progress
from desc.concatenation import render
from desc.configuration import RenderConfig
from desc.corpus import Corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract_signal
from desc.descriptors.standardizer import Standardizer
from desc.evaluation.candidates import Candidate
from desc.evaluation.originals import Example, Original, read_originals
from desc.evaluation.settings import EvaluateConfig
from desc.evaluation.sound import (
    Heard,
    Joins,
    Pieces,
    beats_of,
    heard_figures,
    join_figures,
    piece_figures,
)
from desc.evaluation.tables import Row
from desc.matching import Matcher
from desc.metrics.musicnn import Tagger
from desc.outputs import match_figures
from desc.prediction import with_deltas
from desc.scoring.beat import Beats
from desc.scoring.excerpts import Continuations, continue_excerpts
from desc.scoring.scorer import REAL, Figures, Scorer, mean_figures
from desc.storage import DescriptorStore

Values = npt.NDArray[np.float32]

REAL_RENDERED = "real, rendered"
RENDERING = RenderConfig(channels="mono")


def rendered_rows(
    runs: Sequence[Candidate],
    scorer: Scorer,
    settings: EvaluateConfig,
    *,
    peer: Row,
    recordings: Corpus,
    sounds: DescriptorDatabase,
    store: DescriptorStore,
    tagger: Tagger | None = None,
) -> tuple[tuple[Row, ...], tuple[Example, ...]]:
    """Score continuations before and after rendering with the sounds of a database.

    The rows are the reference, the real continuations rendered, those of the peer rendered, and for
    each run its first draw as predicted and as rendered. Descriptors' metrics use the frames whose
    window lies inside the rendered sound. Rendered rows also have `error`, the root mean square
    difference between rendered and target descriptors in standard deviations, the mean matching
    figures of `desc predict`, and the figures of `desc.evaluation.sound`.

    Parameters
    ----------
    runs : sequence of Candidate
    scorer : Scorer
        Scorer of the excerpts to continue.
    settings : EvaluateConfig
    peer : Row
        The linear baseline's row; its example is rendered.
    recordings : Corpus
        Recordings of the excerpts; `top_db` counts from the loudest band of each.
    sounds : DescriptorDatabase
        Sounds to render with.
    store : DescriptorStore
        Cache of decoded sounds.
    tagger : Tagger, optional
        A judge of the sound.

    Returns
    -------
    rows : tuple of Row
    examples : tuple of Example
        Excerpts to listen to.
    """
    excerpts, total = scorer.excerpts, len(scorer.excerpts) * (2 + len(runs))
    originals = [*read_originals(excerpts, recordings, tagger)]
    analysis = _Analysis(scorer, originals, sounds, store, settings.seed, tagger, total)
    standardizer = runs[0].model.statistics.standardizer
    replayed = scorer.scales.standardizer.inverse_static(peer.example).astype(np.float32)
    rows = [
        analysis.reference(),
        analysis.after(REAL_RENDERED, "reference", excerpts.raw_targets, standardizer),
        analysis.after(f"{peer.name}, rendered", "baseline", replayed, standardizer),
    ]
    for run in runs:
        [drawn] = continue_excerpts(run.model, excerpts, settings.one_draw(), n_draws=1)
        rows.append(analysis.before(run.name, "run", drawn))
        standardizer = run.model.statistics.standardizer
        rows.append(analysis.after(f"{run.run_id} rendered", "run", drawn, standardizer))
    examples = tuple(o.example for o in originals if o.example is not None)
    return tuple(rows), examples


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
    originals: Sequence[Original]
    sounds: DescriptorDatabase
    store: DescriptorStore
    seed: int
    tagger: Tagger | None
    n_total: int
    n_done: int = 0

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

    @cached_property
    def beats(self) -> Beats:
        """The beat of the contexts' sound."""
        return beats_of([o.context for o in self.originals], self.full.excerpts.tracks)

    def reference(self) -> Row:
        """Score the real music before the excerpts."""
        preceding, originals = self.scorer.excerpts.preceding, self.originals
        real = Continuations(REAL, "reference", preceding[None], "none")
        contexts, after = [o.context for o in originals], [o.real for o in originals]
        before = heard_figures(contexts, after, contexts, self.beats)
        # As in `Scorer`, beat and level are those of the real continuation.
        figures = heard_figures(after, after, contexts, self.beats)
        figures |= {name: before[name] for name in ("chroma", "kad")}
        figures |= join_figures([o.joins for o in originals]) | self.scorer.score(real)
        return Row(REAL, "reference", figures, preceding)

    def before(self, name: str, kind: str, values: Values) -> Row:
        """Score continuations (E, T, F) as predicted."""
        return self._row(name, kind, values[:, self.kept])

    def after(self, name: str, kind: str, values: Values, standardizer: Standardizer) -> Row:
        """Score continuations (E, T, F) as rendered."""
        matcher = Matcher(self.sounds, standardizer, rendering=RENDERING)
        each = []
        for excerpt, static in enumerate(values):
            each.append(self._render(matcher, excerpt, static, name))
            self.n_done += 1
            progress.report("render", self.n_done, self.n_total)
        row = self._row(name, kind, np.stack([one.described for one in each]))
        difference = row.example - self.scorer.scales.standardise(values[:, self.kept])
        originals = self.originals
        figures = {
            "error": math.sqrt((difference**2).mean()),
            **mean_figures([one.figures for one in each]),
            **heard_figures(
                [one.heard for one in each],
                [o.real for o in originals],
                [o.context for o in originals],
                self.beats,
            ),
            **piece_figures([one.pieces for one in each], self.sounds.config.sample_rate),
            **join_figures([one.joins for one in each]),
        }
        return replace(row, figures=row.figures | figures)

    def _row(self, name: str, kind: str, values: Values) -> Row:
        x = self.scorer.scales.standardise(values)
        figures = self.scorer.score(Continuations(name, kind, x[None], "none"))
        return Row(name, kind, figures, x)

    def _render(self, matcher: Matcher, excerpt: int, static: Values, name: str) -> _Rendered:
        """Render a continuation (T, F) of an excerpt, and measure it."""
        excerpts, config = self.full.excerpts, self.sounds.config
        digest = excerpts.digests[excerpts.tracks[excerpt]]
        before, values = with_deltas(excerpts.raw_contexts[excerpt], static, config)
        match = matcher.match(values, before=before, seed=self.seed, exclude_digest=digest)
        with progress.reporting(None):
            clip = render(match.playlist, store=self.store, rendering=RENDERING)
        sound, rate = clip.samples[:, 0], config.sample_rate
        original = self.originals[excerpt]
        if original.example is not None:
            original.example.add(name, sound)
        pieces = Pieces.of(match.playlist, config.hop_length)
        return _Rendered(
            described=self._described(sound, original.loudest_db)[self.kept],
            figures=match_figures(match),
            heard=Heard.of(sound, rate, self.tagger),
            pieces=pieces,
            joins=Joins.of(sound, pieces.starts[1:], rate),
        )

    def _described(self, sound: Values, loudest_db: float) -> Values:
        """Extract static columns (T, F) of rendered samples (S,), at their recording's level."""
        config = self.sounds.config
        # Half a hop of silence puts the centre of frame t at (t + 1)·hop.
        lead = np.zeros(config.hop_length - config.hop_length // 2, np.float32)
        values, _ = extract_signal([lead, sound], config, loudest_db=loudest_db)
        return values[1:, config.static_columns]


@dataclass(frozen=True, eq=False)
class _Rendered:
    """Descriptors (T, F) and measurements of a rendered continuation."""

    described: Values
    figures: Figures
    heard: Heard
    pieces: Pieces
    joins: Joins

"""What is heard of continuations: rendered with the sounds of a database, and described again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from desc import audio
from desc.concatenation import render_to_file
from desc.configuration import Progress, RenderConfig, SelectionConfig
from desc.corpus import Corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract_signal, loudest_band_db
from desc.descriptors.standardizer import Standardizer
from desc.evaluation.candidates import Candidate
from desc.evaluation.settings import EvaluateConfig
from desc.matching import Matcher
from desc.outputs import match_figures
from desc.prediction import with_deltas
from desc.scoring.continuations import Continuations, continue_excerpts
from desc.scoring.scorer import REAL, Figures, Scorer
from desc.storage import DescriptorStore

Values = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

REAL_RENDERED = "real, rendered"
RENDERING = RenderConfig(channels="mono", subtype="FLOAT")
BLOCK = 1 << 16  # samples read at once


@dataclass(frozen=True, eq=False)
class Sounds:
    """What continuations are rendered with.

    Attributes
    ----------
    database : DescriptorDatabase
        The sounds.
    recordings : Corpus
        The recordings of the evaluation, whose loudest band `top_db` counts from.
    store : DescriptorStore
        The cache, for sources that need decoding.
    selection : SelectionConfig
        How units are selected.
    """

    database: DescriptorDatabase
    recordings: Corpus
    store: DescriptorStore
    selection: SelectionConfig = SelectionConfig()


RenderedRow = tuple[str, str, Figures, Array]
"""Name, kind, figures, and the frames they are of, (E, T', F), standardised."""


def rendered_rows(
    runs: Sequence[Candidate],
    scorer: Scorer,
    sounds: Sounds,
    config: EvaluateConfig,
    progress: Progress | None = None,
) -> Iterator[RenderedRow]:
    """Yield what was asked for and what is heard.

    First the floor, then the real continuations rendered, then for each run its first sample as
    predicted and as rendered. All figures are of the frames that are heard whole. What is rendered
    also has `error`, the root mean square difference of what is heard and what was asked for in
    standard deviations, and means of the figures of `desc predict`.

    Parameters
    ----------
    runs : sequence of Candidate
    scorer : Scorer
        Of the excerpts to continue.
    sounds : Sounds
    config : EvaluateConfig
    progress : callable, optional
        Called as progress("render", excerpts done, excerpts in all).
    """
    excerpts = scorer.excerpts
    total = len(excerpts) * (1 + len(runs))
    listener = _Listener(scorer, sounds, config.seed, lambda n: _tell(progress, n, total))
    preceding = listener.scorer.excerpts.preceding
    floor = Continuations(REAL, "floor", preceding[None], "none")
    yield REAL, "floor", listener.scorer.score(floor), preceding
    standardizer = runs[0].model.statistics.standardizer
    yield listener.heard(REAL_RENDERED, "peer", excerpts.raw_targets, standardizer)
    for run in runs:
        [drawn] = continue_excerpts(run.model, excerpts, config.one_draw(), n_draws=1)
        yield listener.asked(run.name, "run", drawn)
        standardizer = run.model.statistics.standardizer
        yield listener.heard(f"{run.run_id} rendered", "run", drawn, standardizer)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress("render", done, total)


def heard_frames(n_frames: int, config: DescriptorConfig) -> slice:
    """Return those of n_frames rendered frames whose whole window lies inside the sound.

    Frame t sounds from t·hop on, so its centre is at t·hop + hop/2 there.
    """
    hop, half = config.hop_length, config.n_fft // 2
    first = max(0, -(-(half - hop // 2) // hop))
    stop = (n_frames * hop - half - hop // 2) // hop + 1
    return slice(first, max(first, stop))


class _Listener:
    """Renders continuations of excerpts, describes the sound and scores it.

    Attributes
    ----------
    scorer : Scorer
        Of the frames that are heard whole.
    """

    def __init__(
        self, scorer: Scorer, sounds: Sounds, seed: int, tell: Callable[[int], None]
    ) -> None:
        self.config = sounds.database.config
        self.excerpts = scorer.excerpts
        self.sounds = sounds
        self.seed = seed
        self.tell = tell
        self.kept = heard_frames(self.excerpts.protocol.steps, self.config)
        targets, preceding = self.excerpts.targets, self.excerpts.preceding
        shorter = replace(
            self.excerpts, targets=targets[:, self.kept], preceding=preceding[:, self.kept]
        )
        self.scorer = replace(scorer, excerpts=shorter)
        self._loudest: dict[int, float] = {}
        self._n_done = 0

    def asked(self, name: str, kind: str, values: Values) -> RenderedRow:
        """Return the row of continuations (E, T, F) as they are."""
        return self._row(name, kind, values[:, self.kept])

    def heard(
        self, name: str, kind: str, values: Values, standardizer: Standardizer
    ) -> RenderedRow:
        """Return the row of continuations (E, T, F) as they sound."""
        matcher = Matcher(
            self.sounds.database,
            standardizer,
            selection=self.sounds.selection,
            rendering=RENDERING,
        )
        statics, each = [], []
        for excerpt, static in enumerate(values):
            described, figures = self._hear(matcher, excerpt, static)
            statics.append(described)
            each.append(figures)
            self._n_done += 1
            self.tell(self._n_done)
        name, kind, figures, x = self._row(name, kind, np.stack(statics))
        apart = x - self.scorer.yardstick.standardise(values[:, self.kept])
        figures["error"] = math.sqrt((apart**2).mean())
        figures |= {key: float(np.mean([one[key] for one in each])) for key in each[0]}
        return name, kind, figures, x

    def _row(self, name: str, kind: str, values: Values) -> RenderedRow:
        x = self.scorer.yardstick.standardise(values)
        return name, kind, self.scorer.score(Continuations(name, kind, x[None], "none")), x

    def _hear(self, matcher: Matcher, excerpt: int, static: Values) -> tuple[Values, Figures]:
        """Return what is heard of a continuation (T, F) of an excerpt, (T', F), and figures."""
        track = int(self.excerpts.tracks[excerpt])
        values = with_deltas(self.excerpts.raw_contexts[excerpt], static, self.config)
        digest = self.excerpts.digests[track]
        match = matcher.match(values, seed=self.seed, exclude_digest=digest)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "rendered.wav"
            render_to_file(match.playlist, path, store=self.sounds.store, rendering=RENDERING)
            described = self._described(path, self._loudest_of(track))
        return described[self.kept], match_figures(match)

    def _loudest_of(self, track: int) -> float:
        if track not in self._loudest:
            path = self.sounds.recordings.path(self.excerpts.sources[track])
            blocks = audio.read_mono_blocks(path, self.config.sample_rate, BLOCK)
            self._loudest[track] = loudest_band_db(blocks, self.config)
        return self._loudest[track]

    def _described(self, path: Path, loudest_db: float) -> Values:
        """Return the static columns (T, F) of a rendered sound, at its recording's level."""
        config = self.config
        # Half a hop of silence puts the centre of frame t at (t + 1)·hop.
        lead = np.zeros(config.hop_length - config.hop_length // 2, np.float32)
        sound = audio.read_mono_blocks(path, config.sample_rate, BLOCK)
        values, _ = extract_signal(chain([lead], sound), config, loudest_db=loudest_db)
        return values[1:, config.static_columns]

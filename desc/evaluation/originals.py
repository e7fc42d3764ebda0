"""The sound of excerpts: their context, the real continuation, and examples to listen to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from desc.audio import Audio, encode_ogg, playable, read_mono_blocks
from desc.corpus import Corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import loudest_band_db
from desc.evaluation.sound import Heard, Joins
from desc.metrics.musicnn import Tagger
from desc.metrics.sound import level_db
from desc.scoring.excerpts import Excerpts, Protocol

BLOCK = 1 << 16  # samples read at once
MOST_EXAMPLES = 8  # excerpts to listen to
REAL_SOUND = "real"
BEFORE_S = 4.0  # of an excerpt's context that is heard before each continuation
LEVEL_DB, MOST_GAIN_DB = -23.0, 40.0  # of all examples, the level of EBU R128; gain to reach it
FADE_S = 0.01
EXAMPLE_BYTES = 250_000


@dataclass(eq=False)
class Example:
    """An excerpt to listen to: the end of its context and each continuation, equally loud.

    Attributes
    ----------
    source : str
        The recording.
    start_s : float
        Time of the continuation in it.
    sample_rate : int
        In Hz.
    sounds : dict of str to bytes
        Ogg Vorbis by name: the context's end, then the continuation.
    """

    source: str
    start_s: float
    sample_rate: int
    before: Audio = field(default_factory=lambda: np.zeros(0, np.float32))
    sounds: dict[str, bytes] = field(default_factory=dict)

    def begin(self, context: Audio, real: Audio) -> None:
        """Set the context (S,), scaled as the real continuation, which is added."""
        self.before = context[-round(BEFORE_S * self.sample_rate) :] * _gain(real)
        self.add(REAL_SOUND, real)

    def add(self, name: str, sound: Audio) -> None:
        """Add a continuation (S,)."""
        n = round(FADE_S * self.sample_rate)
        ramp = np.linspace(0, 1, n, dtype=np.float32)
        before, after = self.before.copy(), sound * _gain(sound)
        before[-n:] *= ramp[::-1]
        after[:n] *= ramp
        whole = np.concatenate([before, after])[None]
        self.sounds[name] = encode_ogg(*playable(whole, self.sample_rate), EXAMPLE_BYTES)


def _gain(sound: Audio) -> np.float32:
    return np.float32(10 ** (min(LEVEL_DB - level_db(sound), MOST_GAIN_DB) / 20))


@dataclass(frozen=True, eq=False)
class Original:
    """Measurements of an excerpt's own sound.

    Attributes
    ----------
    context, real : Heard
        The context and the real continuation.
    joins : Joins
        The real continuation at random points.
    loudest_db : float
        Level of the loudest band of the recording.
    example : Example or None
        With the real continuation, if the excerpt is one to listen to.
    """

    context: Heard
    real: Heard
    joins: Joins
    loudest_db: float
    example: Example | None


def read_originals(
    excerpts: Excerpts, recordings: Corpus, tagger: Tagger | None
) -> Iterator[Original]:
    """Yield the original of each excerpt; each recording is read once."""
    config, rate = recordings.config, recordings.config.sample_rate
    n_before = excerpts.protocol.context * config.hop_length
    chosen = np.linspace(0, len(excerpts) - 1, MOST_EXAMPLES).astype(int)
    for track, source in enumerate(excerpts.sources):
        numbers = np.flatnonzero(excerpts.tracks == track)
        spans = [_span(int(p), excerpts.protocol, config) for p in excerpts.positions[numbers]]
        pieces = [np.zeros(stop - start, np.float32) for start, stop in spans]
        blocks = read_mono_blocks(recordings.path(source), rate, BLOCK)
        loudest_db = loudest_band_db(_kept(blocks, spans, pieces), config)
        for number, (start, _), piece in zip(numbers, spans, pieces, strict=True):
            context, real = piece[:n_before], piece[n_before:]
            example = None
            if number in chosen:
                example = Example(source, (start + n_before) / rate, rate)
                example.begin(context, real)
            yield Original(
                context=Heard.of(context, rate, tagger),
                real=Heard.of(real, rate, tagger),
                joins=Joins.by_chance(real, config.hop_length, rate),
                loudest_db=loudest_db,
                example=example,
            )


def _span(position: int, protocol: Protocol, config: DescriptorConfig) -> tuple[int, int]:
    """Return the first sample of a context and the one after its continuation.

    A frame's sound is the hop around its centre.
    """
    hop = config.hop_length
    start = (position + config.complete_frames(0).start) * hop - hop // 2
    return start - protocol.context * hop, start + protocol.steps * hop


def _kept(
    blocks: Iterable[Audio], spans: Sequence[tuple[int, int]], pieces: Sequence[Audio]
) -> Iterator[Audio]:
    """Pass blocks on, and copy what lies in spans of samples into the pieces."""
    at = 0
    for block in blocks:
        for (start, stop), piece in zip(spans, pieces, strict=True):
            first, last = max(start, at), min(stop, at + len(block))
            if first < last:
                piece[first - start : last - start] = block[first - at : last - at]
        at += len(block)
        yield block

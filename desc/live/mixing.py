"""`GrowingMix`: events mixed while their ends are not known yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from desc.audio import Audio, AudioReader
from desc.concatenation.joins import Fade, Span, aligned, free_end, join
from desc.concatenation.mixing import Mixer, Sources, to_channels
from desc.concatenation.playlist import CORPUS, Playlist, PlaylistEvent
from desc.configuration import RenderConfig, check
from desc.database import DescriptorDatabase
from desc.errors import DescError
from desc.storage import DecodedAudio, DescriptorStore

logger = logging.getLogger(__name__)

LOUDEST = 100.0
"""Largest sample of the player's that is heard, 40 dB above full scale."""


class GrowingMix:
    """Events of layers, mixed as far as they are decided.

    What is mixed is, sample for sample, what `render` makes of the events once they have ended.

    Parameters
    ----------
    mixer : Mixer
        Reads and mixes.
    sample_rate : int
        In Hz.
    rendering : RenderConfig
        `align_ms` is used.
    ended : callable
        Called with each event once its end is known.
    """

    def __init__(
        self,
        mixer: Mixer,
        sample_rate: int,
        rendering: RenderConfig,
        ended: Callable[[PlaylistEvent], None],
    ) -> None:
        self._mixer, self._rate, self._ended = mixer, sample_rate, ended
        self._reach = round(rendering.align_ms * sample_rate / 1000)
        self._open: dict[int, Span] = {}
        self._ending: list[Span] = []
        self._count = self._position = 0

    def event(self, layer: int) -> PlaylistEvent | None:
        """Return the event that a layer plays, as long as it is so far."""
        return self._open[layer].event if layer in self._open else None

    @property
    def layers(self) -> list[int]:
        """Layers that play."""
        return sorted(self._open)

    def begin(self, event: PlaylistEvent) -> None:
        """Begin an event, where the one before it in its layer ends."""
        before = self._open.pop(event.layer, None)
        span = Span(self._count, event, free_end(event, event.fade_in_ms, self._rate), Fade())
        if before is not None:
            fade_out, fade_in = join(before.event, event, self._rate)
            pair = replace(before, fade_out=fade_out), replace(span, fade_in=fade_in)
            before, span = aligned(*pair, self._mixer.read, self._reach, self._rate)
            self._end(before)
        self._open[event.layer] = span
        self._count += 1

    def extend(self, layer: int, n_samples: int) -> None:
        """Make the event of a layer longer."""
        span = self._open[layer]
        event = replace(span.event, n_samples=span.event.n_samples + n_samples)
        self._open[layer] = replace(span, event=event)

    def fade(self, layer: int) -> None:
        """End the event of a layer by a fade inside it."""
        span = self._open.pop(layer)
        fade_out = free_end(span.event, span.event.fade_out_ms, self._rate)
        self._end(replace(span, fade_out=fade_out))

    def mix(self, until: int) -> Audio:
        """Return the samples (n, C) from where the last call ended."""
        spans = sorted(
            [*self._ending, *self._open.values()],
            key=lambda span: (span.first, span.event.layer, span.index),
        )
        blocks = list(self._mixer.blocks(spans, self._position, until))
        self._position = until
        self._ending = [span for span in self._ending if span.stop > until]
        if not blocks:
            return np.empty((0, self._mixer.n_channels), np.float32)
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _end(self, span: Span) -> None:
        self._ending.append(span)
        self._ended(span.event)


class SteadySources(Sources):
    """The files of a database, decoded beforehand; one that cannot be read plays silence.

    Parameters
    ----------
    database : DescriptorDatabase
        Names the files.
    store : DescriptorStore
        Keeps what is decoded.

    Attributes
    ----------
    lost : set of str
        Files that could not be read, each said once.
    """

    def __init__(self, database: DescriptorDatabase, store: DescriptorStore) -> None:
        rule = "hold recordings at their own speed to be played live"
        check(database.speeds == [1.0], "database", database.speeds, rule)
        self.lost: set[str] = set()
        events, onset = [], 0
        for file in database.files:
            n_samples = max(1, file.n_samples)
            events.append(PlaylistEvent(file.source, 0, n_samples, onset, file.digest))
            onset += n_samples
        roots: Mapping[str, str | Path] = {CORPUS: database.root}
        super().__init__(Playlist(tuple(events), database.config.sample_rate), roots, store)
        self.n_most_channels = max(self.n_channels(event) for event in events)

    def reader(self, event: PlaylistEvent) -> AudioReader | DecodedAudio:
        """Return the file of an event, with silence where it cannot be read."""
        return _Steady(self, event)  # type: ignore[return-value]

    def read(self, event: PlaylistEvent, start: int, n: int) -> Audio:
        """Return samples (C, n) of the file of an event."""
        try:
            return super().reader(event).read(start, n)
        except (DescError, OSError) as error:
            if event.source not in self.lost:
                self.lost.add(event.source)
                logger.warning("%s is no longer played: %s", event.source, error)
            return np.zeros((self.n_channels(event), n), np.float32)


class _Steady:
    """A file of `SteadySources`."""

    def __init__(self, sources: SteadySources, event: PlaylistEvent) -> None:
        self._sources, self._event = sources, event

    def read(self, start: int, n: int) -> Audio:
        return self._sources.read(self._event, start, n)


def in_mono(block: Audio) -> Audio:
    """Return a block (n,) or (n, C) as one channel (n,), finite and within ±`LOUDEST`.

    Raises
    ------
    ConfigurationError
        If it does not hold floats, or has another shape.
    """
    block = np.asarray(block)
    is_sound = block.dtype.kind == "f" and block.ndim in (1, 2)
    check(is_sound, "block", (block.dtype.name, block.shape), "hold floats (n,) or (n, C)")
    if not block.size:
        return np.empty(0, np.float32)
    block = np.nan_to_num(block, posinf=0.0, neginf=0.0).clip(-LOUDEST, LOUDEST)
    return to_channels(block.astype(np.float32).reshape(len(block), -1), 1)[:, 0]

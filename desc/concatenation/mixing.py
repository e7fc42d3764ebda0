"""Mixing: the source files of a playlist, and their events added up block by block."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from desc.audio import Audio, AudioReader, resample
from desc.concatenation.joins import Span, aligned_spans
from desc.concatenation.playlist import Playlist, PlaylistEvent
from desc.configuration.matching import MAX_ALIGN_MS
from desc.errors import DescError
from desc.storage import DecodedAudio, DescriptorStore

MAX_OPEN_FILES = 32
"""Files kept open: opening costs ten times what reading a unit does."""


@dataclass(frozen=True)
class SourceFile:
    """A file of a playlist, its content, and the pieces that are played."""

    path: Path
    digest: str
    pieces: list[tuple[int, int]]
    n_channels: int
    n_samples: int


class Sources:
    """Readers of the files of a playlist, at its rate; use it in a `with` statement.

    The constructor finds every file, and decodes or resamples what is played of those that need it.

    Parameters
    ----------
    playlist : Playlist
        Names the files.
    roots : mapping of str to path
        Folders of the sources.
    store : DescriptorStore
        Keeps decoded and resampled audio.

    Attributes
    ----------
    changed : dict of Path to int
        Files whose content is not that of their events' digest (the file was replaced, or its
        descriptors came from JSON, which knows no content), with the first such event.
    beyond : list of int
        Events that start beyond the end of their file.

    Raises
    ------
    DescError
        If a source is missing or cannot be read; the message names event and source.
    """

    def __init__(
        self, playlist: Playlist, roots: Mapping[str, str | Path], store: DescriptorStore
    ) -> None:
        self._sample_rate, self._store = playlist.sample_rate, store
        self._files: dict[tuple[str, str], SourceFile] = {}
        self._readers: OrderedDict[tuple[str, str], AudioReader | DecodedAudio] = OrderedDict()
        self.changed: dict[Path, int] = {}
        self.beyond: list[int] = []
        pieces: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for event in playlist.events:
            piece = _piece(event, playlist.sample_rate)
            pieces.setdefault((event.root, event.source), []).append(piece)
        for index, event in enumerate(playlist.events):
            key = event.root, event.source
            try:
                if key not in self._files:
                    self._files[key] = self._find(event, roots, pieces[key])
                self._check(index, event, self._files[key])
            except DescError as error:
                raise DescError(f"event {index + 1}: source {event.source!r}: {error}") from error

    def reader(self, event: PlaylistEvent) -> AudioReader | DecodedAudio:
        """Return the open file of an event."""
        key = event.root, event.source
        if key not in self._readers:
            file = self._files[key]
            return self._open(key, file.path, file.digest, file.pieces)
        self._readers.move_to_end(key)
        return self._readers[key]

    def n_channels(self, event: PlaylistEvent) -> int:
        """Return the number of channels that an event uses."""
        if event.channels is not None:
            return len(event.channels)
        return self._files[event.root, event.source].n_channels

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *exception: object) -> None:
        while self._readers:
            self._readers.popitem()[1].close()

    def _open(
        self, key: tuple[str, str], path: Path, digest: str, pieces: list[tuple[int, int]]
    ) -> AudioReader | DecodedAudio:
        reader = self._store.open_audio(path, digest, self._sample_rate, pieces)
        self._readers[key] = reader
        while len(self._readers) > MAX_OPEN_FILES:
            self._readers.popitem(last=False)[1].close()
        return reader

    def _find(
        self,
        event: PlaylistEvent,
        roots: Mapping[str, str | Path],
        pieces: list[tuple[int, int]],
    ) -> SourceFile:
        if event.root not in roots:
            raise DescError(f"the folder of root={event.root!r} is unknown; give it")
        path = Path(roots[event.root], event.source)
        if not os.path.isfile(path):  # also where no file can have that name
            raise DescError(
                f"there is no file {path}; if it was moved, give its new folder (--relocate FOLDER "
                "finds it by content)"
            )
        digest = self._store.digest(path)
        reader = self._open((event.root, event.source), path, digest, pieces)
        return SourceFile(path, digest, pieces, reader.n_channels, reader.n_samples)

    def _check(self, index: int, event: PlaylistEvent, file: SourceFile) -> None:
        if event.digest and event.digest != file.digest:
            self.changed.setdefault(file.path, index)
        if event.start_sample >= file.n_samples:
            self.beyond.append(index)
        if max(event.channels or (0,)) >= file.n_channels:
            raise DescError(
                f"channels={list(event.channels or ())} must be below {file.n_channels}, the "
                "number of channels of the file"
            )


def _piece(event: PlaylistEvent, sample_rate: int) -> tuple[int, int]:
    """Return start and length of what is read of an event's file: fades and alignment included."""
    beyond_ms = max(event.fade_in_ms, event.fade_out_ms) / 2 + 2 * MAX_ALIGN_MS
    n_played = event.n_samples + 2 * beyond_ms * sample_rate / 1000
    n_read = math.ceil(n_played * 2 ** (event.transpose_semitones / 12)) + 2 * MARGIN_SAMPLES
    return event.start_sample + (event.n_samples - n_read) // 2, n_read


BLOCK_SAMPLES = 1 << 18
"""Samples mixed at once: 6 s at 44.1 kHz, so a unit is seldom cut by the end of a block."""
RATE_STEPS = 1 << 20
"""Resolution of the ratio of a transposition, a millionth."""
MARGIN_SAMPLES = 256
"""Samples read beyond either end of a transposed piece, for the resampler's filter."""


class Mixer:
    """Mixes events, by default all of a playlist.

    Memory is that of a block and of the transposed events sounding in it.

    Parameters
    ----------
    sources : Sources
        The files.
    n_channels : int
        Channels of the result: see `to_channels`.
    spans : sequence of Span
        Events with their fades and shifts, in order of their starts.
    n_samples : int
        Length of the result.

    Attributes
    ----------
    sources, n_channels, spans, n_samples
        As above.
    """

    def __init__(
        self, sources: Sources, n_channels: int, spans: Sequence[Span] = (), n_samples: int = 0
    ) -> None:
        self.n_samples = n_samples
        self.n_channels = n_channels
        self.sources = sources
        self.spans = spans
        self._transposed: dict[int, Audio] = {}

    @classmethod
    def of(
        cls,
        playlist: Playlist,
        sources: Sources,
        n_channels: int,
        align_ms: float,
        kept: Collection[int] = (),
    ) -> Mixer:
        """Return the mixer of a playlist; `align_ms` and `kept` as for `aligned_spans`."""
        mixer = cls(sources, n_channels, n_samples=playlist.n_samples)
        mixer.spans = aligned_spans(playlist, mixer.read, align_ms, kept)
        return mixer

    def blocks(
        self, spans: Sequence[Span] | None = None, first: int = 0, last: int | None = None
    ) -> Iterator[Audio]:
        """Yield consecutive samples (n, C).

        Parameters
        ----------
        spans : sequence of Span, optional
            Some of `spans`, in their order; by default all.
        first, last : int, optional
            First sample, and the one after the last; by default all are mixed.
        """
        last = self.n_samples if last is None else last
        waiting = iter(self.spans if spans is None else spans)
        upcoming = next(waiting, None)
        sounding: list[Span] = []
        for start in range(first, last, BLOCK_SAMPLES):
            stop = min(start + BLOCK_SAMPLES, last)
            while upcoming is not None and upcoming.first < stop:
                if upcoming.stop > start:
                    sounding.append(upcoming)
                upcoming = next(waiting, None)
            block = np.zeros((stop - start, self.n_channels), np.float32)
            for span in sounding:
                begin, end = max(span.first, start), min(span.stop, stop)
                block[begin - start : end - start] += self._piece(span, begin, end)
                if span.stop <= stop:
                    self._transposed.pop(span.index, None)
            sounding = [span for span in sounding if span.stop > stop]
            yield block

    def _piece(self, span: Span, first: int, last: int) -> Audio:
        """Return the contribution of an event to samples [first, last) of the result, (n, C)."""
        event = span.event
        if event.transpose_semitones:
            if span.index not in self._transposed:  # resampled at once, fades included
                start = event.start_sample + span.shift - span.fade_in.overhang
                self._transposed[span.index] = self.read(event, start, span.stop - span.first)
            whole = self._transposed[span.index]
            samples = whole[first - span.first : last - span.first].copy()
        else:
            start = event.start_sample + span.shift + first - event.onset_sample
            samples = self.read(event, start, last - first)
        if event.gain_curve:
            places = np.arange(first, last) - event.onset_sample
            samples *= event.gains(places).astype(np.float32)[:, None]
        elif event.gain_db:
            samples *= np.float32(10 ** (event.gain_db / 20))
        n_in, n_out = span.fade_in.n_samples, span.fade_out.n_samples
        fade_in_end, fade_out_start = span.first + n_in, span.stop - n_out
        if first < fade_in_end:
            gains = span.fade_in.gains[first - span.first : last - span.first]
            samples[: len(gains)] *= gains
        if last > fade_out_start:
            falling = span.fade_out.gains[::-1]
            begin = max(first, fade_out_start)
            gains = falling[begin - fade_out_start : last - fade_out_start]
            samples[begin - first :] *= gains
        return samples

    def read(self, event: PlaylistEvent, start_sample: int, n_samples: int) -> Audio:
        """Return samples of an event's file in the channels of the result, (n, C), transposed."""
        if event.transpose_semitones:
            samples = self._resampled(event, start_sample, n_samples)
        else:
            samples = self.sources.reader(event).read(start_sample, n_samples).T
        if event.channels is not None:
            samples = samples[:, list(event.channels)]
        return to_channels(samples, self.n_channels)

    def _resampled(self, event: PlaylistEvent, start_sample: int, n_samples: int) -> Audio:
        """Return samples of an event as it plays its file, (n, channels of the file).

        A sample played p samples after the event's centre lies p·2^(semitones/12) after it in the
        file; `start_sample` counts samples as played.
        """
        ratio = played_speed(event)
        first, offset = _resampled_start(event, start_sample)
        n_read = math.ceil((offset + n_samples) * ratio) + MARGIN_SAMPLES
        read = self.sources.reader(event).read(first, n_read)
        resampled = resample(read, round(ratio * RATE_STEPS), RATE_STEPS).T
        return resampled[offset : offset + n_samples]


def played_speed(event: PlaylistEvent) -> float:
    """Return the samples of its file that an event plays per sample, to a millionth."""
    return round(2 ** (event.transpose_semitones / 12) * RATE_STEPS) / RATE_STEPS


def _resampled_start(event: PlaylistEvent, start_sample: int) -> tuple[int, int]:
    """Return the first sample that is read, and the samples as played from there to the start."""
    ratio = 2 ** (event.transpose_semitones / 12)
    centre = event.start_sample + event.n_samples / 2
    begin = centre + (start_sample - centre) * ratio
    first = math.floor(begin) - MARGIN_SAMPLES
    return first, round((begin - first) / ratio)


def file_position(event: PlaylistEvent, start_sample: int) -> float:
    """Return the sample of its file with which an event begins if it starts at a sample as played.

    `start_sample` counts about the event's centre, as it is played.
    """
    if not event.transpose_semitones:
        return start_sample
    first, offset = _resampled_start(event, start_sample)
    return first + offset * played_speed(event)


def to_channels(samples: Audio, n_channels: int) -> Audio:
    """Return samples (n, c) with another number of channels, (n, n_channels).

    One channel goes to all; to one channel goes the mean. More than two become two by channel 1 to
    the left, channel 2 to the right and each further one to both at −3 dB. Fewer than wanted, but
    more than one, go to the first channels.
    """
    given = samples.shape[1]
    if given == n_channels:
        return samples
    if n_channels == 1:
        mix = np.full((given, 1), 1 / given, np.float32)
        return np.asarray(samples @ mix)  # mean() takes 15 times as long
    if given == 1:
        return np.repeat(samples, n_channels, axis=1)
    result = np.zeros((len(samples), n_channels), np.float32)
    shared = min(given, n_channels)
    result[:, :shared] = samples[:, :shared]
    if given > n_channels:
        result += np.float32(math.sqrt(0.5)) * samples[:, n_channels:].sum(1, keepdims=True)
    return result

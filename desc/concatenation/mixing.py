"""Events added up, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from desc.audio import resample
from desc.concatenation.alignment import aligned_spans
from desc.concatenation.event import PlaylistEvent
from desc.concatenation.playlist import Playlist
from desc.concatenation.sources import Sources
from desc.concatenation.timeline import Span

Audio = npt.NDArray[np.float32]

BLOCK_SAMPLES = 1 << 18
"""Samples mixed at once: 6 s at 44.1 kHz, so a unit is seldom cut by the end of a block."""
RATE_STEPS = 1 << 20
"""Resolution of the ratio of a transposition, a millionth."""
MARGIN_SAMPLES = 256
"""Samples read beyond either end of a transposed piece, for the resampler's filter."""


class Mixer:
    """The sum of all events of a playlist.

    Memory is that of a block and of the transposed events sounding in it.

    Parameters
    ----------
    playlist : Playlist
        What is to be played.
    sources : Sources
        Its files.
    n_channels : int
        Channels of the result: see `to_channels`.
    align_ms : float
        See `aligned_spans`.

    Attributes
    ----------
    spans : list of Span
        The events as they sound, in the order in which they begin.
    """

    def __init__(
        self, playlist: Playlist, sources: Sources, n_channels: int, align_ms: float
    ) -> None:
        self.n_samples = playlist.n_samples
        self.n_channels = n_channels
        self._sources = sources
        self.spans = aligned_spans(playlist, self._read, align_ms)
        self._transposed: dict[int, Audio] = {}

    def blocks(self) -> Iterator[Audio]:
        """Yield consecutive samples (n, C)."""
        waiting = iter(self.spans)
        upcoming = next(waiting, None)
        sounding: list[Span] = []
        for start in range(0, self.n_samples, BLOCK_SAMPLES):
            stop = min(start + BLOCK_SAMPLES, self.n_samples)
            while upcoming is not None and upcoming.first < stop:
                sounding.append(upcoming)
                upcoming = next(waiting, None)
            block = np.zeros((stop - start, self.n_channels), np.float32)
            for span in sounding:
                first, last = max(span.first, start), min(span.stop, stop)
                block[first - start : last - start] += self._piece(span, first, last)
                if span.stop <= stop:
                    self._transposed.pop(span.index, None)
            sounding = [span for span in sounding if span.stop > stop]
            yield block

    def _piece(self, span: Span, first: int, last: int) -> Audio:
        """Return what an event adds to samples [first, last) of the result, (n, C)."""
        event = span.event
        if event.transpose_semitones:
            samples = self._whole_transposed(span)[first - span.first : last - span.first].copy()
        else:
            start = event.start_sample + span.shift + first - event.onset_sample
            samples = self._read(event, start, last - first)
        if event.gain_db:
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

    def _read(self, event: PlaylistEvent, start_sample: int, n_samples: int) -> Audio:
        """Return samples of an event's file in the channels of the result, (n, C), transposed."""
        if event.transpose_semitones:
            samples = self._resampled(event, start_sample, n_samples)
        else:
            samples = self._sources.reader(event).read(start_sample, n_samples).T
        if event.channels is not None:
            samples = samples[:, list(event.channels)]
        return to_channels(samples, self.n_channels)

    def _whole_transposed(self, span: Span) -> Audio:
        """Return an event resampled at once, fades included, (n, C)."""
        if span.index not in self._transposed:
            start = span.event.start_sample + span.shift - span.fade_in.overhang
            self._transposed[span.index] = self._read(span.event, start, span.stop - span.first)
        return self._transposed[span.index]

    def _resampled(self, event: PlaylistEvent, start_sample: int, n_samples: int) -> Audio:
        """Return samples of an event as it plays its file, (n, channels of the file).

        What is heard p samples after the event's centre lies p·2^(semitones/12) after it in the
        file; `start_sample` counts as it is heard.
        """
        ratio = 2 ** (event.transpose_semitones / 12)
        centre = event.start_sample + event.n_samples / 2
        begin = centre + (start_sample - centre) * ratio
        first = math.floor(begin) - MARGIN_SAMPLES
        last = math.ceil(begin + n_samples * ratio) + MARGIN_SAMPLES
        read = self._sources.reader(event).read(first, last - first)
        resampled = resample(read, round(ratio * RATE_STEPS), RATE_STEPS).T
        offset = round((begin - first) / ratio)
        return resampled[offset : offset + n_samples]


def to_channels(samples: Audio, n_channels: int) -> Audio:
    """Return samples (n, c) with another number of channels, (n, n_channels).

    One channel goes to all; to one channel goes the mean. More than two become two by channel 1 to
    the left, channel 2 to the right and each further one to both at −3 dB. Fewer than wanted, but
    more than one, go to the first channels.

    Parameters
    ----------
    samples : ndarray of float32, (n, c)
        May be returned as it is.
    n_channels : int
        The number wanted.
    """
    given = samples.shape[1]
    if given == n_channels:
        return samples
    if n_channels == 1:
        mean: Audio = samples @ np.full(
            (given, 1), 1 / given, np.float32
        )  # mean() takes 15 times as long
        return mean
    if given == 1:
        return np.repeat(samples, n_channels, axis=1)
    result = np.zeros((len(samples), n_channels), np.float32)
    shared = min(given, n_channels)
    result[:, :shared] = samples[:, :shared]
    if given > n_channels:
        result += np.float32(math.sqrt(0.5)) * samples[:, n_channels:].sum(1, keepdims=True)
    return result

"""`Arrangement`: the input of every format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.joins import Span
from desc.concatenation.mixing import Mixer, file_position, played_speed
from desc.playlist_formats.settings import ExportConfig

CURVE_SEGMENTS = 64
"""Straight lines in the gain curve of a fade: they miss it by at most 8e-5 of full scale."""
SEGMENT_SAMPLES = 16
"""Longest of these lines where the gain changes within a unit: their product is no line."""


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A playlist and its timing.

    Attributes
    ----------
    playlist : Playlist
        The units.
    spans : tuple of Span
        The units with fades and shifts, in the order in which they begin to sound.
    roots : mapping of str to path
        Folders that the sources are relative to.
    title : str
        Name of the whole.
    gain : float
        Gain of the whole, at most 1, as of a rendered file.
    settings : ExportConfig
        `media` is set in formats with media.
    mixer : Mixer or None
        Mixes the units, in formats that lie as played.
    beats_s : tuple of float
        Times of the beats, in formats that carry them.
    alternatives : mapping of int to list of PlaylistEvent
        Other events in place of an event, by its place in the playlist.
    """

    playlist: Playlist
    spans: tuple[Span, ...]
    roots: Mapping[str, str | Path]
    title: str
    gain: float = 1.0
    settings: ExportConfig = field(default_factory=ExportConfig)
    mixer: Mixer | None = None
    beats_s: tuple[float, ...] = ()
    alternatives: Mapping[int, list[PlaylistEvent]] = field(default_factory=dict)

    def path(self, event: PlaylistEvent) -> str:
        """Return the path of an event's file, as far as its folder is known."""
        return str(Path(self.roots.get(event.root, ""), event.source))

    def files(self) -> dict[str, str]:
        """Return the source of each file that is named, by its path."""
        events = [*self.playlist.events, *chain.from_iterable(self.alternatives.values())]
        return {self.path(event): event.source for event in events}

    def seconds(self, n_samples: float) -> float:
        """Return samples of the playlist as seconds."""
        return n_samples / self.playlist.sample_rate

    def label(self, event: PlaylistEvent) -> str:
        """Return file and position in one line, as `bells/low.wav @ 1.173 s`."""
        return one_line(f"{event.source} @ {self.seconds(event.start_sample):.3f} s")

    def clips(self, layer: int) -> list[Clip]:
        """Return the units of a layer as clips, in the order in which they begin to sound."""
        rate = self.playlist.sample_rate
        return [Clip(span, rate) for span in self.spans if span.event.layer == layer]

    def other_clips(self, clip: Clip) -> list[Clip]:
        """Return the alternatives of a clip, at its place."""
        others = self.alternatives.get(clip.span.index, [])
        return [replace(clip, span=replace(clip.span, event=other, shift=0)) for other in others]

    @property
    def layers(self) -> list[int]:
        """Numbers of the layers."""
        return sorted({event.layer for event in self.playlist.events})


@dataclass(frozen=True)
class Clip:
    """A unit as a program plays it from its file: with the halves of the fades beyond it.

    What lies before the beginning of the file or of the project is left out.

    Attributes
    ----------
    span : Span
        The unit with fades and shift.
    sample_rate : int
        Of the playlist.
    """

    span: Span
    sample_rate: int

    @property
    def event(self) -> PlaylistEvent:
        """The unit."""
        return self.span.event

    @property
    def speed(self) -> float:
        """Seconds of the file that are played in a second."""
        return played_speed(self.event)

    @property
    def position_s(self) -> float:
        """Start in the project."""
        return (self.span.first + self._before) / self.sample_rate

    @property
    def length_s(self) -> float:
        """Length in the project, at least a sample."""
        n_samples = self.span.stop - self.span.first - self._before
        return max(n_samples, 1) / self.sample_rate

    @property
    def offset_s(self) -> float:
        """Start in the file."""
        return (self._first_read + self._before * self.speed) / self.sample_rate

    @property
    def fade_in_s(self) -> float:
        """Length of the fade in."""
        return max(self.span.fade_in.n_samples - self._before, 0) / self.sample_rate

    @property
    def fade_out_s(self) -> float:
        """Length of the fade out."""
        return self.span.fade_out.n_samples / self.sample_rate

    @property
    def gain(self) -> float:
        """Gain as a factor, without the gain curve."""
        return float(10 ** (self.event.gain_db / 20))

    @cached_property
    def _first_read(self) -> float:
        """Sample of the file that belongs to the span's first."""
        start = self.event.start_sample + self.span.shift - self.span.fade_in.overhang
        return file_position(self.event, start)

    @property
    def _before(self) -> float:
        """Samples of the span before the beginning of the file or of the project."""
        return max(-self._first_read / self.speed, -self.span.first, 0)

    @property
    def _onset(self) -> int:
        """The event's onset, in samples of the span."""
        return self.span.fade_in.overhang

    def curve(self, *, fades: bool) -> list[tuple[float, float]]:
        """Return the gain as points (seconds from the clip's start, factor).

        Parameters
        ----------
        fades : bool
            Whether it includes the fades.
        """
        n_in, n_out = self.span.fade_in.n_samples, self.span.fade_out.n_samples
        if not fades:
            n_in = n_out = 0
        longest = max(n_in, n_out) if self.event.gain_curve else 0
        steps = np.linspace(0, 1, max(CURVE_SEGMENTS, longest // SEGMENT_SAMPLES) + 1)
        n_samples = self.span.stop - self.span.first
        # The gain of a sample is that at its middle.
        rise, fall = steps * n_in - 0.5, n_samples - 0.5 - steps * n_out
        bends = np.array([sample + self._onset for sample, _ in self.event.gain_curve])
        inside = [self._before, n_samples, *bends[bends < n_samples]]
        places = np.unique(np.concatenate([rise[: n_in and None], fall[: n_out and None], inside]))
        places = places[places >= self._before]
        gains = self.event.gains(places - self._onset)
        if n_in:
            gains *= self.span.fade_in.gain_at((places + 0.5) / n_in)
        if n_out:
            gains *= self.span.fade_out.gain_at((n_samples - 0.5 - places) / n_out)
        seconds = (places - self._before) / self.sample_rate
        return list(zip(seconds.tolist(), gains.tolist(), strict=True))


def one_line(text: str) -> str:
    """Return a text without tabs, line ends and other control characters."""
    return "".join(c if c.isprintable() else " " for c in text)

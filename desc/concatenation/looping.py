"""Loops: a playlist whose end joins its beginning."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from desc.audio import Audio
from desc.concatenation.beats import find_beats, tempo_of
from desc.concatenation.mixing import Mixer
from desc.concatenation.playlist import Playlist, PlaylistEvent


class Loop:
    """Mixes a playlist so that it can be repeated without a seam.

    The last unit of a layer and its first one meet as two units do inside: with a crossfade centred
    on the join, the first one shifted to the best agreement. The loop begins in the middle of this
    fade and ends there.

    Parameters
    ----------
    playlist : Playlist
        The events.
    mixer : Mixer
        Mixes them; its open files are used.
    crossfade_ms, align_ms : float
        As in `RenderConfig`.

    Attributes
    ----------
    n_samples : int
        The largest whole number of beats that fits into the playlist, or all of it where there is
        no pulse.
    n_channels : int
        Channels of the result.
    """

    def __init__(
        self, playlist: Playlist, mixer: Mixer, crossfade_ms: float, align_ms: float
    ) -> None:
        beats = find_beats(mixer.blocks(), playlist.sample_rate)
        self.n_samples = loop_length(beats, playlist)
        self.n_channels = mixer.n_channels
        closed, copies = _closed(playlist, self.n_samples, crossfade_ms)
        parts = mixer.sources, mixer.n_channels, align_ms
        shifts = {span.index: span.shift for span in Mixer.of(closed, *parts).spans}
        self._mixer = Mixer.of(_aligned(closed, copies, shifts), *parts, kept=copies.values())
        overhangs = [s.fade_in.overhang for s in self._mixer.spans if s.index in copies.values()]
        self._turn = max(overhangs, default=0)

    def blocks(self) -> Iterator[Audio]:
        """Yield consecutive samples (n, C): from the join on, around to it."""
        yield from self._mixer.blocks(first=self.n_samples, last=self.n_samples + self._turn)
        yield from self._mixer.blocks(first=self._turn, last=self.n_samples)


def loop_length(beats_s: tuple[float, ...], playlist: Playlist) -> int:
    """Return the length of a loop in samples: the beats after it fall as those before it."""
    if len(beats_s) < 2:
        return playlist.n_samples
    after = beats_s[-1] + 60 / tempo_of(beats_s, math.nan)
    lengths = [round((beat - beats_s[0]) * playlist.sample_rate) for beat in (*beats_s[1:], after)]
    return max((n for n in lengths if n <= playlist.n_samples), default=playlist.n_samples)


def _closed(
    playlist: Playlist, n_samples: int, crossfade_ms: float
) -> tuple[Playlist, dict[int, int]]:
    """Return the first samples of a playlist with its first events again after them.

    Also return the places of each layer's first event and its copy.
    """
    events: list[PlaylistEvent] = []
    later: list[PlaylistEvent] = []
    firsts = []
    for layer in playlist.layers():
        kept = [event for _, event in layer if event.onset_sample < n_samples]
        if not kept:
            continue
        if kept[-1].end_sample > n_samples:
            kept[-1] = kept[-1].retimed(kept[-1].onset_sample, n_samples)
            kept[-1] = replace(kept[-1], fade_out_ms=max(kept[-1].fade_out_ms, crossfade_ms))
        reach = kept[0].onset_sample + crossfade_ms * playlist.sample_rate / 1000
        again = [
            replace(event, onset_sample=event.onset_sample + n_samples)
            for event in kept
            if event.onset_sample <= reach
        ]
        if kept[0].onset_sample == 0 and kept[-1].end_sample == n_samples:
            kept[-1] = replace(kept[-1], fade_out_ms=crossfade_ms)
            kept[0] = replace(kept[0], fade_in_ms=0.0)  # the fade is that of its copy
            again[0] = replace(again[0], fade_in_ms=crossfade_ms)
        firsts.append((len(events), len(later)))
        events += kept
        later += again
    copies = {first: len(events) + copy for first, copy in firsts}
    return replace(playlist, events=(*events, *later)), copies


def _aligned(closed: Playlist, copies: dict[int, int], shifts: dict[int, int]) -> Playlist:
    """Return the playlist with each layer's first event, and its copy, shifted as at the join."""
    events = list(closed.events)
    for first, copy in copies.items():
        event = events[copy]
        ratio = 2 ** (event.transpose_semitones / 12)
        start = event.start_sample + round(ratio * shifts[copy])
        for index in (first, copy):
            events[index] = replace(events[index], start_sample=start)
    return replace(closed, events=tuple(events))

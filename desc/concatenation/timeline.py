"""When each event of a playlist sounds, fades included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from desc.concatenation.event import PlaylistEvent
from desc.concatenation.playlist import Playlist

Law = Literal["power", "linear"]

CORRELATION_STEPS = 64


@dataclass(frozen=True)
class Fade:
    """One end of an event.

    Attributes
    ----------
    n_samples : int
        Length, even; 0: the event starts or stops at once.
    overhang : int
        How much of it lies outside the event's nominal extent.
    law : str
        `power`: the squares of the two gains at a join add up to 1, right for sounds that have
        nothing to do with each other; `linear`: the gains do, right for one and the same sound.
    correlation : float
        Of the two sounds at a join, −1 to 1; the law `power` is adapted to it.
    """

    n_samples: int = 0
    overhang: int = 0
    law: Law = "power"
    correlation: float = 0.0

    def for_correlation(self, correlation: float) -> Fade:
        """Return the fade adapted to two sounds of this correlation."""
        return Fade(self.n_samples, self.overhang, self.law, correlation)

    @property
    def gains(self) -> npt.NDArray[np.float32]:
        """(n_samples, 1) the gains of a fade in; reversed they are those of a fade out."""
        # In steps, so that they are computed seldom: the power is off by .02 dB at the most.
        steps = round(CORRELATION_STEPS * max(self.correlation, 0.0))
        return rising_gains(self.n_samples, self.law, steps / CORRELATION_STEPS)


@dataclass(frozen=True)
class Span:
    """An event as it sounds.

    Attributes
    ----------
    index : int
        Place in the playlist.
    event : PlaylistEvent
        The event.
    fade_in, fade_out : Fade
        Its two ends.
    shift : int
        Samples by which it is read later than the playlist says, so that a join agrees.
    """

    index: int
    event: PlaylistEvent
    fade_in: Fade
    fade_out: Fade
    shift: int = 0

    def adapted(self, fade_in: Fade, fade_out: Fade, shift: int) -> Span:
        """Return the event with other ends and another shift."""
        return Span(self.index, self.event, fade_in, fade_out, shift)

    @property
    def first(self) -> int:
        """First sample of the result to which the event adds; negative where it begins before."""
        return self.event.onset_sample - self.fade_in.overhang

    @property
    def stop(self) -> int:
        """The sample after the last one to which it adds."""
        return self.event.end_sample + self.fade_out.overhang


def spans(playlist: Playlist) -> list[Span]:
    """Return the events in the order in which they begin to sound."""
    result = []
    for layer in playlist.layers():
        events = [event for _, event in layer]
        joins = [_join(*pair, playlist.sample_rate) for pair in pairwise(events)]
        ins = [_free_end(events[0], events[0].fade_in_ms, playlist.sample_rate)]
        ins += [fade_in for _, fade_in in joins]
        outs = [fade_out for fade_out, _ in joins]
        outs.append(_free_end(events[-1], events[-1].fade_out_ms, playlist.sample_rate))
        result += [
            Span(index, event, fade_in, fade_out)
            for (index, event), fade_in, fade_out in zip(layer, ins, outs, strict=True)
        ]
    return sorted(result, key=lambda span: span.first)


@lru_cache(maxsize=256)
def rising_gains(n_samples: int, law: Law, correlation: float = 0.0) -> npt.NDArray[np.float32]:
    """Return the gains (n_samples, 1) of a fade in; reversed they are those of a fade out.

    Two sounds of power 1 and correlation ρ, with gains f_in and f_out, have the power
    f_in² + f_out² + 2·ρ·f_in·f_out; the law `power`, f = sin and cos, divides by its root.

    Parameters
    ----------
    n_samples : int
        Length of the fade.
    law : str
        See `Fade`.
    correlation : float
        ρ, 0 to 1.
    """
    position = (np.arange(n_samples) + 0.5) / max(n_samples, 1)
    gains = position
    if law == "power":
        angle = np.pi / 2 * position
        gains = np.sin(angle) / np.sqrt(1 + 2 * correlation * np.sin(angle) * np.cos(angle))
    return gains.astype(np.float32)[:, None]


def _join(before: PlaylistEvent, event: PlaylistEvent, sample_rate: int) -> tuple[Fade, Fade]:
    """Return how one event goes out and the next comes in."""
    if before.end_sample != event.onset_sample:
        fade_out = _free_end(before, before.fade_out_ms, sample_rate)
        return fade_out, _free_end(event, event.fade_in_ms, sample_rate)
    law: Law = "power"
    if event.continues(before):
        if event.gain_db == before.gain_db:
            return Fade(), Fade()
        law = "linear"
    longest = min(before.n_samples, event.n_samples)
    n_out = _fade_samples(before.fade_out_ms, longest, sample_rate)
    n_in = _fade_samples(event.fade_in_ms, longest, sample_rate)
    return Fade(n_out, n_out // 2, law), Fade(n_in, n_in // 2, law)


def _free_end(event: PlaylistEvent, fade_ms: float, sample_rate: int) -> Fade:
    return Fade(_fade_samples(fade_ms, event.n_samples, sample_rate))


def _fade_samples(fade_ms: float, longest: int, sample_rate: int) -> int:
    """Return a fade's length in samples, even so that it has a middle."""
    return 2 * (min(round(fade_ms * sample_rate / 1000), longest) // 2)

"""Joins of a playlist: timing, fades and alignment of events.

Shifts and correlations belong to rendering; the playlist keeps the nominal positions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from desc.audio import Audio
from desc.concatenation.playlist import Playlist, PlaylistEvent

Law = Literal["power", "linear"]

CORRELATION_STEPS = 64


@dataclass(frozen=True)
class Fade:
    """One end of an event.

    Attributes
    ----------
    n_samples : int
        Length, even; 0: a hard start or end.
    overhang : int
        Samples of it outside the event's nominal extent.
    law : str
        `power`: the squares of the two gains at a join add up to 1, for uncorrelated sounds;
        `linear`: the gains add up to 1, for two parts of one sound.
    correlation : float
        Of the two sounds at a join, −1 to 1; the law `power` is adapted to it.
    """

    n_samples: int = 0
    overhang: int = 0
    law: Law = "power"
    correlation: float = 0.0

    @property
    def gains(self) -> npt.NDArray[np.float32]:
        """(n_samples, 1) the gains of a fade in; reversed they are those of a fade out."""
        return rising_gains(self.n_samples, self.law, self._step)

    def gain_at(self, position: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the gains of a fade in at positions from 0, its start, to 1; held beyond."""
        return _rising(np.clip(position, 0.0, 1.0), self.law, self._step)

    @property
    def _step(self) -> float:
        """The correlation in steps, so that gains are computed seldom: off by at most .02 dB."""
        return round(CORRELATION_STEPS * max(self.correlation, 0.0)) / CORRELATION_STEPS


@dataclass(frozen=True)
class Span:
    """An event with its fades and shift.

    Attributes
    ----------
    index : int
        Place in the playlist.
    event : PlaylistEvent
        The event.
    fade_in, fade_out : Fade
        Its two ends.
    shift : int
        Samples by which it is read later than the playlist says, for alignment.
    """

    index: int
    event: PlaylistEvent
    fade_in: Fade
    fade_out: Fade
    shift: int = 0

    @property
    def first(self) -> int:
        """First sample of the result to which the event adds; may be negative."""
        return self.event.onset_sample - self.fade_in.overhang

    @property
    def stop(self) -> int:
        """Sample after the last one to which it adds."""
        return self.event.end_sample + self.fade_out.overhang


def spans(playlist: Playlist) -> list[Span]:
    """Return the events with their fades, in order of their starts."""
    result = []
    for layer in playlist.layers():
        events = [event for _, event in layer]
        joins = [join(*pair, playlist.sample_rate) for pair in pairwise(events)]
        ins = [free_end(events[0], events[0].fade_in_ms, playlist.sample_rate)]
        ins += [fade_in for _, fade_in in joins]
        outs = [fade_out for fade_out, _ in joins]
        outs.append(free_end(events[-1], events[-1].fade_out_ms, playlist.sample_rate))
        result += [
            Span(index, event, fade_in, fade_out)
            for (index, event), fade_in, fade_out in zip(layer, ins, outs, strict=True)
        ]
    return sorted(result, key=lambda span: span.first)


@lru_cache(maxsize=256)
def rising_gains(n_samples: int, law: Law, correlation: float = 0.0) -> npt.NDArray[np.float32]:
    """Return the gains (n_samples, 1) of a fade in of a law (see `Fade`), for correlation ρ ≥ 0."""
    position = (np.arange(n_samples) + 0.5) / max(n_samples, 1)
    return _rising(position, law, correlation).astype(np.float32)[:, None]


def _rising(
    position: npt.NDArray[np.float64], law: Law, correlation: float
) -> npt.NDArray[np.float64]:
    """Return the gains of a fade in at positions of 0 to 1.

    Two sounds of power 1 and correlation ρ, with gains f_in and f_out, have the power
    f_in² + f_out² + 2·ρ·f_in·f_out; the law `power`, f = sin and cos, divides by its root.
    """
    if law == "linear":
        return position
    sine, cosine = np.sin(np.pi / 2 * position), np.cos(np.pi / 2 * position)
    return sine / np.sqrt(1 + 2 * correlation * sine * cosine)


def join(before: PlaylistEvent, event: PlaylistEvent, sample_rate: int) -> tuple[Fade, Fade]:
    """Return the fade-out of one event and the fade-in of the next."""
    if before.end_sample != event.onset_sample:
        fade_out = free_end(before, before.fade_out_ms, sample_rate)
        return fade_out, free_end(event, event.fade_in_ms, sample_rate)
    law: Law = "power"
    if event.continues(before):
        if event.gain_db == before.gain_db and event.gain_curve == before.gain_curve == ():
            return Fade(), Fade()
        law = "linear"
    longest = min(before.n_samples, event.n_samples)
    n_out = _fade_samples(before.fade_out_ms, longest, sample_rate)
    n_in = _fade_samples(event.fade_in_ms, longest, sample_rate)
    return Fade(n_out, n_out // 2, law), Fade(n_in, n_in // 2, law)


def free_end(event: PlaylistEvent, fade_ms: float, sample_rate: int) -> Fade:
    """Return a fade at an end of an event where no other meets it."""
    return Fade(_fade_samples(fade_ms, event.n_samples, sample_rate))


def _fade_samples(fade_ms: float, longest: int, sample_rate: int) -> int:
    """Return a fade's length in samples, an even number."""
    return 2 * (min(round(fade_ms * sample_rate / 1000), longest) // 2)


Read = Callable[[PlaylistEvent, int, int], Audio]
"""read(event, start_sample, n_samples) -> samples (n, C) of the event's file as played, with
positions relative to the event's centre, as played."""

WINDOW_SAMPLES = 1024
"""Samples compared around a join, 23 ms: two periods of a tone of 86 Hz."""
TIE = 1e-5
"""Correlations this near are equal: they are computed in float32."""
SHORT_SAMPLES = 2048
"""Longest event for which one read is faster than two."""
ATTACK_S, ATTACK = 512 / 44100, 8.0
"""A sound has an attack where 12 ms have this many times the energy of the 12 ms before."""
BEFORE, AFTER = 4, 20
"""Quarters of that time before and after a sound begins, in which an attack is looked for."""
ATTACK_FLOOR = 1e-7
"""Mean square, -70 dB, that an attack exceeds."""
SILENCE = 1e-9
"""Energy of a window, full scale squared times samples, below which there is nothing to align."""


def aligned_spans(
    playlist: Playlist, read: Read, align_ms: float, kept: Collection[int] = ()
) -> list[Span]:
    """Return the events in order of their starts, aligned where they overlap.

    At a join with a fade the incoming event is shifted by up to `align_ms`, to where its normalised
    cross-correlation with the outgoing one is largest. One with an attack in its first 58 ms
    is not shifted: its time is heard more than its phase. The fade is adapted to the correlation.
    Events that continue each other share their shift. Free ends and hard cuts stay unchanged.

    Parameters
    ----------
    playlist : Playlist
        The events.
    read : callable
        Reads the file of an event.
    align_ms : float
        Largest shift in milliseconds; at 0 only the fade is adapted.
    kept : collection of int
        Places in the playlist of events that are not shifted.
    """
    found = {span.index: span for span in spans(playlist)}
    largest = round(align_ms * playlist.sample_rate / 1000)
    read = _Neighbourhoods(read, largest, playlist.sample_rate)
    for layer in playlist.layers():
        for (left, before), (right, event) in pairwise(layer):
            if before.end_sample != event.onset_sample:
                continue
            rate, reach = playlist.sample_rate, 0 if right in kept else largest
            found[left], found[right] = aligned(found[left], found[right], read, reach, rate)
    return sorted(found.values(), key=lambda span: span.first)


def aligned(
    first: Span, second: Span, read: Read, largest: int, sample_rate: int
) -> tuple[Span, Span]:
    """Return two spans that meet, the second shifted, their fades adapted; see `aligned_spans`.

    Parameters
    ----------
    first, second : Span
        The second begins where the first ends.
    read : callable
        Reads the file of an event.
    largest : int
        Largest shift in samples.
    sample_rate : int
        In Hz.
    """
    if second.event.continues(first.event):
        return first, replace(second, shift=first.shift)
    if not first.fade_out.n_samples == second.fade_in.n_samples > 0:
        return first, second
    shift, correlation = _agreement(first, second, read, largest, sample_rate)
    fade_out = replace(first.fade_out, correlation=correlation)
    fade_in = replace(second.fade_in, correlation=correlation)
    return replace(first, fade_out=fade_out), replace(second, fade_in=fade_in, shift=shift)


def best_shift(outgoing: Audio, incoming: Audio) -> tuple[int, float]:
    """Return the shift at which one sound agrees best with another.

    Parameters
    ----------
    outgoing : ndarray of float32, (n, C)
        The sound that ends.
    incoming : ndarray of float32, (n + 2·m, C)
        The sound that begins, m samples more on either side.

    Returns
    -------
    int
        Shift from −m to m, the smallest among equals; 0 if either sound is silent.
    float
        Normalised cross-correlation at the shift, over all channels, −1 to 1.
    """
    n, largest = len(outgoing), (len(incoming) - len(outgoing)) // 2
    # What wraps around in a transform of the incoming length falls outside the shifts in question.
    size = 1 << (len(incoming) - 1).bit_length()
    both = np.zeros((2, incoming.shape[1], size), np.float32)
    both[0, :, :n] = outgoing.T
    both[1, :, : len(incoming)] = incoming.T
    spectra = np.fft.rfft(both)
    cross = np.einsum("cf,cf->f", spectra[0].conj(), spectra[1])
    products = np.fft.irfft(cross, size)[: 2 * largest + 1]
    energy = np.zeros(len(incoming) + 1)
    np.einsum("nc,nc->n", incoming, incoming).cumsum(dtype=np.float64, out=energy[1:])
    energies = energy[n:] - energy[:-n]
    own = float(np.vdot(outgoing, outgoing))
    if own <= SILENCE or energies.max() <= SILENCE:
        return 0, 0.0
    products[energies <= SILENCE] = 0
    correlations = products / np.sqrt(own * np.maximum(energies, SILENCE))
    correlations = correlations[_by_size(largest)]
    best = int((correlations >= correlations.max() - TIE).argmax())
    shift = (best + 1) // 2 * (-1 if best % 2 else 1)
    return shift, float(min(max(correlations[best], -1.0), 1.0))


@lru_cache(maxsize=16)
def _by_size(largest: int) -> npt.NDArray[np.intp]:
    """Return the positions of shifts −largest … largest, the smallest shift first."""
    return np.argsort(np.abs(np.arange(-largest, largest + 1)), kind="stable")


def begins_with_attack(sound: Audio, sample_rate: int) -> bool:
    """Return whether the energy of a sound (n, C) rises suddenly, by more than its own waves do."""
    quarter = _quarter(sample_rate)
    n = len(sound) // quarter * quarter
    quarters = np.einsum("nc,nc->n", sound[:n], sound[:n]).reshape(-1, quarter).sum(1)
    energies = np.convolve(quarters, np.ones(4), mode="valid")
    return bool((energies[4:] > ATTACK * energies[:-4] + 4 * quarter * ATTACK_FLOOR).any())


def _quarter(sample_rate: int) -> int:
    return max(1, round(ATTACK_S / 4 * sample_rate))


def _agreement(
    first: Span, second: Span, read: Read, largest: int, sample_rate: int
) -> tuple[int, float]:
    half, quarter = WINDOW_SAMPLES // 2, _quarter(sample_rate)
    if largest:
        start = second.event.start_sample - BEFORE * quarter
        about = read(second.event, start, (BEFORE + AFTER) * quarter)
        largest = 0 if begins_with_attack(about, sample_rate) else largest
    end = first.event.start_sample + first.event.n_samples + first.shift
    outgoing = read(first.event, end - half, 2 * half)
    begin = second.event.start_sample - half - largest
    return best_shift(outgoing, read(second.event, begin, 2 * (half + largest)))


class _Neighbourhoods:
    """Reads around joins, up to `largest` samples shifted; both ends of a short event at once."""

    def __init__(self, read: Read, largest: int, sample_rate: int) -> None:
        self._read, quarter = read, _quarter(sample_rate)
        self._reach = max(WINDOW_SAMPLES // 2 + largest, BEFORE * quarter)
        self._least = AFTER * quarter
        self._event: PlaylistEvent | None = None
        self._start = 0
        self._samples: Audio = np.empty((0, 1), np.float32)

    def __call__(self, event: PlaylistEvent, start_sample: int, n_samples: int) -> Audio:
        if event.n_samples > SHORT_SAMPLES:
            return self._read(event, start_sample, n_samples)
        if event is not self._event:
            self._event, self._start = event, event.start_sample - self._reach
            n_after = max(event.n_samples + self._reach, self._least)
            self._samples = self._read(event, self._start, self._reach + n_after)
        first = start_sample - self._start
        return self._samples[first : first + n_samples]

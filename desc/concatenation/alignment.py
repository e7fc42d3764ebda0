"""Where exactly a unit comes in: the shift at which it agrees best with the one before it.

Shifts and correlations belong to rendering; the playlist keeps the nominal positions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy.fft

from desc.concatenation.event import PlaylistEvent
from desc.concatenation.playlist import Playlist
from desc.concatenation.timeline import Span, spans

Audio = npt.NDArray[np.float32]
Read = Callable[[PlaylistEvent, int, int], Audio]
"""read(event, start_sample, n_samples) -> samples (n, C) of the event's file as it is heard, with
positions that count about the event's centre as they are heard."""

WINDOW_SAMPLES = 1024
"""Samples about the join that are compared, 23 ms: two periods of a tone of 86 Hz."""
TIE = 1e-5
"""Correlations this near are equal: they are computed in float32."""
SHORT_SAMPLES = 2048
"""Length of an event up to which one read is quicker than two."""
SILENCE = 1e-9
"""Energy of a window, full scale squared times samples, below which there is nothing to align."""


def aligned_spans(playlist: Playlist, read: Read, align_ms: float) -> list[Span]:
    """Return the events in the order in which they begin to sound, aligned where they overlap.

    At a join with a fade the incoming event is read up to `align_ms` earlier or later, where its
    normalised cross-correlation with the outgoing one is largest, and the fade is adapted to that
    correlation. Events that continue each other share their shift. Free ends and hard cuts are left
    alone.

    Parameters
    ----------
    playlist : Playlist
        The events.
    read : callable
        Reads the file of an event.
    align_ms : float
        Largest shift in milliseconds; 0: none, the fade is still adapted.
    """
    found = {span.index: span for span in spans(playlist)}
    largest = round(align_ms * playlist.sample_rate / 1000)
    read = _Neighbourhoods(read, largest)
    for layer in playlist.layers():
        for (left, before), (right, event) in pairwise(layer):
            if before.end_sample != event.onset_sample:
                continue
            first, second = found[left], found[right]
            if event.continues(before):
                found[right] = second.adapted(second.fade_in, second.fade_out, first.shift)
            elif _is_overlap(first, second):
                shift, correlation = _agreement(first, second, read, largest)
                fade_out = first.fade_out.for_correlation(correlation)
                fade_in = second.fade_in.for_correlation(correlation)
                found[left] = first.adapted(first.fade_in, fade_out, first.shift)
                found[right] = second.adapted(fade_in, second.fade_out, shift)
    return sorted(found.values(), key=lambda span: span.first)


def best_shift(outgoing: Audio, incoming: Audio) -> tuple[int, float]:
    """Return where one sound agrees best with another.

    Parameters
    ----------
    outgoing : ndarray of float32, (n, C)
        The sound that ends.
    incoming : ndarray of float32, (n + 2·m, C)
        The sound that begins, m samples more on either side.

    Returns
    -------
    int
        Shift from −m to m; of equally good ones the smallest. 0 where either is silent.
    float
        Normalised cross-correlation at the shift, over all channels, −1 to 1.
    """
    n, largest = len(outgoing), (len(incoming) - len(outgoing)) // 2
    # What wraps around in a transform of the incoming length falls outside the shifts in question.
    size = _transform_size(len(incoming))
    both = np.zeros((2, incoming.shape[1], size), np.float32)
    both[0, :, :n] = outgoing.T
    both[1, :, : len(incoming)] = incoming.T
    spectra = scipy.fft.rfft(both)
    cross = np.einsum("cf,cf->f", spectra[0].conj(), spectra[1])
    products = scipy.fft.irfft(cross, size)[: 2 * largest + 1]
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
def _transform_size(n_samples: int) -> int:
    return int(scipy.fft.next_fast_len(n_samples, real=True))


@lru_cache(maxsize=16)
def _by_size(largest: int) -> npt.NDArray[np.intp]:
    """Return the positions of shifts −largest … largest, the smallest shift first."""
    return np.argsort(np.abs(np.arange(-largest, largest + 1)), kind="stable")


def _is_overlap(first: Span, second: Span) -> bool:
    return first.fade_out.n_samples == second.fade_in.n_samples > 0


def _agreement(first: Span, second: Span, read: Read, largest: int) -> tuple[int, float]:
    half = WINDOW_SAMPLES // 2
    end = first.event.start_sample + first.event.n_samples + first.shift
    outgoing = read(first.event, end - half, 2 * half)
    begin = second.event.start_sample - half - largest
    return best_shift(outgoing, read(second.event, begin, 2 * (half + largest)))


class _Neighbourhoods:
    """Reads about joins; of a short event both ends are read at once.

    Parameters
    ----------
    read : callable
        Reads the file of an event.
    largest : int
        Largest shift in samples.
    """

    def __init__(self, read: Read, largest: int) -> None:
        self._read = read
        self._reach = WINDOW_SAMPLES // 2 + largest
        self._event: PlaylistEvent | None = None
        self._start = 0
        self._samples: Audio = np.empty((0, 1), np.float32)

    def __call__(self, event: PlaylistEvent, start_sample: int, n_samples: int) -> Audio:
        if event.n_samples > SHORT_SAMPLES:
            return self._read(event, start_sample, n_samples)
        if event is not self._event:
            self._event, self._start = event, event.start_sample - self._reach
            self._samples = self._read(event, self._start, event.n_samples + 2 * self._reach)
        first = start_sample - self._start
        return self._samples[first : first + n_samples]

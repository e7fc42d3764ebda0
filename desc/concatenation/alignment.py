"""Where exactly a unit comes in: the shift at which it agrees best with the one before it.

Shifts and correlations belong to rendering; the playlist keeps the nominal positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from desc.concatenation.event import PlaylistEvent
from desc.concatenation.playlist import Playlist
from desc.concatenation.timeline import Span, spans

Audio = npt.NDArray[np.float32]
Read = Callable[[PlaylistEvent, int, int], Audio]
"""read(event, start_sample, n_samples) -> samples (n, C) of the event's file."""

WINDOW_SAMPLES = 1024
"""Samples about the join that are compared, 23 ms: two periods of a tone of 86 Hz."""
SILENCE = 1e-9
"""Energy of a window, full scale squared times samples, below which there is nothing to align."""


def aligned_spans(playlist: Playlist, read: Read, align_ms: float) -> list[Span]:
    """Return the events in the order in which they begin to sound, aligned where they overlap.

    At a join with a fade the incoming event is read up to `align_ms` earlier or later, where its
    normalised cross-correlation with the outgoing one is largest, and the fade is adapted to that
    correlation. Events that continue each other share their shift. Transposed events, free ends
    and hard cuts are left alone.

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
    for layer in playlist.layers():
        for (left, before), (right, event) in pairwise(layer):
            if before.end_sample != event.onset_sample:
                continue
            first, second = found[left], found[right]
            if event.continues(before):
                found[right] = replace(second, shift=first.shift)
            elif _is_overlap(first, second):
                shift, correlation = _agreement(first, second, read, largest)
                fade_out = replace(first.fade_out, correlation=correlation)
                fade_in = replace(second.fade_in, correlation=correlation)
                found[left] = replace(first, fade_out=fade_out)
                found[right] = replace(second, fade_in=fade_in, shift=shift)
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
    a, b = (np.ascontiguousarray(x.T, np.float64) for x in (outgoing, incoming))  # (C, n)
    size = (
        1 << (b.shape[1] - 1).bit_length()
    )  # what wraps around falls outside the shifts in question
    spectrum = np.conj(np.fft.rfft(a, size)) * np.fft.rfft(b, size)
    products = np.fft.irfft(spectrum.sum(0), size)[: 2 * largest + 1]
    energy = np.concatenate([[0.0], np.cumsum((b * b).sum(0))])
    energies = energy[n:] - energy[:-n]
    own = float((a * a).sum())
    heard = energies > SILENCE
    if own <= SILENCE or not heard.any():
        return 0, 0.0
    scale = np.sqrt(own * np.where(heard, energies, 1.0))
    correlations = np.where(heard, products / scale, 0.0)
    order = np.argsort(np.abs(np.arange(-largest, largest + 1)), kind="stable")
    best = order[np.argmax(correlations[order])]
    return int(best) - largest, float(np.clip(correlations[best], -1.0, 1.0))


def _is_overlap(first: Span, second: Span) -> bool:
    transposed = first.event.transpose_semitones or second.event.transpose_semitones
    return not transposed and first.fade_out.n_samples == second.fade_in.n_samples > 0


def _agreement(first: Span, second: Span, read: Read, largest: int) -> tuple[int, float]:
    half = WINDOW_SAMPLES // 2
    end = first.event.start_sample + first.event.n_samples + first.shift
    outgoing = read(first.event, end - half, 2 * half)
    begin = second.event.start_sample - half - largest
    return best_shift(outgoing, read(second.event, begin, 2 * (half + largest)))

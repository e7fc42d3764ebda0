"""Units as an audio editor leaves them: moved, trimmed, overlapping."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.playlist import MAX_FADE_MS
from desc.errors import ConfigurationError


def joined(pieces: list[tuple[str, PlaylistEvent]], sample_rate: int) -> list[PlaylistEvent]:
    """Return the events of a layer without overlaps: these become crossfades.

    Parameters
    ----------
    pieces : list of (str, PlaylistEvent)
        Events, which may overlap the next one, and their names for messages.
    sample_rate : int
        Of the playlist, in Hz.

    Raises
    ------
    ConfigurationError
        If an event lies within the one before it.
    """
    pieces = sorted(pieces, key=lambda piece: piece[1].onset_sample)
    events = [event for _, event in pieces]
    for left, right in pairwise(range(len(events))):
        one, other = events[left], events[right]
        overlap = one.end_sample - other.onset_sample
        if overlap <= 0:
            continue
        if overlap >= other.n_samples or overlap >= one.n_samples:
            raise ConfigurationError(
                f"{pieces[right][0]} lies within {pieces[left][0]}, at "
                f"{other.onset_sample / sample_rate:.3f} s; put one of them on another layer"
            )
        middle = other.onset_sample + overlap // 2
        fade = min(1000 * overlap / sample_rate, MAX_FADE_MS)
        events[left] = replace(one.retimed(one.onset_sample, middle), fade_out_ms=fade)
        events[right] = replace(other.retimed(middle, other.end_sample), fade_in_ms=fade)
    return events


def as_playlist(
    layers: list[list[tuple[str, PlaylistEvent]]], sample_rate: int, roots: dict[str, str]
) -> Playlist:
    """Return a playlist of pieces, a layer per list; lists without pieces are left out."""
    filled = [pieces for pieces in layers if pieces]
    events = [
        replace(event, layer=number)
        for number, pieces in enumerate(filled)
        for event in joined(pieces, sample_rate)
    ]
    return Playlist(tuple(events), sample_rate, roots)

"""Editing a playlist: one event changed, and the sound around it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from desc.concatenation.playlist import Playlist
from desc.configuration import check_integer


def with_event(playlist: Playlist, index: int, **changes: Any) -> Playlist:
    """Return a playlist with fields of one event changed.

    Parameters
    ----------
    playlist : Playlist
    index : int
        Place of the event, counted from 0.
    **changes
        Fields of `PlaylistEvent`.

    Raises
    ------
    ConfigurationError
        If there is no such event, or a value breaks a rule.
    """
    check_integer("index", index, 0, len(playlist.events) - 1)
    events = list(playlist.events)
    events[index] = replace(events[index], **changes)
    return replace(playlist, events=tuple(events))


def around(playlist: Playlist, index: int, margin_s: float = 1.0) -> tuple[Playlist, int, int]:
    """Return what sounds around an event as a playlist of its own.

    Its sound equals that of the whole up to alignment, which begins anew with its first events.

    Parameters
    ----------
    playlist : Playlist
    index : int
        Place of the event, counted from 0.
    margin_s : float
        Seconds before and after the event.

    Returns
    -------
    playlist : Playlist
        Every event that sounds within the margin, and the ones before and after these.
    first, last : int
        The stretch of its samples from the margin's start to its end.
    """
    check_integer("index", index, 0, len(playlist.events) - 1)
    event, margin = playlist.events[index], round(margin_s * playlist.sample_rate)
    begin = max(0, event.onset_sample - margin)
    end = min(playlist.n_samples, event.end_sample + margin)
    kept = []
    for layer in playlist.layers():
        inside = [
            place
            for place, (_, one) in enumerate(layer)
            if one.onset_sample < end and one.end_sample > begin
        ]
        if inside:
            kept += [one for _, one in layer[max(0, inside[0] - 1) : inside[-1] + 2]]
    start = min(one.onset_sample for one in kept)
    moved = tuple(replace(one, onset_sample=one.onset_sample - start) for one in kept)
    return replace(playlist, events=moved), begin - start, end - start

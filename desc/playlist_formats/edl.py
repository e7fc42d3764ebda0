"""An edit decision list (CMX 3600) for video programs."""

from __future__ import annotations

import logging
from pathlib import Path

from desc.concatenation import PlaylistEvent
from desc.files import write_text
from desc.playlist_formats.arrangement import Arrangement, one_line

logger = logging.getLogger(__name__)

FRAME_RATE = 30
"""Frames per second without drop frames, the finest grid that every reader supports."""


def write(arrangement: Arrangement, path: Path) -> int:
    """Write numbered cuts on frames of 1/30 s, an edit decision list (CMX 3600) for video
    programs.

    Boundaries are rounded, so they do not drift; comments keep the exact sample numbers. Layers are
    audio tracks A, A2, A3 …. Units within one frame are left out, and a line is logged.
    """
    lines = [f"TITLE: {one_line(arrangement.title)}", "FCM: NON-DROP FRAME", ""]
    n_events, edits = len(arrangement.playlist.events), _edited(arrangement)
    for number, (event, first, stop) in enumerate(edits, 1):
        lines += _edit(number, event, first, stop, arrangement)
    if len(edits) < n_events:
        logger.warning(
            "%d of %d units fall within one frame of 1/%d s and are left out of the EDL",
            n_events - len(edits),
            n_events,
            FRAME_RATE,
        )
    write_text(path, "\n".join(lines) + "\n")
    return len(edits)


def _edited(arrangement: Arrangement) -> list[tuple[PlaylistEvent, int, int]]:
    """Return the units that last at least a frame of 1/30 s, with their first and last frame."""
    found = []
    for layer in arrangement.playlist.layers():
        for _, event in layer:
            first = round(arrangement.seconds(event.onset_sample) * FRAME_RATE)
            stop = round(arrangement.seconds(event.end_sample) * FRAME_RATE)
            if first < stop:
                found.append((event, first, stop))
    return found


def _edit(
    number: int, event: PlaylistEvent, first: int, stop: int, arrangement: Arrangement
) -> list[str]:
    track = f"A{event.layer + 1}" if event.layer else "A"
    ratio = 2 ** (event.transpose_semitones / 12)
    centre = event.start_sample + event.n_samples / 2
    begin = arrangement.seconds(centre - ratio * event.n_samples / 2)
    source_first = max(0, round(begin * FRAME_RATE))
    source_stop = source_first + max(1, round((stop - first) * ratio))
    times = " ".join(_timecode(n) for n in (source_first, source_stop, first, stop))
    lines = [f"{number:03d}  AX       {track:5} C        {times}"]
    if event.transpose_semitones:
        speed = FRAME_RATE * ratio
        lines.append(f"M2   AX       {speed:05.1f}                {_timecode(source_first)}")
    lines += [
        f"* FROM CLIP NAME: {one_line(event.source)}",
        f"* SOURCE FILE: {one_line(arrangement.path(event))}",
        f"* SAMPLES: start {event.start_sample} length {event.n_samples} onset "
        f"{event.onset_sample} rate {arrangement.playlist.sample_rate}",
    ]
    if event.gain_db:
        lines.append(f"* AUDIO LEVEL: {event.gain_db:+.2f} DB")
    return lines


def _timecode(n_frames: int) -> str:
    seconds, frames = divmod(n_frames, FRAME_RATE)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}:{frames:02d}"

"""An edit decision list (CMX 3600) for video programs: cuts on frames of 1/30 s.

Times of an EDL are whole frames; comments keep the exact sample numbers.
"""

from __future__ import annotations

from desc.concatenation import PlaylistEvent
from desc.playlist_formats.arrangement import Arrangement, one_line

FRAME_RATE = 30
"""Frames per second without drop frames, the finest grid that every reader knows."""


def decision_list(arrangement: Arrangement) -> bytes:
    """Return cuts, numbered; boundaries are rounded, so they do not drift.

    Layers are audio tracks A, A2, A3 …. Units that lie within one frame are left out, and told.
    """
    lines = [f"TITLE: {one_line(arrangement.title)}", "FCM: NON-DROP FRAME", ""]
    number = left_out = 0
    for layer in arrangement.playlist.layers():
        for _, event in layer:
            first, stop = (
                round(arrangement.seconds(n) * FRAME_RATE)
                for n in (event.onset_sample, event.end_sample)
            )
            if first == stop:
                left_out += 1
                continue
            number += 1
            lines += _edit(number, event, first, stop, arrangement)
    if left_out:
        arrangement.tell(
            f"{left_out} of {len(arrangement.playlist.events)} units lie within one frame of "
            f"1/{FRAME_RATE} s and are not in the EDL"
        )
    return ("\n".join(lines) + "\n").encode()


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

"""A standard MIDI file with the rhythm of a playlist: a note per unit, a note number per file."""

from __future__ import annotations

import logging
from pathlib import Path

from desc.concatenation import PlaylistEvent
from desc.files import write_bytes
from desc.playlist_formats.arrangement import Arrangement, one_line

logger = logging.getLogger(__name__)

TICKS_PER_BEAT = 960
BEAT_US = 500000  # 120 beats a minute: a tick is .52 ms
LOWEST_NOTE, HIGHEST_NOTE = 36, 127
FULL_VELOCITY = 100
"""Velocity of a unit without gain; 40·log10(velocity/100) is a unit's gain in dB."""
TEXT, TRACK_NAME, END, TEMPO = 0x01, 0x03, 0x2F, 0x51


def write(arrangement: Arrangement, path: Path) -> int:
    """Write a file of format 1: tempo and the note of each file, then a track per layer.

    Files are numbered from note 36 in the order of their names, from there again where there are
    more than 92. Each note comes with a text, file and position.
    """
    events = arrangement.playlist.events
    files = sorted({(event.root, event.source) for event in events})
    n_notes = HIGHEST_NOTE - LOWEST_NOTE + 1
    if len(files) > n_notes:
        logger.warning("%d files share %d notes; text events distinguish them", len(files), n_notes)
    notes = {file: LOWEST_NOTE + i % n_notes for i, file in enumerate(files)}
    head = [(0, _meta(TRACK_NAME, arrangement.title)), (0, _meta(TEMPO, BEAT_US.to_bytes(3)))]
    head += [(0, _meta(TEXT, f"{notes[file]}: {file[1]}")) for file in files]
    tracks = [_track(head)]
    for layer in arrangement.playlist.layers():
        messages = [(0, _meta(TRACK_NAME, f"layer {layer[0][1].layer}"))]
        for _, event in layer:
            messages += _note(event, notes[event.root, event.source], arrangement)
        tracks.append(_track(messages))
    parts = (1).to_bytes(2) + len(tracks).to_bytes(2) + TICKS_PER_BEAT.to_bytes(2)
    write_bytes(path, b"".join([_chunk(b"MThd", parts), *tracks]))
    return len(events)


def _note(event: PlaylistEvent, note: int, arrangement: Arrangement) -> list[tuple[int, bytes]]:
    """Return text, note on and note off, each with its tick."""
    first, stop = (
        round(arrangement.seconds(n) * 1e6 / BEAT_US * TICKS_PER_BEAT)
        for n in (event.onset_sample, event.end_sample)
    )
    channel = event.layer % 16
    velocity = min(127, max(1, round(FULL_VELOCITY * 10 ** (event.gain_db / 40))))
    return [
        (first, _meta(TEXT, arrangement.label(event))),
        (first, bytes([0x90 | channel, note, velocity])),
        (max(stop, first + 1), bytes([0x80 | channel, note, 0])),
    ]


def _track(messages: list[tuple[int, bytes]]) -> bytes:
    """Return a track chunk; the messages come with their ticks, in order."""
    data, now = bytearray(), 0
    for tick, message in [*messages, (0, _meta(END, b""))]:
        start = max(tick, now)
        data += _variable_length(start - now) + message
        now = start
    return _chunk(b"MTrk", bytes(data))


def _meta(kind: int, content: str | bytes) -> bytes:
    data = one_line(content).encode() if isinstance(content, str) else content
    return bytes([0xFF, kind]) + _variable_length(len(data)) + data


def _variable_length(value: int) -> bytes:
    """Return a number as MIDI's variable-length quantity: 7 bits a byte, the last without bit 7."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(0x80 | value & 0x7F)
    return bytes(reversed(parts))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4) + data

"""Audacity: a label track, a label per unit, and back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from desc.concatenation import Playlist, PlaylistEvent
from desc.errors import ConfigurationError
from desc.files import write_text
from desc.playlist_formats.arrangement import Arrangement
from desc.playlist_formats.pieces import as_playlist

_GAIN = re.compile(r"^(?P<label>.*?)(?:\s+(?P<gain>[+-]?\d+(?:\.\d+)?) ?dB)?$")


def write(arrangement: Arrangement, path: Path) -> int:
    """Write a label track (File › Import › Labels): start, end and text of each unit.

    Times are in seconds with six decimals; labels of further layers name the layer.
    """
    lines = []
    for layer in arrangement.playlist.layers():
        for _, event in layer:
            start = arrangement.seconds(event.onset_sample)
            end = arrangement.seconds(event.end_sample)
            lines.append(f"{start:.6f}\t{end:.6f}\t{_text(arrangement, event)}\n")
    write_text(path, "".join(lines))
    return len(lines)


def _text(arrangement: Arrangement, event: PlaylistEvent) -> str:
    prefix = f"[layer {event.layer}] " if event.layer else ""
    return prefix + arrangement.label(event)


def read(path: Path, original: Playlist | None) -> Playlist:
    """Return the playlist of edited labels.

    A label that moved is played at its new time. One with another start or end plays more or less
    of its file there. A gain at the end of its text, such as `-6 dB`, is added to the unit's.
    Deleted labels are not played, copied ones once more; overlaps become crossfades.

    Parameters
    ----------
    path : path
        The labels, as Audacity exports them.
    original : Playlist
        The playlist that was exported.

    Raises
    ------
    ConfigurationError
        If there is no original, or a label cannot be read or is not one of its units; the message
        names the line.
    """
    if original is None:
        raise ConfigurationError(
            f"{path}: labels do not name folders; give the playlist they were exported from "
            "(--original PLAYLIST.json)"
        )
    arrangement = Arrangement(original, (), original.roots, path.stem)
    rate = original.sample_rate
    units: dict[str, list[PlaylistEvent]] = {}
    for event in original.events:
        units.setdefault(_text(arrangement, event).strip(), []).append(event)
    layers: dict[int, list[tuple[str, PlaylistEvent]]] = {}
    for number, line in enumerate(_lines(path), 1):
        if not line.strip() or line.startswith("\\"):  # the frequencies of a label before
            continue
        name = f"{path}: line {number}"
        try:
            begin, end, text = line.split("\t", 2)
            edges = round(float(begin) * rate), round(float(end) * rate)
        except (ValueError, OverflowError):
            raise ConfigurationError(f"{name}: {line!r} must be start, end and text") from None
        event = _edited(name, edges, text.strip(), units)
        layers.setdefault(event.layer, []).append((f"the label in line {number}", event))
    if not layers:
        raise ConfigurationError(f"{path}: contains no labels")
    pieces = [layers[number] for number in sorted(layers)]
    return as_playlist(pieces, rate, {**original.roots})


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as text: {error}") from error


def _edited(
    name: str, edges: tuple[int, int], text: str, units: dict[str, list[PlaylistEvent]]
) -> PlaylistEvent:
    """Return the event of a label from one sample to another."""
    match = _GAIN.match(text)
    label, gain = (text, None) if match is None or text in units else match.group("label", "gain")
    if label not in units:
        raise ConfigurationError(
            f"{name}: {text!r} is no unit of the original playlist; a label keeps its text, but "
            "for a gain at its end, such as -6 dB"
        )
    first, stop = edges
    if not 0 <= first < stop:
        raise ConfigurationError(f"{name}: its start must be at least 0 and before its end")
    event = min(units[label], key=lambda unit: abs(unit.onset_sample - first))
    was_moved = abs((stop - first) - event.n_samples) <= 1  # times are rounded
    moved = first - event.onset_sample if was_moved else 0
    try:
        changed = event.retimed(first, stop, moved)
        return replace(changed, gain_db=event.gain_db + float(gain or 0))
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from error

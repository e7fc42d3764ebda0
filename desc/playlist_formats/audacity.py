"""Audacity: a label track, a label per unit."""

from __future__ import annotations

from pathlib import Path

from desc.files import write_text
from desc.playlist_formats.arrangement import Arrangement


def write(arrangement: Arrangement, path: Path) -> int:
    """Write a label track (File › Import › Labels): start, end and text of each unit.

    Times are in seconds with six decimals; labels of further layers name the layer.
    """
    lines = []
    for layer in arrangement.playlist.layers():
        for _, event in layer:
            start = arrangement.seconds(event.onset_sample)
            end = arrangement.seconds(event.end_sample)
            prefix = f"[layer {event.layer}] " if event.layer else ""
            lines.append(f"{start:.6f}\t{end:.6f}\t{prefix}{arrangement.label(event)}\n")
    write_text(path, "".join(lines))
    return len(lines)

"""Labels for Audacity: start, end, text; a line per unit (File › Import › Labels)."""

from __future__ import annotations

from desc.playlist_formats.arrangement import Arrangement


def labels(arrangement: Arrangement) -> bytes:
    """Return a label track: seconds with six decimals, tab-separated; layers are named."""
    lines = []
    for layer in arrangement.playlist.layers():
        for _, event in layer:
            start = arrangement.seconds(event.onset_sample)
            end = arrangement.seconds(event.end_sample)
            prefix = f"[layer {event.layer}] " if event.layer else ""
            lines.append(f"{start:.6f}\t{end:.6f}\t{prefix}{arrangement.label(event)}\n")
    return "".join(lines).encode()

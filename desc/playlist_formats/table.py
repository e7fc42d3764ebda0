"""A table in CSV, a line per unit."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

from desc.concatenation import PlaylistEvent
from desc.configuration import to_dict
from desc.files import write_text
from desc.playlist_formats.arrangement import Arrangement


def write(arrangement: Arrangement, path: Path) -> int:
    """Write CSV with a header: a line per unit with times in seconds and all keys of its event.

    `channels` are separated by spaces, empty for all; so are the points of `gain_curve`, each
    as `sample:dB`.
    """
    fields = [field.name for field in dataclasses.fields(PlaylistEvent)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["onset_s", "duration_s", "start_s", "path", *fields])
    for event in arrangement.playlist.events:
        samples = event.onset_sample, event.n_samples, event.start_sample
        row: list[object] = [f"{arrangement.seconds(n):.6f}" for n in samples]
        values = to_dict(event)
        values["channels"] = " ".join(map(str, event.channels or ()))
        values["gain_curve"] = " ".join(f"{n}:{gain_db:g}" for n, gain_db in event.gain_curve)
        writer.writerow([*row, arrangement.path(event), *(values[name] for name in fields)])
    write_text(path, text.getvalue())
    return len(arrangement.playlist.events)

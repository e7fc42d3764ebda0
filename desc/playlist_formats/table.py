"""The playlist as a table: a line per unit, every key of its event, and seconds."""

from __future__ import annotations

import csv
import dataclasses
import io

from desc.concatenation import PlaylistEvent
from desc.configuration import to_dict
from desc.playlist_formats.arrangement import Arrangement


def csv_table(arrangement: Arrangement) -> bytes:
    """Return CSV with a head; `channels` are separated by spaces, empty for all."""
    fields = [field.name for field in dataclasses.fields(PlaylistEvent)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["onset_s", "duration_s", "start_s", "path", *fields])
    for event in arrangement.playlist.events:
        samples = event.onset_sample, event.n_samples, event.start_sample
        row: list[object] = [f"{arrangement.seconds(n):.6f}" for n in samples]
        values = to_dict(event)
        values["channels"] = " ".join(map(str, event.channels or ()))
        writer.writerow([*row, arrangement.path(event), *(values[name] for name in fields)])
    return text.getvalue().encode()

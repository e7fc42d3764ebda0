"""The files of one continued recording, and the rule by which they are kept.

A result's folder holds `playlist.json`, `matches.json`, `credits.txt`, `prediction.wav`,
`report.npz` and, put in place last, `prediction.json`, whose `_meta.request` says what was asked
for. A folder whose request is the same is kept; one made from another request is not touched
unless told so. `report.html` is made of these files and may be missing.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from desc.concatenation import Playlist, RenderResult
from desc.database import DescriptorDatabase
from desc.errors import OutputError
from desc.exchange import write_descriptor_json
from desc.files import write_json, write_text
from desc.query import Matches, Selection, repeat_share

if TYPE_CHECKING:
    from desc.prediction import Prediction

PREDICTION, MATCHES, PLAYLIST = "prediction.json", "matches.json", "playlist.json"
WAV, CREDITS = "prediction.wav", "credits.txt"
REPORT, REPORT_DATA = "report.html", "report.npz"
FILES = (PLAYLIST, MATCHES, CREDITS, WAV, REPORT_DATA, PREDICTION)


def result_folder(output_dir: Path, source: str, sample: int = 1, n_samples: int = 1) -> Path:
    """Return the folder of a recording's result: its relative path, extension included.

    Of several samples each has a folder of its number below that.
    """
    folder = output_dir.joinpath(*source.split("/"))
    return folder if n_samples == 1 else folder / str(sample)


def result_folders(path: str | Path) -> list[Path]:
    """Return the folders of results at and below a path, sorted; none where it is no folder."""
    return sorted(found.parent for found in Path(path).rglob(PREDICTION))


def is_kept(folder: Path, request: dict[str, Any], *, overwrite: bool) -> bool:
    """Say whether a folder already holds the result of this very request.

    Raises
    ------
    OutputError
        If it holds anything else by the names of a result and `overwrite` is off.
    """
    with _named(folder):
        present = [name for name in FILES if os.path.lexists(folder / name)]
        parent = next(path for path in (folder, *folder.parents) if path.exists())
        if not parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{parent} is a file")
    if not present:
        return False
    stored = _stored_request(folder / PREDICTION)
    if stored == json.loads(json.dumps(request)) and len(present) == len(FILES):
        return True
    if overwrite:
        return False
    raise OutputError(
        f"{folder}: holds {_described(stored, request)}; choose another --output_dir, "
        "or give --overwrite"
    )


def _stored_request(path: Path) -> dict[str, Any] | None:
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))["_meta"]
        request = meta["request"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return request if isinstance(request, dict) else None


def _described(stored: dict[str, Any] | None, request: dict[str, Any]) -> str:
    if stored is None:
        return "files of an unfinished or unknown result"
    changed = sorted(k for k in stored.keys() | request.keys() if stored.get(k) != request.get(k))
    return f"the result of another request ({', '.join(changed) or 'some files are missing'})"


def clear_marker(folder: Path) -> None:
    """Take away the file that marks a result as whole, before the others are replaced.

    With it goes the report, which is of that result.
    """
    with _named(folder):
        for name in (PREDICTION, REPORT):
            (folder / name).unlink(missing_ok=True)


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Turn errors of the file system into one that names the folder."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{folder}: cannot hold a result: {error.strerror or error}") from error


def write_prediction(folder: Path, prediction: Prediction, meta: dict[str, Any]) -> None:
    """Write `prediction.json`: the predicted descriptors in the exchange form, and `_meta`."""
    config = prediction.config
    first = prediction.context_end_frame + 1
    samples = [(first + i) * config.hop_length for i in range(len(prediction.values))]
    ids = [prediction.source] * len(samples)
    write_descriptor_json(folder / PREDICTION, ids, samples, prediction.values, config.names, meta)


def write_matches(
    folder: Path, chosen: Matches, candidates: Matches, database: DescriptorDatabase
) -> None:
    """Write `matches.json`: for every frame file, centre sample and distance of the row it plays.

    Where recordings are played at other speeds, `_speed` says at which. Where there is more than
    one candidate, `_candidates` holds the same per frame as lists, nearest first.
    """
    value: dict[str, Any] = {
        key: [row[0] for row in rows] for key, rows in _places(chosen, database).items()
    }
    if candidates.rows.shape[1] > 1:
        value["_candidates"] = _places(candidates, database)
    value["_meta"] = {
        "corpus": database.root.as_posix(),
        "corpus_digest": database.digest,
        "sample_rate": database.config.sample_rate,
        "hop_length": database.config.hop_length,
    }
    write_json(folder / MATCHES, value)


def _places(matches: Matches, database: DescriptorDatabase) -> dict[str, Any]:
    """Return files, centre samples, distances and, if need be, speeds as lists of lists."""
    rows = np.asarray(matches.rows)
    files = [[database.files[index] for index in frame] for frame in database.file_index[rows]]
    places: dict[str, Any] = {
        "_id": [[file.source for file in frame] for frame in files],
        "_sample": database.centre_samples[rows].tolist(),
        "_distance": np.asarray(matches.distances).tolist(),
    }
    if database.speeds != [1.0]:
        places["_speed"] = [[file.speed for file in frame] for frame in files]
    return places


def write_credits(folder: Path, playlist: Playlist) -> None:
    """Write `credits.txt`: the files used, the largest share first."""
    samples: Counter[str] = Counter()
    for event in playlist.events:
        samples[event.source] += event.n_samples
    total = sum(samples.values())
    lines = [
        f"{100 * count / total:5.1f} %  {count / playlist.sample_rate:8.2f} s  {source}"
        for source, count in sorted(samples.items(), key=lambda item: (-item[1], item[0]))
    ]
    write_text(folder / CREDITS, "\n".join(lines) + "\n")


def match_figures(
    chosen: Matches, selection: Selection, database: DescriptorDatabase
) -> dict[str, float]:
    """Return numbers that tell how the corpus answered: distances, variety, unit length.

    Parameters
    ----------
    chosen : Matches
        The row that each frame plays, (T, 1).
    selection : Selection
        The same as units.
    database : DescriptorDatabase
        What the rows refer to.
    """
    rows = np.asarray(chosen.rows)[:, 0]
    n_units = len(selection.units)
    return {
        "n_frames": len(rows),
        "mean_match_distance": float(np.mean(chosen.distances[:, 0])),
        "distinct_rows": len(np.unique(rows)),
        "corpus_coverage": len(np.unique(rows)) / len(database),
        "files_used": len({database.files[i].source for i in database.file_index[rows]}),
        "n_units": n_units,
        "mean_unit_frames": sum(unit.n_frames for unit in selection.units) / n_units,
        "repeat_share": repeat_share(selection, database),
    }


def sound_figures(rendered: RenderResult) -> dict[str, float]:
    """Return numbers of the WAV: length, rate, channels, peak and gain."""
    return {
        "duration_s": rendered.n_samples / rendered.sample_rate,
        "n_samples": rendered.n_samples,
        "sample_rate": rendered.sample_rate,
        "n_channels": rendered.n_channels,
        "peak": rendered.peak,
        "gain_db": rendered.gain_db,
    }

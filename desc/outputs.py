"""Files of one continued recording, and the rule for keeping them.

The folder of a result holds `playlist.json`, `matches.json`, `credits.txt`, `prediction.wav`,
`report.npz` and, written last, `prediction.json`, whose `_meta.request` holds all settings. A
folder with the same request is kept. One with another request is replaced only on demand. While the
files are written, `.unfinished.json` holds the request, so that it can be made again after a crash.
`report.html` is made from these files and may be missing.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from desc.concatenation import Playlist, RenderResult
from desc.database import DescriptorDatabase
from desc.errors import OutputError, StorageError
from desc.exchange import write_descriptor_json
from desc.files import read_json, write_json, write_text
from desc.matching import Match, Neighbours, played_rows, repeat_share, sounding

if TYPE_CHECKING:
    from desc.prediction import Prediction

PREDICTION, MATCHES, PLAYLIST = "prediction.json", "matches.json", "playlist.json"
UNFINISHED = ".unfinished.json"
WAV, CREDITS = "prediction.wav", "credits.txt"
REPORT, REPORT_DATA = "report.html", "report.npz"
FILES = (PLAYLIST, MATCHES, CREDITS, WAV, REPORT_DATA, PREDICTION)


def result_folder(output_dir: Path, source: str, draw: int = 1, n_draws: int = 1) -> Path:
    """Return the folder of a recording's result: its relative path, extension included.

    Several draws go to subfolders with their numbers.
    """
    folder = output_dir.joinpath(*source.split("/"))
    return folder if n_draws == 1 else folder / str(draw)


def result_folders(path: str | Path) -> list[Path]:
    """Return the folders of results at and below a path, sorted; none if it is not a folder."""
    return sorted(found.parent for found in Path(path).rglob(PREDICTION))


def is_kept(folder: Path, request: dict[str, Any], *, overwrite: bool) -> bool:
    """Return whether a folder already holds the result of this request.

    Raises
    ------
    OutputError
        If it holds other files with the names of a result and `overwrite` is off.
    """
    with _named(folder):
        present = [name for name in FILES if os.path.lexists(folder / name)]
        parent = next(path for path in (folder, *folder.parents) if path.exists())
        if not parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{parent} is a file")
    if not present:
        return False
    stored, wanted = _stored_request(folder / PREDICTION), json.loads(json.dumps(request))
    if stored == wanted and len(present) == len(FILES):
        return True
    if overwrite or (stored is None and _unfinished_request(folder) == wanted):
        return False
    raise OutputError(
        f"{folder}: contains {_described(stored, request)}; choose another --output_dir, "
        "or give --overwrite"
    )


def _stored_request(path: Path) -> dict[str, Any] | None:
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))["_meta"]
        request = dict(meta["request"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if request.get("selection") == "path":  # the former name of `beam`
        request["selection"] = "beam"
    return request


def _unfinished_request(folder: Path) -> Any:
    with suppress(StorageError):
        return read_json(folder / UNFINISHED)


def _described(stored: dict[str, Any] | None, request: dict[str, Any]) -> str:
    if stored is None:
        return "files of an unfinished or unknown result"
    changed = sorted(k for k in stored.keys() | request.keys() if stored.get(k) != request.get(k))
    return f"the result of another request ({', '.join(changed) or 'some files are missing'})"


def begin(folder: Path, request: dict[str, Any]) -> None:
    """Mark a result as unfinished, before its files are replaced; its report is removed."""
    write_json(folder / UNFINISHED, request)
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
    """Write `prediction.json`, the predicted descriptors and `_meta`: the result is finished."""
    config = prediction.config
    first = prediction.context_end_frame + 1
    samples = [(first + i) * config.hop_length for i in range(len(prediction.values))]
    ids = [prediction.source] * len(samples)
    write_descriptor_json(folder / PREDICTION, ids, samples, prediction.values, config.names, meta)
    with _named(folder):
        (folder / UNFINISHED).unlink(missing_ok=True)


def write_matches(folder: Path, match: Match) -> None:
    """Write `matches.json`: file, centre sample and distance of the row that each frame plays.

    If recordings are played at other speeds, `_speed` holds the speed. If more than one neighbour
    is listed, `_candidates` holds the same for them, as lists per frame, nearest first.
    """
    database = match.matcher.database
    played = Neighbours(match.rows[:, None], match.distances[:, None])
    value: dict[str, Any] = {
        key: [row[0] for row in rows] for key, rows in _places(played, database).items()
    }
    if match.neighbours.rows.shape[1] > 1:
        value["_candidates"] = _places(match.neighbours, database)
    value["_meta"] = {
        "corpus": database.root.as_posix(),
        "corpus_digest": database.digest,
        "sample_rate": database.config.sample_rate,
        "hop_length": database.config.hop_length,
    }
    write_json(folder / MATCHES, value)


def _places(neighbours: Neighbours, database: DescriptorDatabase) -> dict[str, Any]:
    """Return files, centre samples, distances and, if there are several, speeds as lists (T, K)."""
    rows = neighbours.rows
    files = [[database.files[index] for index in frame] for frame in database.file_index[rows]]
    places: dict[str, Any] = {
        "_id": [[file.source for file in frame] for frame in files],
        "_sample": database.centre_samples[rows].tolist(),
        "_distance": neighbours.distances.tolist(),
    }
    if database.speeds != [1.0]:
        places["_speed"] = [[file.speed for file in frame] for frame in files]
    return places


def write_credits(folder: Path, playlist: Playlist) -> None:
    """Write `credits.txt`: the files used, largest share first."""
    samples: Counter[str] = Counter()
    for event in playlist.events:
        samples[event.source] += event.n_samples
    total = sum(samples.values())
    lines = [
        f"{100 * count / total:5.1f} %  {count / playlist.sample_rate:8.2f} s  {source}"
        for source, count in sorted(samples.items(), key=lambda item: (-item[1], item[0]))
    ]
    write_text(folder / CREDITS, "\n".join(lines) + "\n")


def match_figures(match: Match) -> dict[str, float]:
    """Return figures of a match: distances (of the first layer), variety, unit length."""
    database, units = match.matcher.database, sounding(match.units)
    rows = np.unique(played_rows(units))
    return {
        "n_frames": len(match.rows),
        "mean_match_distance": float(np.mean(match.distances)),
        "distinct_rows": len(rows),
        "corpus_coverage": len(rows) / len(database),
        "files_used": len({database.files[i].source for i in database.file_index[rows]}),
        "n_units": len(units),
        "mean_unit_frames": sum(u.n_frames for u in units) / len(units) if units else 0.0,
        "repeated_share": repeat_share(units, database),
    }


def percent(share: float) -> str:
    """Return a share as a percentage with two digits, or as many as it has before the point."""
    number = 100 * share
    return f"{number:.0f} %" if number >= 99.5 else f"{number:.2g} %"


def sound_figures(rendered: RenderResult) -> dict[str, float]:
    """Return figures of the WAV: length, rate, channels, peak and gain."""
    return {
        "duration_s": rendered.n_samples / rendered.sample_rate,
        "n_samples": rendered.n_samples,
        "sample_rate": rendered.sample_rate,
        "n_channels": rendered.n_channels,
        "peak": rendered.peak,
        "gain_db": rendered.gain_db,
    }

"""Files of one continued recording, and the rule for keeping them.

The folder of a result holds `playlist.json`, `matches.json`, `credits.txt`, `prediction.wav`,
`report.npz` and, written last, `prediction.json`, whose `_meta.request` holds all settings. A
folder with the same request is kept if its files are as they were written, else made again. One
with another request is replaced only on demand. While the files are written, `.unfinished.json`
holds the request, so that it can be made again after a crash. `report.html` is made from these
files and may be missing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from desc.audio import content_digest
from desc.concatenation import Playlist, RenderResult
from desc.configuration import STYLES
from desc.database import DescriptorDatabase
from desc.errors import AudioError, OutputError, StorageError
from desc.exchange import write_descriptor_json
from desc.files import read_json, write_json, write_text
from desc.matching import Match, Neighbours, played_rows, repeat_share, sounding

if TYPE_CHECKING:
    from desc.prediction import Prediction

logger = logging.getLogger(__name__)

PREDICTION, MATCHES, PLAYLIST = "prediction.json", "matches.json", "playlist.json"
TAKES_DIR = "predictions"
"""Folder of the takes by default."""
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


def check_place(folder: Path) -> None:
    """Refuse a folder in which nothing can be written.

    Raises
    ------
    OutputError
        Names the folder, and what is in its way.
    """
    folder = folder.absolute()
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not parent.is_dir():
        raise OutputError(f"{folder}: cannot hold a result: {parent} is a file")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: cannot hold a result: {parent} is read-only")


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
    content = _content(folder / PREDICTION)
    stored, wanted = _request_of(content), json.loads(json.dumps(request))
    unreadable = content is None and len(present) == len(FILES)
    if stored == wanted or unreadable:
        damaged = [PREDICTION] if content is None else _damaged(folder, content)
        if damaged:
            logger.warning(
                "%s: the result is made again: %s missing or changed since it was written",
                folder,
                ", ".join(damaged),
            )
            _set_aside(folder / WAV, [WAV] if unreadable else damaged)
        return not damaged
    if overwrite or (stored is None and _unfinished_request(folder) == wanted):
        return False
    raise OutputError(
        f"{folder}: contains {_described(stored, request)}; choose another --output_dir, "
        "or give --overwrite"
    )


def stored_request(folder: Path) -> dict[str, Any] | None:
    """Return the request of the result that a folder holds or is to hold, if it has one."""
    return _request_of(_content(folder / PREDICTION)) or _unfinished_request(folder)


def read_result(folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the request and the figures of a finished result.

    Raises
    ------
    OutputError
        If its `prediction.json` is damaged, or its WAV is missing.
    """
    content = read_json(folder / PREDICTION, OutputError)
    request = _request_of(content) if isinstance(content, dict) else None
    try:
        if request is None:
            raise ValueError("it has no request")
        figures = {str(name): float(x) for name, x in content["_meta"]["results"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise OutputError(f"{folder / PREDICTION}: damaged: {error!r}") from error
    if not (folder / WAV).is_file():
        raise OutputError(f"{folder / WAV}: missing")
    return request, figures


def _content(path: Path) -> dict[str, Any] | None:
    with suppress(StorageError):
        content = read_json(path)
        return content if isinstance(content, dict) else None
    return None


def _request_of(content: dict[str, Any] | None) -> dict[str, Any] | None:
    try:
        return _current(dict((content or {})["_meta"]["request"]))
    except (ValueError, KeyError, TypeError):
        return None


def _current(request: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the request of an earlier version as this one writes it."""
    if request is None:
        return None
    if request.get("selection") == "path":  # the former name of `beam`
        request["selection"] = "beam"
    before = {**STYLES["granular"], "index": "auto"}  # settings that earlier results lack
    return before | request


def _damaged(folder: Path, content: dict[str, Any]) -> list[str]:
    """Return the files of a result that are missing or not as they were written.

    A playlist may be edited; it must be JSON. Earlier results have no digests: their WAV must not
    be shorter than its samples.
    """
    meta, found = content["_meta"], []
    columns = {name: column for name, column in content.items() if not name.startswith("_")}
    for name in FILES:
        path = folder / name
        try:
            digest = meta.get("digests", {}).get(name)
            if name == PREDICTION and digest is not None:
                whole = digest == _frames_digest(content["_id"], content["_sample"], columns)
            elif digest is not None:
                whole = digest == content_digest(path)
            else:
                whole = path.stat().st_size > _least_bytes(name, meta)
                whole = whole and (name != PLAYLIST or _content(path) is not None)
        except (AudioError, OSError):  # missing
            whole = False
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            whole = False
        if not whole:
            found.append(name)
    return found


def _least_bytes(name: str, meta: dict[str, Any]) -> int:
    if name != WAV:
        return 0
    width = {"PCM_16": 2, "PCM_24": 3}.get(meta["request"]["subtype"], 4)
    return int(meta["results"]["n_samples"] * meta["results"]["n_channels"] * width)


def _set_aside(wav: Path, damaged: list[str]) -> None:
    """Rename a WAV that is not the one written, as somebody may have edited it."""
    if WAV in damaged and wav.is_file() and wav.stat().st_size:
        names = (f"{wav.stem}.changed{n}" for n in ("", *range(2, 1000)))
        aside = next(path for path in map(wav.with_stem, names) if not path.exists())
        with _named(wav.parent):
            os.replace(wav, aside)
        logger.warning("%s: the file that was there is now %s", wav, aside.name)


def _frames_digest(ids: Any, samples: Any, columns: dict[str, Any]) -> str:
    """Return the digest of the frames of `prediction.json`; columns (T,) are float32."""
    digest = hashlib.blake2b(json.dumps([ids, samples, list(columns)]).encode(), digest_size=16)
    digest.update(np.array(list(columns.values()), np.float32).tobytes())
    return digest.hexdigest()


def _unfinished_request(folder: Path) -> dict[str, Any] | None:
    return _current(_content(folder / UNFINISHED))


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
    config, values = prediction.config, prediction.values
    first = prediction.context_end_frame + 1
    samples = [(first + i) * config.hop_length for i in range(len(values))]
    ids = [prediction.source] * len(samples)
    columns = dict(zip(config.names, values.T, strict=True))
    digests = {name: content_digest(folder / name) for name in (MATCHES, CREDITS, WAV, REPORT_DATA)}
    meta = {**meta, "digests": {**digests, PREDICTION: _frames_digest(ids, samples, columns)}}
    write_descriptor_json(folder / PREDICTION, ids, samples, values, config.names, meta)
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
    if match.matcher.query.neighbours > 1:
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

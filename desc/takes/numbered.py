"""Numbered results of one recording, with stars and notes.

The folder of a recording's takes holds the results `1/`, `2/` … and `takes.json`, the stars and
notes. A result directly in the folder is take 0. A take is never replaced by one with other
settings.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from desc import outputs
from desc.errors import OutputError, StorageError
from desc.files import read_json, write_json

logger = logging.getLogger(__name__)

MARKS = "takes.json"


@dataclass(frozen=True)
class Take:
    """One result of a recording.

    Attributes
    ----------
    number : int
        Counted from 1; 0 for a result directly in the folder of the takes.
    folder : Path
        Folder of the result.
    request : dict
        All settings that determine the result, see `Continuer.request`.
    figures : dict of str to float
        Figures of the result, see `outputs.match_figures` and `outputs.sound_figures`.
    starred : bool
    note : str
    """

    number: int
    folder: Path
    request: dict[str, Any]
    figures: dict[str, float]
    starred: bool = False
    note: str = ""


def list_takes(folder: str | Path) -> list[Take]:
    """Return the finished takes in a recording's folder, by number.

    A damaged one is left out, with a warning.
    """
    folder = Path(folder)
    takes = []
    try:
        marks = read_marks(folder)
    except StorageError as error:
        logger.warning("stars and notes are left out: %s", error)
        marks = {}
    for number, path in _numbered(folder):
        file = path / outputs.PREDICTION
        try:
            status = file.stat()
        except OSError:  # not finished
            continue
        try:
            request, figures = _stored(path, status.st_mtime_ns, status.st_size)
        except OutputError as error:
            logger.warning("a take is left out: %s", error)
            continue
        takes.append(Take(number, path, dict(request), dict(figures), *_mark(marks, number)))
    return takes


@lru_cache(maxsize=1024)
def _stored(path: Path, *_state: int) -> tuple[dict[str, Any], dict[str, float]]:
    """Return request and figures of a result, read once for each state of its file."""
    return outputs.read_result(path)


def take_folder(folder: str | Path, request: dict[str, Any]) -> Path:
    """Return the folder of the take with this request, finished or not, else that of a new take.

    A new folder holds the request alone, and no other process gets its number. `release` removes
    it.

    Raises
    ------
    OutputError
        If the folder cannot be made.
    """
    folder, wanted = Path(folder), json.loads(json.dumps(request))
    numbered = _numbered(folder)
    for _, path in numbered:
        if outputs.stored_request(path) == wanted:
            return path
    number = 1 + max((number for number, _ in numbered), default=0)
    while True:
        path = folder / str(number)
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:  # of another process
            number += 1
        except OSError as error:
            raise OutputError(f"{path}: cannot be made: {error.strerror or error}") from error
    try:
        write_json(path / outputs.UNFINISHED, request)
    except StorageError as error:
        release(path)
        raise OutputError(str(error)) from error
    return path


def release(path: Path) -> None:
    """Remove the folder of a new take if nothing was written into it."""
    with suppress(OSError):
        if {file.name for file in path.iterdir()} <= {outputs.UNFINISHED}:
            (path / outputs.UNFINISHED).unlink(missing_ok=True)
            for folder in (path, path.parent):
                folder.rmdir()


def mark(
    folder: str | Path, number: int, *, starred: bool | None = None, note: str | None = None
) -> None:
    """Set the star or the note of a take; None leaves it as it is.

    Raises
    ------
    OutputError
        If there is no take of this number.
    StorageError
        If `takes.json` is damaged or cannot be written.
    """
    folder = Path(folder)
    numbers = [take.number for take in list_takes(folder)]
    if number not in numbers:
        known = ", ".join(map(str, numbers)) or "none"
        raise OutputError(f"{folder}: has no take {number}; it has {known}")
    marks = read_marks(folder)
    was_starred, old_note = _mark(marks, number)
    marks[str(number)] = {
        "starred": was_starred if starred is None else starred,
        "note": old_note if note is None else note,
    }
    write_json(folder / MARKS, marks, indent=2)


def read_marks(folder: Path) -> dict[str, Any]:
    """Return the stars and notes of a recording's takes, by number.

    Raises
    ------
    StorageError
        If `takes.json` is damaged.
    """
    path = folder / MARKS
    marks = read_json(path) if path.exists() else {}
    if not isinstance(marks, dict):
        raise StorageError(f"{path}: damaged: it must be an object")
    return marks


def differing_settings(takes: Sequence[Take]) -> dict[str, list[Any]]:
    """Return the settings in which takes differ: name → value of each take, None where absent."""
    requests = [{**take.request, **take.request.get("descriptors", {})} for take in takes]
    names = dict.fromkeys(name for request in requests for name in request)
    names.pop("descriptors", None)
    values = {name: [request.get(name) for request in requests] for name in names}
    return {name: found for name, found in values.items() if any(v != found[0] for v in found)}


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return the numbers and folders of all takes, finished or not."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return []
    numbers = sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))
    own = [(0, folder)] if outputs.PREDICTION in names else []
    return own + [(n, folder / str(n)) for n in numbers if n > 0]


def _mark(marks: dict[str, Any], number: int) -> tuple[bool, str]:
    entry = marks.get(str(number))
    entry = entry if isinstance(entry, dict) else {}
    return entry.get("starred") is True, str(entry.get("note", ""))

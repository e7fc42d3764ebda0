"""The sound files of a project: relative to it, or copied into it."""

from __future__ import annotations

import os
from itertools import chain, count
from pathlib import Path, PurePosixPath

from desc.audio import AudioInfo, probe
from desc.playlist_formats.arrangement import Arrangement, one_line

ENDINGS = {
    "AIFF": (".aif", ".aiff", ".aifc"),
    "FLAC": (".flac",),
    "MP3": (".mp3",),
    "OPUS": (".opus", ".ogg"),
    "VORBIS": (".ogg", ".oga"),
    "WAV": (".wav",),
    "WAVEX": (".wav",),
}
"""Usual endings by libsndfile's names of container or sample format, the best first."""


def relative_path(path: str, folder: Path) -> str:
    """Return a path as seen from a folder, absolute where no relative one leads there."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return Path(os.path.abspath(path)).as_posix()


def collected_names(arrangement: Arrangement) -> dict[str, str]:
    """Return a name for the copy of each file, by its path.

    Names are those of the sources, folders included, with the ending of their content: programs
    decode by it.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for path, source in arrangement.files().items():
        parts = PurePosixPath(source).parts
        plain = one_line("/".join(part for part in parts if part not in {"/", ".."}))
        plain += _missing_ending(path, probe(path))
        numbered = (f"{number} {plain}" for number in count(2))
        name = next(name for name in chain([plain], numbered) if name.lower() not in taken)
        taken.add(name.lower())
        names[path] = name
    return names


def _missing_ending(path: str, info: AudioInfo) -> str:
    """Return the ending of a file's content, or nothing where the file's name has it."""
    endings = ENDINGS.get(info.format) or ENDINGS.get(info.subtype)
    return "" if endings is None or Path(path).suffix.lower() in endings else endings[0]

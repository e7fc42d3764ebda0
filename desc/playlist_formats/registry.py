"""`FORMATS`: the formats of playlists, and what each of them carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from desc.concatenation import Playlist
from desc.playlist_formats import (
    audacity,
    dawproject,
    dawproject_reading,
    edl,
    midi,
    reaper,
    stems,
    table,
)
from desc.playlist_formats.arrangement import Arrangement


@dataclass(frozen=True)
class PlaylistFormat:
    """A format of playlists.

    Attributes
    ----------
    name : str
        Its name among the options.
    extension : str
        Usual ending of its files, with the dot; empty: it is a folder.
    title : str
        The program or the kind of file, for a menu.
    carries : tuple of str
        What it holds beside the positions of the units in their files and in the result.
    write : callable
        write(arrangement, path) -> number of units written.
    read : callable or None
        read(path, original playlist or None) -> edited playlist; None: it is only written.
    media : str
        Default of `ExportConfig.media`; empty: the format names files and never copies them.
    as_played : bool
        Whether units lie where rendering plays them, fades and shifts included, so that the
        sources are read.
    """

    name: str
    extension: str
    title: str
    carries: tuple[str, ...]
    write: Callable[[Arrangement, Path], int]
    read: Callable[[Path, Playlist | None], Playlist] | None = None
    media: str = ""
    as_played: bool = False


_DAW = ("fades", "gains", "speeds", "layers", "sound files", "beats", "alternatives")
_ALL = (
    PlaylistFormat(
        "dawproject",
        ".dawproject",
        "DAWproject (Bitwig Studio, Studio One, Cubase, n-Track Studio)",
        _DAW,
        dawproject.write,
        dawproject_reading.read,
        media="collect",
        as_played=True,
    ),
    PlaylistFormat(
        "reaper",
        ".rpp",
        "Reaper project",
        (*_DAW, "channels"),
        reaper.write,
        media="reference",
        as_played=True,
    ),
    PlaylistFormat(
        "stems",
        "",
        "WAV files per layer and per sound file",
        ("fades", "gains", "speeds", "layers", "channels"),
        stems.write,
        as_played=True,
    ),
    PlaylistFormat(
        "audacity", ".txt", "labels (Audacity)", ("layers",), audacity.write, audacity.read
    ),
    PlaylistFormat(
        "csv",
        ".csv",
        "table (CSV)",
        ("fades", "gains", "speeds", "layers", "channels"),
        table.write,
    ),
    PlaylistFormat("edl", ".edl", "cuts (EDL)", ("gains", "speeds", "layers"), edl.write),
    PlaylistFormat("midi", ".mid", "rhythm (MIDI)", ("gains", "layers"), midi.write),
)
FORMATS: dict[str, PlaylistFormat] = {format.name: format for format in _ALL}

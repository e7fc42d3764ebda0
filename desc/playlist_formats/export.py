"""`export_playlist` and `read_playlist`: one function for every format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.beats import find_beats
from desc.concatenation.joins import spans
from desc.concatenation.rendering import open_mixer
from desc.configuration import RenderConfig, check_choice
from desc.errors import ConfigurationError
from desc.playlist_formats.alternatives import Candidates
from desc.playlist_formats.arrangement import Arrangement
from desc.playlist_formats.registry import FORMATS
from desc.playlist_formats.settings import ExportConfig
from desc.storage import DescriptorStore


def export_playlist(
    playlist: Playlist,
    path: str | Path,
    format: str,
    *,
    store: DescriptorStore | None = None,
    source_root: str | Path | None = None,
    recording_root: str | Path | None = None,
    rendering: RenderConfig = RenderConfig(),
    settings: ExportConfig = ExportConfig(),
    matches: str | Path | None = None,
    allow_long: bool = False,
) -> int:
    """Write a playlist in the format of another program; return the number of units written.

    Logs a warning if the format cannot represent something.

    Parameters
    ----------
    playlist : Playlist
        The units to write.
    path : path
        The file; it appears when complete.
    format : str
        A key of `FORMATS`.
    store : DescriptorStore, optional
        As for `render`; only formats that are `as_played` read the sources.
    source_root, recording_root : path, optional
        Folders of the sources; by default the playlist's own.
    rendering : RenderConfig
        Formats that are `as_played` shift units by up to its `align_ms`, as rendering does.
    settings : ExportConfig
        Media and fades of projects.
    matches : path, optional
        `matches.json` of the result, for `settings.alternatives`.
    allow_long : bool
        As for `render`.

    Raises
    ------
    ConfigurationError
        If the format is not known, or alternatives are wanted and not listed.
    DescError
        If a source must be read and cannot be; the message names event and source.
    """
    check_choice("format", format, tuple(FORMATS))
    chosen, path = FORMATS[format], Path(path)
    settings = replace(settings, media=settings.media or chosen.media or None)
    roots = playlist.resolved_roots(source_root, recording_root)
    if not chosen.as_played:
        arrangement = Arrangement(playlist, tuple(spans(playlist)), roots, path.stem)
        return chosen.write(arrangement, path)
    with open_mixer(
        playlist,
        store=store,
        rendering=rendering,
        source_root=source_root,
        recording_root=recording_root,
        allow_long=allow_long,
    ) as mixer:
        peak = max(float(np.abs(block).max(initial=0)) for block in mixer.blocks())
        arrangement = Arrangement(
            playlist,
            tuple(mixer.spans),
            roots,
            path.stem,
            gain=1 / max(peak, 1.0),
            settings=settings,
            mixer=mixer,
        )
        if "beats" in chosen.carries:
            beats = find_beats(mixer.blocks(), playlist.sample_rate)
            arrangement = replace(arrangement, beats_s=beats)
        if settings.alternatives and "alternatives" in chosen.carries:
            arrangement = replace(arrangement, alternatives=_alternatives(arrangement, matches))
        return chosen.write(arrangement, path)


def _alternatives(
    arrangement: Arrangement, matches: str | Path | None
) -> dict[int, list[PlaylistEvent]]:
    """Return the alternatives of each event whose files are there."""
    if matches is None:
        raise ConfigurationError("alternatives: give the result's matches.json (matches=…)")
    candidates, playlist = Candidates.load(matches), arrangement.playlist
    others = {
        index: candidates.alternatives(playlist, index, arrangement.settings.alternatives)
        for index in range(len(playlist.events))
    }
    return {
        index: [event for event in events if Path(arrangement.path(event)).is_file()]
        for index, events in others.items()
    }


def read_playlist(path: str | Path, original: Playlist | None = None) -> Playlist:
    """Return the playlist of a file: its own JSON, or what another program made of it.

    Parameters
    ----------
    path : path
        The ending decides: `.dawproject`, or `.txt` for labels of Audacity; others are JSON.
    original : Playlist, optional
        The playlist that was exported; labels need it, and a DAWproject finds its files by it.

    Raises
    ------
    ConfigurationError
        If the file cannot be read or breaks a rule; the message names file and place.
    """
    ending = Path(path).suffix.lower()
    readers = {format.extension: format.read for format in FORMATS.values() if format.read}
    written = {format.extension: name for name, format in FORMATS.items() if not format.read}
    if ending in written and ending not in readers:
        raise ConfigurationError(
            f"{path}: a file of the format {written[ending]} cannot be read back; "
            f"{', '.join(sorted(readers))} can"
        )
    return readers[ending](Path(path), original) if ending in readers else Playlist.load(path)

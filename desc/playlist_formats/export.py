"""`export_playlist`: one function for every format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from desc.concatenation import Playlist
from desc.concatenation.joins import spans
from desc.concatenation.rendering import aligned
from desc.configuration import RenderConfig, check_choice
from desc.files import write_bytes
from desc.playlist_formats.arrangement import Arrangement
from desc.playlist_formats.lists import csv_table, decision_list, edited, labels
from desc.playlist_formats.midi import midi_file
from desc.playlist_formats.reaper import project
from desc.storage import DescriptorStore

FORMATS: dict[str, Callable[[Arrangement], bytes]] = {
    "audacity": labels,
    "reaper": project,
    "csv": csv_table,
    "edl": decision_list,
    "midi": midi_file,
}
AS_PLAYED = ("reaper",)
"""Formats with fades and exact positions: units lie where rendering plays them."""


def export_playlist(
    playlist: Playlist,
    path: str | Path,
    format: str,
    *,
    store: DescriptorStore | None = None,
    source_root: str | Path | None = None,
    recording_root: str | Path | None = None,
    rendering: RenderConfig = RenderConfig(),
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
        As for `render`; only `reaper` reads the sources.
    source_root, recording_root : path, optional
        Folders of the sources; by default the playlist's own.
    rendering : RenderConfig
        `reaper` shifts units by up to its `align_ms`, as rendering does.
    allow_long : bool
        As for `render`.

    Raises
    ------
    ConfigurationError
        If the format is not known.
    DescError
        If a source must be read and cannot be; the message names event and source.
    """
    check_choice("format", format, tuple(FORMATS))
    roots = playlist.resolved_roots(source_root, recording_root)
    if format in AS_PLAYED:
        found, gain = aligned(
            playlist,
            store=store,
            rendering=rendering,
            source_root=source_root,
            recording_root=recording_root,
            allow_long=allow_long,
        )
    else:
        found, gain = spans(playlist), 1.0
    arrangement = Arrangement(playlist, tuple(found), roots, Path(path).stem, gain)
    write_bytes(path, FORMATS[format](arrangement))
    return len(edited(arrangement) if format == "edl" else playlist.events)

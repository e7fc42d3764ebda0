"""`export_playlist`: one function for every format."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from desc.concatenation import Playlist
from desc.concatenation.joins import Span, spans
from desc.concatenation.rendering import aligned
from desc.configuration import Note, RenderConfig, check_choice
from desc.files import write_bytes
from desc.playlist_formats.arrangement import Arrangement
from desc.storage import DescriptorStore

FORMATS = {
    "audacity": "desc.playlist_formats.audacity:labels",
    "reaper": "desc.playlist_formats.reaper:project",
    "csv": "desc.playlist_formats.table:csv_table",
    "edl": "desc.playlist_formats.edl:decision_list",
    "midi": "desc.playlist_formats.midi:midi_file",
}
"""Format → `module:function`, which turns an `Arrangement` into the bytes of a file."""
AS_PLAYED = ("reaper",)
"""Formats that hold fades and exact positions, so units lie where rendering plays them."""


def export_playlist(
    playlist: Playlist,
    path: str | Path,
    format: str,
    *,
    store: DescriptorStore,
    source_root: str | Path | None = None,
    recording_root: str | Path | None = None,
    config: RenderConfig = RenderConfig(),
    note: Note | None = None,
) -> None:
    """Write a playlist in the format of another program.

    Parameters
    ----------
    playlist : Playlist
        What is to be written.
    path : path
        The file; it appears when complete.
    format : str
        A key of `FORMATS`.
    store : DescriptorStore
        As for `render`; only `reaper` reads the sources.
    source_root, recording_root : path, optional
        Folders of the sources; by default the playlist's own.
    config : RenderConfig
        `reaper` shifts units by up to its align_ms, as rendering does.
    note : callable, optional
        Told in one line what the format cannot hold.

    Raises
    ------
    ConfigurationError
        If the format is not known.
    DescError
        Naming event and source, if a source must be read and cannot be.
    """
    check_choice("format", format, tuple(FORMATS))
    roots = playlist.resolved_roots(source_root, recording_root)
    found: list[Span] = spans(playlist)
    if format in AS_PLAYED:
        found = aligned(
            playlist,
            store=store,
            rendering=config,
            source_root=source_root,
            recording_root=recording_root,
        )
    module, _, name = FORMATS[format].partition(":")
    make: Callable[[Arrangement], bytes] = getattr(importlib.import_module(module), name)
    write_bytes(path, make(Arrangement(playlist, tuple(found), roots, Path(path).stem, note)))

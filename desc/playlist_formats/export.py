"""`export_playlist`: one function for every format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from desc.concatenation import Playlist
from desc.concatenation.joins import spans
from desc.concatenation.rendering import open_mixer
from desc.configuration import RenderConfig, check_choice
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
        gain = 1 / max(peak, 1.0)
        arrangement = Arrangement(
            playlist, tuple(mixer.spans), roots, path.stem, gain, settings, mixer
        )
        return chosen.write(arrangement, path)

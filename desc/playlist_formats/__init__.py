"""Playlists for other programs: DAWproject, Reaper, stems, labels, a table, EDL, MIDI.

Each format has a module with `write`; labels and DAWprojects are read as well. `registry` lists
them.
"""

from desc.playlist_formats.export import export_playlist, read_playlist
from desc.playlist_formats.registry import FORMATS, PlaylistFormat
from desc.playlist_formats.settings import ExportConfig

__all__ = ["FORMATS", "ExportConfig", "PlaylistFormat", "export_playlist", "read_playlist"]

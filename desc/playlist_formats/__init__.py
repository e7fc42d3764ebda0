"""Playlists in the formats of other programs: labels, a Reaper project, a table, EDL, MIDI."""

from desc.playlist_formats.export import FORMATS, export_playlist

__all__ = ["FORMATS", "export_playlist"]

"""Playlists, which can be edited by hand, and their rendering.

`playlist` holds the types and their JSON, `joins` when each event sounds, its fades and its
alignment, `mixing` adds the events up in blocks, `rendering` returns or writes the result,
`relocation` finds source files that moved.
"""

from desc.concatenation.playlist import Playlist, PlaylistEvent
from desc.concatenation.relocation import relocated
from desc.concatenation.rendering import RenderResult, render, render_to_file

__all__ = ["Playlist", "PlaylistEvent", "RenderResult", "relocated", "render", "render_to_file"]

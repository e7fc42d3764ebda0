"""Playlists, which can be edited by hand, and their rendering.

`playlist` defines the types and their JSON. `joins` computes the timing, fades and alignment of
events, `mixing` sums the events in blocks, `rendering` returns or writes the result, `editing`
changes single events, and `relocation` finds moved source files.
"""

from desc.concatenation.editing import around, with_event
from desc.concatenation.playlist import Playlist, PlaylistEvent
from desc.concatenation.relocation import relocated
from desc.concatenation.rendering import RenderResult, render, render_to_file

__all__ = [
    "Playlist",
    "PlaylistEvent",
    "RenderResult",
    "around",
    "relocated",
    "render",
    "render_to_file",
    "with_event",
]

"""Units in, sound out: the playlist, which can be edited by hand, and its rendering.

`event` and `playlist` hold the types and their JSON, `timeline` says when each event sounds and
how it fades, `alignment` shifts it so that joins fit, `sources` opens the files, `mixing` adds them
up in blocks, `rendering` writes the result; `relocation` finds sources that moved.
"""

from desc.concatenation.event import PlaylistEvent
from desc.concatenation.playlist import Playlist
from desc.concatenation.relocation import relocated
from desc.concatenation.rendering import RenderResult, render, render_to_file

__all__ = ["Playlist", "PlaylistEvent", "RenderResult", "relocated", "render", "render_to_file"]

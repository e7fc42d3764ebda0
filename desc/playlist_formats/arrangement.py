"""`Arrangement`: the input of every format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.joins import Span


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A playlist and its timing.

    Attributes
    ----------
    playlist : Playlist
        The units.
    spans : tuple of Span
        The units with fades and shifts, in the order in which they begin to sound.
    roots : mapping of str to path
        Folders that the sources are relative to.
    title : str
        Name of the whole.
    gain : float
        Gain of the whole, at most 1, as of a rendered file.
    """

    playlist: Playlist
    spans: tuple[Span, ...]
    roots: Mapping[str, str | Path]
    title: str
    gain: float

    def path(self, event: PlaylistEvent) -> str:
        """Return the path of an event's file, as far as its folder is known."""
        return str(Path(self.roots.get(event.root, ""), event.source))

    def seconds(self, n_samples: float) -> float:
        """Return samples of the playlist as seconds."""
        return n_samples / self.playlist.sample_rate

    def label(self, event: PlaylistEvent) -> str:
        """Return file and position in one line, as `bells/low.wav @ 1.173 s`."""
        return one_line(f"{event.source} @ {self.seconds(event.start_sample):.3f} s")


def one_line(text: str) -> str:
    """Return a text without tabs, line ends and other control characters."""
    return "".join(c if c.isprintable() else " " for c in text)

"""`Arrangement`: what every format is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.joins import Span
from desc.configuration import Note


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A playlist, and what is known about how it sounds.

    Attributes
    ----------
    playlist : Playlist
        The units.
    spans : tuple of Span
        The units with fades and shifts, in the order in which they begin to sound.
    roots : mapping of str to path
        Folders that the sources are relative to.
    title : str
        A name for the whole.
    note : callable or None
        Told in one line what a format cannot hold.
    """

    playlist: Playlist
    spans: tuple[Span, ...]
    roots: Mapping[str, str | Path]
    title: str
    note: Note | None = None

    def path(self, event: PlaylistEvent) -> str:
        """Return the path of an event's file, as far as its folder is known."""
        return str(Path(self.roots.get(event.root, ""), event.source))

    def seconds(self, n_samples: float) -> float:
        """Return samples of the playlist as seconds."""
        return n_samples / self.playlist.sample_rate

    def label(self, event: PlaylistEvent) -> str:
        """Return file and position in one line, as `bells/low.wav @ 1.173 s`."""
        return one_line(f"{event.source} @ {self.seconds(event.start_sample):.3f} s")

    def tell(self, line: str) -> None:
        """Say what the format cannot hold."""
        if self.note is not None:
            self.note(line)


def one_line(text: str) -> str:
    """Return a text without tabs, line ends and other control characters."""
    return "".join(c if c.isprintable() else " " for c in text)

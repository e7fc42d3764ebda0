"""The files of a playlist: found, decoded where needed, kept open."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from desc.audio import AudioReader, probe
from desc.concatenation.event import PlaylistEvent
from desc.concatenation.playlist import Playlist
from desc.errors import DescError
from desc.storage import DescriptorStore

MAX_OPEN_FILES = 32
"""Files kept open: opening costs ten times what reading a unit does."""


@dataclass(frozen=True)
class SourceFile:
    """A file of a playlist.

    Attributes
    ----------
    path : Path
        The file that events name.
    seekable_path : Path
        What is read: the file itself, or its copy in the cache.
    digest : str
        Of its content as it is now.
    n_channels : int
        Its channels.
    """

    path: Path
    seekable_path: Path
    digest: str
    n_channels: int


class Sources:
    """Readers of the files of a playlist, at its rate; to be used in a `with` statement.

    Every file is looked for, and decoded where it must be, when this is made.

    Parameters
    ----------
    playlist : Playlist
        Names the files.
    roots : mapping of str to path
        Folders that the sources are relative to.
    store : DescriptorStore
        Keeps what had to be decoded or resampled.

    Attributes
    ----------
    changed : dict of Path to int
        Files whose content is not that of their events' digest (the file was replaced, or its
        descriptors came from JSON, which knows no content), with the first such event.

    Raises
    ------
    DescError
        Naming the event and the source that is missing or cannot be read.
    """

    def __init__(
        self, playlist: Playlist, roots: Mapping[str, str | Path], store: DescriptorStore
    ) -> None:
        self._sample_rate = playlist.sample_rate
        self._files: dict[tuple[str, str], SourceFile] = {}
        self._readers: OrderedDict[Path, AudioReader] = OrderedDict()
        self.changed: dict[Path, int] = {}
        for index, event in enumerate(playlist.events):
            key = event.root, event.source
            try:
                if key not in self._files:
                    self._files[key] = self._find(event, roots, store)
                self._check(index, event, self._files[key])
            except DescError as error:
                raise DescError(f"event {index}: source {event.source!r}: {error}") from error

    def reader(self, event: PlaylistEvent) -> AudioReader:
        """Return the open file of an event."""
        path = self._files[event.root, event.source].seekable_path
        if path in self._readers:
            self._readers.move_to_end(path)
            return self._readers[path]
        reader = self._readers[path] = AudioReader(path)
        while len(self._readers) > MAX_OPEN_FILES:
            self._readers.popitem(last=False)[1].close()
        return reader

    def n_channels(self, event: PlaylistEvent) -> int:
        """Return the number of channels that an event uses."""
        if event.channels is not None:
            return len(event.channels)
        return self._files[event.root, event.source].n_channels

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *exception: object) -> None:
        while self._readers:
            self._readers.popitem()[1].close()

    def _find(
        self, event: PlaylistEvent, roots: Mapping[str, str | Path], store: DescriptorStore
    ) -> SourceFile:
        if event.root not in roots:
            raise DescError(f"the folder of root={event.root!r} is not known; name it")
        path = Path(roots[event.root], event.source)
        if not path.is_file():
            raise DescError(f"there is no file {path}; name the folder it was moved to")
        digest = store.digest(path)
        seekable_path = store.audio_path(path, digest, self._sample_rate)
        return SourceFile(path, seekable_path, digest, probe(path).n_channels)

    def _check(self, index: int, event: PlaylistEvent, file: SourceFile) -> None:
        if event.digest and event.digest != file.digest:
            self.changed.setdefault(file.path, index)
        if max(event.channels or (0,)) >= file.n_channels:
            raise DescError(
                f"channels={list(event.channels or ())} must be below {file.n_channels}, the "
                "number of channels of the file"
            )

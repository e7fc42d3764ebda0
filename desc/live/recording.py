"""`LiveRecorder`: what was played, as sound, as a playlist and as a project for a DAW."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile

from desc.audio import Audio, AudioWriter
from desc.concatenation.playlist import Playlist, PlaylistEvent
from desc.configuration import from_dict, to_dict
from desc.errors import DescError, OutputError
from desc.live.events import StreamEvent
from desc.live.stream import Stream
from desc.playlist_formats import export_playlist
from desc.storage import DescriptorStore

logger = logging.getLogger(__name__)

FILES = WAV, PLAYLIST, PROJECT = "live.wav", "playlist.json", "live.dawproject"


class LiveRecorder:
    """Keeps what a stream plays, in constant memory; use it in a `with` statement.

    The files appear at the end: `live.wav` (float, as played), `playlist.json` (rendered it is the
    WAV, sample for sample) and `live.dawproject`. Where nothing was played there is only the WAV,
    and no file at all if nothing came. Where the WAV cannot grow (a full disk, 4 GiB) it ends,
    which is said; the playlist goes on.

    Parameters
    ----------
    stream : Stream
        It must be new.
    folder : path
        Folder of the files.
    store : DescriptorStore, optional
        As for `export_playlist`.
    overwrite : bool
        Replace an earlier recording in the folder.

    Raises
    ------
    OutputError
        As `check_free`.
    """

    def __init__(
        self,
        stream: Stream,
        folder: str | Path,
        store: DescriptorStore | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        check_free(folder, overwrite=overwrite)
        self.folder = Path(folder)
        self._stream, self._store = stream, store
        self._left_out = stream.latency
        self._is_open = self._is_full = False
        self._stack = ExitStack()
        wav = self.folder / WAV
        self._wav = AudioWriter(wav, stream.sample_rate, stream.n_channels, "FLOAT")

    def __enter__(self) -> LiveRecorder:
        self._events = TemporaryFile("w+b", buffering=0)
        self._stream.watchers.append(self._keep)
        return self

    def write(self, played: Audio) -> None:
        """Keep a block (n, C) that was played; the latency of the stream is left out."""
        part = played[self._left_out :]
        self._left_out = max(0, self._left_out - len(played))
        if not len(part) or self._is_full:
            return
        try:
            if not self._is_open:  # not before: an earlier recording stays until there is sound
                self._stack.enter_context(self._wav)
                self._is_open = True
            self._wav.write(part.T)
        except (DescError, OSError) as error:
            self._is_full = True
            seconds = self._wav.n_samples / self._stream.sample_rate
            logger.warning("%s ends after %.1f s: %s", self._wav.path, seconds, error)

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        with self._events:
            self._finish(is_whole=kind is None or issubclass(kind, KeyboardInterrupt))
            self._stream.watchers.remove(self._keep)
            self._stack.close()  # the WAV, after an error too: what was played until then is kept
            events = self._kept()
        if events:
            playlist = Playlist(events, self._stream.sample_rate, self._stream.roots)
            playlist.save(self.folder / PLAYLIST)
            export_playlist(
                playlist, self.folder / PROJECT, "dawproject", store=self._store, allow_long=True
            )
        elif self._is_open:
            for name in (PLAYLIST, PROJECT):  # of an earlier recording
                (self.folder / name).unlink(missing_ok=True)
            logger.warning("%s: nothing was played, so there is no playlist", self.folder)

    def _finish(self, *, is_whole: bool) -> None:
        """End the units that play; their fade is kept unless the stream has failed."""
        try:
            if is_whole:
                self.write(self._stream.finish())
            else:
                self._stream.close()
        except Exception as error:  # of a stream that has failed; what was played is kept
            logger.warning("the end of what was played is not kept: %s", error)

    def _keep(self, one: StreamEvent) -> None:
        if one.is_over:
            text = json.dumps(to_dict(one.event)).encode() + b"\n"
            if self._events.write(text) < len(text):
                raise OSError("the disk of temporary files is full")

    def _kept(self) -> tuple[PlaylistEvent, ...]:
        """Return the events, but for one that was cut off."""
        self._events.seek(0)
        lines = self._events.read().splitlines(keepends=True)
        return tuple(from_dict(PlaylistEvent, json.loads(x)) for x in lines if x.endswith(b"\n"))


def check_free(folder: str | Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds a recording, unless it is to be replaced.

    Raises
    ------
    OutputError
        If it holds one, or is a file.
    """
    if Path(folder).exists() and not Path(folder).is_dir():
        raise OutputError(f"{folder}: must be a folder")
    if not overwrite and any((Path(folder) / name).exists() for name in FILES):
        raise OutputError(
            f"{folder}: holds a recording; choose another record_dir, or give --overwrite"
        )

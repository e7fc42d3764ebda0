"""`Sound`: a recording decoded from start to end. The length in its header is only a claim."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile

from desc.audio.containers import (
    Piece,
    first_piece,
    follows_wave,
    foreign_kind,
    lacks_ogg_end,
    later_pieces,
    no_audio,
)
from desc.audio.ffmpeg import FfmpegSource
from desc.audio.files import (
    Audio,
    AudioInfo,
    check_readable,
    errors_named,
    has_ffmpeg,
)
from desc.audio.resampling import resampled_blocks
from desc.audio.sndfile import SndfileSource
from desc.errors import AudioError

LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000
"""Sample rates of files in Hz; others are errors in headers, and would take much memory."""
_RESYNCED = frozenset({"FLAC", "MP3"})
"""Formats in which ffmpeg finds the next good frame behind damage, and libsndfile stops."""


def probe(path: str | Path) -> AudioInfo:
    """Read the header of an audio file.

    Raises
    ------
    AudioError
        If the file is missing, empty, no audio, or contains no samples.
    """
    with Sound(path) as sound:
        return sound.info


class Sound:
    """A recording, decoded from start to end; use it in a `with` statement.

    What libsndfile cannot open is read by ffmpeg, where that is installed.

    Attributes
    ----------
    info : AudioInfo
        The header of its first piece.
    source : SndfileSource or FfmpegSource
        The decoder of the first piece.
    notes : list of str
        After the last block: how the file differs from what its container promises.

    Raises
    ------
    AudioError
        If the file cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        self._piece: Piece | None = None
        self.source: SndfileSource | FfmpegSource
        with errors_named(path):
            check_readable(path)
            if self.path.suffix.lower() == ".raw":  # libsndfile would ask for the format
                raise AudioError(f"{path}: samples without a header (.raw); convert it to WAV")
            if foreign_kind(path):  # libsndfile takes some of them for MPEG audio
                self.source = FfmpegSource(path)
            else:
                self._piece = first_piece(path)
                self.source = _opened_by_either(self.path, self._piece)
        self.info = self.source.info
        if not LOWEST_RATE <= self.info.sample_rate <= HIGHEST_RATE:
            self.close()
            raise AudioError(
                f"{path}: its sample rate of {self.info.sample_rate} Hz must be from "
                f"{LOWEST_RATE} to {HIGHEST_RATE} Hz"
            )

    def blocks(self) -> Iterator[Audio]:
        """Yield consecutive samples (n, C) of all pieces, at the rate and channels of the first.

        Raises
        ------
        AudioError
            If there are none.
        """
        n_samples, rate = 0, self.info.sample_rate
        for block in self._all_blocks():
            n_samples += len(block)
            yield block
        if not n_samples:
            raise AudioError(f"{self.path}: the file contains no samples that can be decoded")
        if self._piece is not None and self._piece.note:
            self.notes.append(f"{self._piece.note}; {n_samples / rate:.2f} s are there")

    def excerpt(self, start: int, n: int) -> Audio:
        """Return samples [start, start + n) as (n, C), without those outside the file.

        The first one may be off by some samples in MP3, Vorbis and other compressed files.
        """
        if isinstance(self.source, FfmpegSource):
            self.source.close()
            self.source = FfmpegSource(self.path, start / self.info.sample_rate)
            position = start
        else:
            position = self.source.seek(start)
        held = [np.zeros((0, self.info.n_channels), np.float32)]
        for block in self._all_blocks():
            held.append(block[max(0, start - position) : max(0, start + n - position)])
            position += len(block)
            if position >= start + n:
                break
        return np.concatenate(held)

    def _all_blocks(self) -> Iterator[Audio]:
        source = self.source
        yield from source.blocks()
        if isinstance(source, FfmpegSource):
            if source.problem:
                self.notes.append(f"damaged or cut off: ffmpeg reports {source.problem!r}")
            return
        n_samples, n_pieces = source.n_read, 1
        for piece in later_pieces(self.path):
            with _opened(self.path, piece) as later:
                n_pieces += later is not None
                for block in self._adapted(later) if later is not None else ():
                    n_samples += len(block)
                    yield block
        if n_pieces > 1:
            seconds = n_samples / self.info.sample_rate
            self.notes.append(f"{n_pieces} recordings joined in one file, {seconds:.2f} s in all")
        elif source.is_broken or source.is_short or source.n_unread > 1 << 14:
            yield from self._behind_damage(source)
        else:
            self._note_end(source)

    def _adapted(self, later: SndfileSource) -> Iterator[Audio]:
        """Yield the samples of a later piece at the rate and number of channels of the first."""
        blocks: Iterator[Audio] = later.blocks()
        n_channels = self.info.n_channels
        if later.info.n_channels != n_channels:
            mixed = (block.mean(axis=1, keepdims=True) for block in blocks)
            blocks = (np.repeat(block, n_channels, axis=1) for block in mixed)
        return resampled_blocks(
            blocks, later.info.sample_rate, self.info.sample_rate, self.info.n_channels
        )

    def _behind_damage(self, source: SndfileSource) -> Iterator[Audio]:
        """Yield what ffmpeg decodes behind the place where libsndfile stopped; note the damage."""
        rate, n_first = self.info.sample_rate, source.n_read
        position, is_resynced = 0, self.info.format in _RESYNCED
        if is_resynced and has_ffmpeg() and n_first:
            with suppress(AudioError), closing(FfmpegSource(self.path)) as whole:
                if (whole.info.sample_rate, whole.info.n_channels) == (rate, self.info.n_channels):
                    for block in whole.blocks():
                        position += len(block)
                        if position > n_first:
                            yield block[max(0, len(block) - (position - n_first)) :]
        at = f"{n_first / rate:.2f} s"
        if position - n_first > rate // 10:
            self.notes.append(f"damaged after {at}; ffmpeg reads on, to {position / rate:.2f} s")
            return
        note = f"damaged or cut off after {at}"
        if source.is_short:
            note += f" of the {self.info.n_samples / rate:.2f} s that its header promises"
        if is_resynced and not has_ffmpeg():
            note += "; ffmpeg, if it is installed, reads what may follow"
        self.notes.append(note)

    def _note_end(self, source: SndfileSource) -> None:
        """Note an end that is missing, or sound behind the end."""
        if self.info.format == "OGG":
            if lacks_ogg_end(self.path):
                self.notes.append("the end is missing: the last page of the stream is not marked")
            return
        if self._piece is not None:
            return
        seconds = source.n_read / self.info.sample_rate
        promised_s = source.promised_share * seconds
        if promised_s > seconds + 0.1:
            self.notes.append(
                f"cut off after {seconds:.2f} of the {promised_s:.2f} s that its header promises"
            )
        elif self.info.format in ("WAV", "WAVEX") and (more := follows_wave(self.path)):
            self.notes.append(more)

    def close(self) -> None:
        """Close the file."""
        self.source.close()

    def __enter__(self) -> Sound:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _opened_by_either(path: Path, piece: Piece | None) -> SndfileSource | FfmpegSource:
    """Open a file by libsndfile, or else by ffmpeg; raise libsndfile's error if both refuse."""
    try:
        return SndfileSource(path, piece)
    except soundfile.SoundFileError:
        if has_ffmpeg() and not no_audio(path):
            with suppress(AudioError):
                return FfmpegSource(path)
        raise


@contextmanager
def _opened(path: Path, piece: Piece) -> Iterator[SndfileSource | None]:
    """Open a later piece of a file; yield None if it is no sound."""
    try:
        source = SndfileSource(path, piece)
    except (soundfile.SoundFileError, AudioError):
        yield None
        return
    with closing(source):
        yield source

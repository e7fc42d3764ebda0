"""`SndfileSource`: samples as libsndfile decodes them, or numpy, where they are plain PCM."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from desc.audio.containers import Piece, View, nist_samples
from desc.audio.files import Audio, AudioInfo
from desc.audio.wave_pcm import WavePcm
from desc.errors import AudioError

_CHUNK = 1 << 14
"""Samples read at once from a WAV: they stay in the processor's cache."""
_SNDFILE_CHUNK = 1 << 16
"""Samples decoded at once by libsndfile, whose calls cost more."""
_LONGEST = 1 << 48
"""Samples in the longest file; libsndfile gives more where it does not know the length."""


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that claims not to be seekable, so that soundfile does not seek after every read."""

    def seekable(self) -> bool:
        return False


_stderr_lock = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard what libmpg123 prints to standard error: notes without the name of the file."""
    with _stderr_lock:
        try:
            kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        except OSError:  # a program without standard error
            yield
            return
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


class SndfileSource:
    """Samples of a file, or of a piece of it, as libsndfile decodes them.

    Attributes
    ----------
    info : AudioInfo
        The header.
    file : SoundFile
        The open file.
    n_read : int
        Samples decoded so far.
    is_broken : bool
        Whether decoding ended with an error.
    """

    def __init__(self, path: Path, piece: Piece | None) -> None:
        self.view = None if piece is None else View(path, piece)
        with _quiet():
            self.file = _ForwardFile(os.fspath(path) if self.view is None else self.view)
        n_samples = self.file.frames if self.file.frames < _LONGEST else 0
        if piece is not None and piece.is_endless:
            n_samples = 0
        if self.file.frames <= 0:
            self.close()
            raise AudioError(f"{path}: the file contains no samples")
        self.info = AudioInfo(
            path,
            self.file.samplerate,
            self.file.channels,
            n_samples,
            self.file.format,
            self.file.subtype,
        )
        self.n_read = 0
        self.is_broken = False

    @property
    def is_short(self) -> bool:
        """Whether over a tenth of a second of what the header claims was not there."""
        return self.info.n_samples - self.n_read > self.info.sample_rate // 10

    @property
    def promised_share(self) -> float:
        """Length that the header of uncompressed sound promises, in units of the true one.

        libsndfile's log names both where they differ, but for NIST; otherwise the result is 0.
        """
        log = self.file.extra_info
        pairs = re.findall(r": (\d+) \(should be (\d+)\)", log)
        pairs += [(n, self.file.frames) for n in re.findall(r"Frames +: (\d+)", log)]  # AVR, MPC2K
        pairs += [(b, a) for a, b in re.findall(r"truncated. (\d+) <--> (\d+)", log)]  # MAT4
        pairs += [(n, self.file.frames) for n in re.findall(r"Cols +: (\d+)\n +Type", log)]  # MAT5
        if self.info.format == "VOC" and "truncated file" in log:
            sizes = dict(re.findall(r"(Length|Extended II) : (\d+)", log))
            pairs.append((sizes.get("Extended II", 0), sizes["Length"]))
        if self.info.format == "NIST":
            pairs.append((nist_samples(self.info.path), self.file.frames))
        promised = [int(a) / int(b) for a, b in pairs if 0 < int(b) < int(a) < 0xFFFFFF00]
        return max(promised, default=0.0)

    @property
    def n_unread(self) -> int:
        """Bytes of an MP3 without a length behind the last one decoded."""
        return self.view.n_left if self.view is not None and self.info.n_samples == 0 else 0

    def blocks(self) -> Iterator[Audio]:
        """Yield consecutive samples (n, C) to the end."""
        pcm = WavePcm.open(self.info)
        try:
            while True:
                if pcm is not None:
                    block = pcm.read(self.n_read, min(_CHUNK, self.info.n_samples - self.n_read))
                else:
                    block = self._decoded()
                if not len(block):
                    return
                self.n_read += len(block)
                yield block
        finally:
            if pcm is not None:
                pcm.close()

    def _decoded(self) -> Audio:
        """Return the next samples; at an error those before it."""
        buffer = np.empty((_SNDFILE_CHUNK, self.info.n_channels), np.float32)
        try:
            if self.info.format != "MP3":
                return self.file.read(out=buffer)
            with _quiet():
                return self.file.read(out=buffer)
        except soundfile.LibsndfileError:
            self.is_broken = True
            return buffer[: self.file.tell() - self.n_read]

    def seek(self, start: int) -> int:
        """Go on reading at a sample, if the header's length covers it; return the position."""
        if start < self.info.n_samples:
            with _quiet():
                self.file.seek(start)
            self.n_read = start
        return self.n_read

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        if self.view is not None:
            self.view.close()

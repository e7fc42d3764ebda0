"""Sound that libsndfile does not read, streamed from the program `ffmpeg` where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from desc.audio.containers import foreign_kind
from desc.audio.files import NEEDS_FFMPEG, Audio, AudioInfo, has_ffmpeg
from desc.errors import AudioError

_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,avi,caf,dsf,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,"
    "mpc8,ogg,tta,w64,wav,wv"
)
"""Formats that ffmpeg may detect: none that names other files or addresses."""
_CHUNK = 1 << 16


class FfmpegSource:
    """Samples of the first sound stream of a file, decoded from start to end by ffmpeg.

    Nothing is written to disk. Use it in a `with` statement, or close it.

    Parameters
    ----------
    path : path
        The file.
    start_s : float
        Where to begin, in seconds; to the nearest packet.

    Attributes
    ----------
    info : AudioInfo
        Its `n_samples` is 0, unknown.
    problem : str
        After the last block: the first error that ffmpeg reported, or nothing.

    Raises
    ------
    AudioError
        If there is no ffmpeg, or it finds no sound in the file.
    """

    def __init__(self, path: str | Path, start_s: float = 0.0) -> None:
        if not has_ffmpeg():
            raise AudioError(f"{path}: {foreign_kind(path)}: {NEEDS_FFMPEG}")
        self.problem = ""
        self._url = f"file:{os.path.abspath(path)}"
        self._errors = TemporaryFile()  # noqa: SIM115 (closed by `close`)
        place = ["-ss", f"{start_s:.6f}"] if start_s else []
        self._process = subprocess.Popen(
            [
                *(shutil.which("ffmpeg") or "ffmpeg", "-nostdin", "-v", "error"),
                *("-protocol_whitelist", "file", "-format_whitelist", _DEMUXERS, *place),
                *("-i", self._url, "-map", "0:a:0"),
                *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C ends this program, which then ends ffmpeg
        )
        assert self._process.stdout is not None
        self._stream = self._process.stdout
        header = self._stream.read(24)
        if len(header) < 24:
            reason = self._reported() or "no sound"
            self.close()
            if "matches no streams" in reason:
                raise AudioError(f"{path}: it has no sound")
            raise AudioError(f"{path}: ffmpeg cannot read it: {reason}")
        offset, _, _, rate, n_channels = struct.unpack(">5I", header[4:])
        self._stream.read(offset - 24)
        self.info = AudioInfo(Path(path), rate, n_channels, 0, "FFMPEG", "FLOAT")

    def blocks(self) -> Iterator[Audio]:
        """Yield consecutive samples (n, C) to the end.

        Raises
        ------
        AudioError
            If ffmpeg was stopped.
        """
        width = 4 * self.info.n_channels
        while data := self._stream.read(_CHUNK * width):
            samples = np.frombuffer(data[: len(data) // width * width], ">f4")
            yield samples.astype(np.float32).reshape(-1, self.info.n_channels)
        if (status := self._process.wait()) < 0:
            problem = ChildProcessError(f"ended by signal {-status}")
            raise AudioError(f"{self.info.path}: ffmpeg was stopped (out of memory?)") from problem
        self.problem = self._reported()

    def _reported(self) -> str:
        """Return the first line that ffmpeg wrote, without the addresses in it."""
        self._process.wait()
        self._errors.seek(0)
        for line in self._errors.read(1 << 16).decode("utf-8", "replace").splitlines():
            text = re.sub(r"^\[[^\]]*\]\s*", "", line).strip()
            if text:
                return text.removeprefix(f"{self._url}: ")
        return ""

    def close(self) -> None:
        """End ffmpeg."""
        self._stream.close()
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        self._errors.close()

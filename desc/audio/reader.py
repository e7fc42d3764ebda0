"""`AudioReader`: a file read at any place."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import soundfile

from desc.audio.files import Audio, AudioInfo, errors_named, is_seekable_pcm, probe
from desc.audio.wave_pcm import WavePcm
from desc.errors import AudioError


class AudioReader:
    """Reads a file at any place; kept open, to be used in a `with` statement or closed.

    Parameters
    ----------
    path : path
        Uncompressed audio (see `is_seekable_pcm`), or a FLAC file.

    Attributes
    ----------
    n_channels, n_samples, sample_rate : int
        Of the file.

    Raises
    ------
    AudioError
        If the file cannot be opened, or is of a kind in which seeks are not exact.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with errors_named(path):
            info = probe(path)
            if not is_seekable_pcm(info) and info.format != "FLAC":
                raise AudioError(
                    f"{path}: {info.format} {info.subtype} cannot be read at any place exactly"
                )
            source = WavePcm.open(info) or _SeekedFile(info)
        self._source = source
        self.n_channels: int = source.n_channels
        self.n_samples: int = source.n_samples
        self.sample_rate: int = source.sample_rate

    def read(self, start: int, n: int) -> Audio:
        """Return samples [start, start + n) as (C, n) float32; zeros outside the file.

        The array is the transposed view of one in which the channels alternate: `.T` is
        contiguous.
        """
        first, stop = max(start, 0), min(start + n, self.n_samples)
        if first == start and stop == start + n and n > 0:
            with errors_named(self.path):
                return self._source.read(start, n).T
        result = np.zeros((n, self.n_channels), np.float32)
        if stop > first:
            with errors_named(self.path):
                result[first - start : stop - start] = self._source.read(first, stop - first)
        return result.T

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _SeekedFile:
    """A file libsndfile seeks in."""

    def __init__(self, info: AudioInfo) -> None:
        self._file = soundfile.SoundFile(os.fspath(info.path))
        self.n_samples, self.n_channels = info.n_samples, info.n_channels
        self.sample_rate = info.sample_rate

    def read(self, start: int, n: int) -> Audio:
        self._file.seek(start)
        samples: Audio = self._file.read(n, dtype="float32", always_2d=True)
        return _complete(samples, n, self._file.name)

    def close(self) -> None:
        self._file.close()


def _complete(samples: Audio, n: int, path: object) -> Audio:
    """Return n samples, or refuse fewer."""
    if len(samples) != n:
        raise AudioError(f"{path}: the file is damaged, {len(samples)} of {n} samples decoded")
    return samples

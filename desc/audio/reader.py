"""`AudioReader`: random access to audio files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from desc.audio.files import Audio, errors_named, is_seekable_pcm
from desc.audio.sndfile import SndfileSource
from desc.audio.sound import Sound
from desc.audio.wave_pcm import WavePcm
from desc.errors import AudioError


class AudioReader:
    """Reads a file at random places; use it in a `with` statement, or close it.

    Parameters
    ----------
    path : path
        Uncompressed audio, see `is_seekable_pcm`.

    Attributes
    ----------
    n_channels, n_samples, sample_rate : int
        Of the file.

    Raises
    ------
    AudioError
        If the file cannot be opened, or its format cannot be sought exactly.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        sound = Sound(path)
        info = sound.info
        if not is_seekable_pcm(info):
            sound.close()
            raise AudioError(
                f"{path}: {info.format} {info.subtype} does not support exact random access"
            )
        pcm = WavePcm.open(info)
        if pcm is not None:
            sound.close()
        assert isinstance(sound.source, SndfileSource)
        self._source = pcm or _SeekedFile(sound.source)
        self.n_channels, self.n_samples = info.n_channels, info.n_samples
        self.sample_rate = info.sample_rate

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
    """A file in which libsndfile seeks."""

    def __init__(self, source: SndfileSource) -> None:
        self._source = source

    def read(self, start: int, n: int) -> Audio:
        self._source.seek(start)
        samples: Audio = self._source.file.read(n, dtype="float32", always_2d=True)
        if len(samples) != n:
            raise AudioError(
                f"{self._source.info.path}: the file is damaged, {len(samples)} of {n} samples "
                "decoded"
            )
        return samples

    def close(self) -> None:
        self._source.close()

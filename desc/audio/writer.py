"""`AudioWriter`: atomic block-wise writing; `write_scaled`: two-pass peak normalisation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from desc.audio.files import Audio, check_samples, errors_named
from desc.errors import AudioError
from desc.files import temporary_beside

_WRITE_CHUNK = 1 << 18
"""Samples written at once: libsndfile crashes on 4 M samples of Ogg in one call."""
COMPRESSION = {"VORBIS": 0.2, "OPUS": 0.2, "MPEG_LAYER_III": 0.0}
"""libsndfile's levels for music: about 260 kbit/s of Vorbis, 250 of MP3, in stereo."""
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
LOSSY = {
    ".mp3": ("MPEG_LAYER_III", _MP3_RATES),
    ".oga": ("VORBIS", None),
    ".ogg": ("VORBIS", None),
    ".opus": ("OPUS", (8000, 12000, 16000, 24000, 48000)),
}
"""Sample format of the files with an ending, and the rates in Hz that they can have."""
WAV_LIMIT = (1 << 32) - (1 << 16)
"""Bytes of samples in a WAV, whose sizes are 32-bit numbers, less room for the header."""


class AudioWriter:
    """Writes an audio file in blocks, atomically.

    The samples go to a hidden temporary file in the same folder (made if missing), which is
    renamed on a clean exit from the `with` statement and removed on an exception. In integer
    formats samples are rounded to the nearest step, and clipped beyond full scale.

    A float WAV's bytes differ from run to run: libsndfile writes the time of day into its PEAK
    chunk. The samples are the same.

    Parameters
    ----------
    path : path
        The suffix decides the container: .wav, .rf64, .w64, .flac, .ogg, .aiff …
    sample_rate : int
        In Hz.
    n_channels : int
        Channels of every block.
    subtype : str
        PCM_16, PCM_24, PCM_32, FLOAT, or another that libsndfile offers for the container.

    Raises
    ------
    AudioError
        If the container does not take the subtype, the file cannot be written, a sample is not
        finite, or a WAV grows beyond its 4 GiB.
    """

    def __init__(
        self, path: str | Path, sample_rate: int, n_channels: int, subtype: str = "PCM_24"
    ) -> None:
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.n_channels = n_channels
        self.subtype = subtype
        self.n_samples = 0
        self._format = format_of(self.path, subtype)
        self._partial = temporary_beside(self.path)
        self._file: soundfile.SoundFile | None = None

    def __enter__(self) -> AudioWriter:
        with self._errors_named():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = soundfile.SoundFile(
                str(self._partial),
                "w",
                self.sample_rate,
                self.n_channels,
                self.subtype,
                format=self._format,
                compression_level=COMPRESSION.get(self.subtype),
            )
        return self

    def write(self, block: npt.ArrayLike) -> None:
        """Append samples (C, n); those of a mono file may be (n,)."""
        if self._file is None:
            raise AudioError(f"{self.path}: use an AudioWriter in a with statement")
        samples = np.atleast_2d(np.asarray(block, np.float32)).T  # (n, C)
        if samples.shape[1] != self.n_channels:
            raise AudioError(
                f"{self.path}: a block of shape {np.shape(block)} must be ({self.n_channels}, n)"
            )
        check_samples(samples, self.path, self.n_samples)
        self._check_size(len(samples))
        with self._errors_named():
            for start in range(0, len(samples), _WRITE_CHUNK):
                self._file.write(_rounded(samples[start : start + _WRITE_CHUNK], self.subtype))
        self.n_samples += len(samples)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Turn errors into an `AudioError`; a disk that is full is named as such."""
        with errors_named(self.path, "write"):
            try:
                yield
            except (soundfile.SoundFileError, AssertionError):  # of samples, of their number
                # libsndfile says "System error"; the system tells more at the next write.
                with self._partial.open("ab", buffering=0) as file:
                    for _ in range(2):  # the first one may be partial
                        file.write(bytes(1 << 16))
                raise

    def _check_size(self, n_more: int) -> None:
        n_values = (self.n_samples + n_more) * self.n_channels
        _check_wav(self.path, self._format, n_values * sample_bytes(self.subtype))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is None:
            return
        try:
            with self._errors_named():
                self._file.close()
                if kind is None:
                    os.replace(self._partial, self.path)
        finally:
            self._partial.unlink(missing_ok=True)
            self._file = None


def write(
    path: str | Path, audio: npt.ArrayLike, sample_rate: int, subtype: str = "PCM_24"
) -> None:
    """Write (C, S) or (S,) audio at once; see `AudioWriter`."""
    samples = np.atleast_2d(np.asarray(audio, np.float32))
    with AudioWriter(path, sample_rate, len(samples), subtype) as writer:
        writer.write(samples)


def _rounded(samples: Audio, subtype: str) -> npt.NDArray[Any]:
    """Return samples as the integers of a PCM format, rounded to the nearest and clipped.

    libsndfile would cut the fraction off, which adds half a step of direct current.
    """
    if subtype not in ("PCM_16", "PCM_24", "PCM_32"):
        return np.ascontiguousarray(samples)
    bits = int(subtype[4:])
    scaled = np.rint(samples * np.float32(2.0 ** (bits - 1)))
    # The largest float32 below 2^31 is 128 less, else the largest integer of the format.
    largest = 2.0 ** (bits - 1) - (128 if bits == 32 else 1)
    np.clip(scaled, -(2.0 ** (bits - 1)), largest, out=scaled)
    integers: npt.NDArray[Any] = scaled.astype(np.int16 if bits == 16 else np.int32, order="C")
    # Of 32 bits libsndfile writes the upper ones.
    return integers << 8 if bits == 24 else integers


def format_of(path: Path, subtype: str) -> str:
    """Return libsndfile's name of the container that a suffix stands for.

    Raises
    ------
    AudioError
        If there is none, or it cannot hold samples of this format.
    """
    suffix = path.suffix[1:].upper()
    name = {"AIF": "AIFF", "AIFC": "AIFF", "OGA": "OGG", "OPUS": "OGG", "WAVE": "WAV"}.get(
        suffix, suffix
    )
    if name not in soundfile.available_formats() or not soundfile.check_format(name, subtype):
        raise AudioError(
            f"{path}: a file ending in {path.suffix!r} cannot hold {subtype} samples; .wav can"
        )
    return name


def encoding_of(path: str | Path, subtype: str, sample_rate: int) -> tuple[str, int]:
    """Return the sample format and rate of a file: those wanted, if its ending can hold them.

    MP3, Ogg Vorbis and Opus have a format of their own, and 48 kHz where they lack the rate.
    """
    name, rates = LOSSY.get(Path(path).suffix.lower(), (subtype, None))
    return name, sample_rate if rates is None or sample_rate in rates else 48000


def check_space(path: str | Path, n_samples: int, n_channels: int, subtype: str) -> None:
    """Refuse a file that `write_scaled` cannot write.

    Raises
    ------
    AudioError
        If the container does not take the subtype, a WAV would grow beyond its 4 GiB, or the disk
        has less space than the file needs.
    """
    path, n_values = Path(path), n_samples * n_channels
    n_bytes = n_values * sample_bytes(subtype)
    _check_wav(path, format_of(path, subtype), n_bytes)
    if subtype != "FLOAT" and 4 * n_values > MAX_HELD_BYTES:  # kept beside it until it is scaled
        n_bytes += 4 * n_values
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise AudioError(
            f"{path.parent}: the sound needs {n_bytes / 1e6:.1f} MB, and {free / 1e6:.1f} MB are "
            "free"
        )


def sample_bytes(subtype: str) -> int:
    """Return the size of a sample in an uncompressed file."""
    return {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "DOUBLE": 8}.get(subtype, 4)


def _check_wav(path: Path, format: str, n_bytes: int) -> None:
    if format in ("WAV", "WAVEX") and n_bytes > WAV_LIMIT:
        raise AudioError(f"{path}: a WAV holds at most 4 GiB; name it .w64 or .rf64, or write less")


MAX_HELD_BYTES = 1 << 26
"""Bytes of samples kept in memory until the peak is known; more go to a temporary file in the
output's folder."""


def write_scaled(
    blocks: Iterable[Audio],
    path: str | Path,
    sample_rate: int,
    n_channels: int,
    subtype: str = "PCM_24",
    *,
    gain_of: Callable[[float], float] | None = None,
) -> tuple[float, float]:
    """Write blocks with one gain, by default attenuated if a sample exceeds full scale.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, (C, n)
        Consecutive samples, taken once.
    path, sample_rate, n_channels, subtype
        As for `AudioWriter`. Integer formats hold nothing beyond full scale, FLOAT does and is left
        as it is.
    gain_of : callable, optional
        gain_of(peak) -> gain of the whole file, called after the last block, in any format.

    Returns
    -------
    peak, gain : float
        Largest absolute sample before the gain, and the gain, by default min(1, 1 / peak).

    Raises
    ------
    AudioError
        As `AudioWriter` does; no file is left then.
    """
    path = Path(path)
    if subtype == "FLOAT" and gain_of is None:
        peak = 0.0
        with AudioWriter(path, sample_rate, n_channels, subtype) as writer:
            for block in blocks:
                peak = max(peak, _peak(block))
                writer.write(block)
        return peak, 1.0
    with errors_named(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
    with SpooledTemporaryFile(MAX_HELD_BYTES, dir=str(path.parent)) as held:
        peak = 0.0
        for block in blocks:
            peak = max(peak, _peak(block))
            with errors_named(path, "write"):
                held.write(np.ascontiguousarray(block.T, np.float32).tobytes())
        gain = 1 / max(peak, 1.0) if gain_of is None else gain_of(peak)
        held.seek(0)
        with AudioWriter(path, sample_rate, n_channels, subtype) as writer:
            while data := held.read(4 * n_channels * _WRITE_CHUNK):
                samples = np.frombuffer(data, np.float32).reshape(-1, n_channels).T
                writer.write(samples if gain == 1 else samples * np.float32(gain))
    return peak, gain


def _peak(block: Audio) -> float:
    return max(float(block.max()), -float(block.min())) if block.size else 0.0

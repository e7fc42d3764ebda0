"""Headers, digests and errors of audio files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from desc.errors import AudioError

Audio = npt.NDArray[np.float32]

AUDIO_EXTENSIONS = frozenset(
    f".{suffix}"
    for suffix in (
        *("aif", "aifc", "aiff", "au", "avr", "caf", "flac", "ircam", "mp1", "mp2", "mp3", "nist"),
        *("oga", "ogg", "opus", "paf", "pvf", "rf64", "snd", "voc", "w64", "wav", "wave", "wavex"),
    )
)
"""File name endings, lower case, of what libsndfile reads by itself."""

_SEEKABLE_FORMATS = frozenset(
    {"AIFF", "AU", "AVR", "CAF", "IRCAM", "NIST", "RF64", "W64", "WAV", "WAVEX"}
)
BOUNDED_SUBTYPES = frozenset(
    {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW"}  # within full scale
)
_SEEKABLE_SUBTYPES = BOUNDED_SUBTYPES | {"FLOAT", "DOUBLE"}
_LARGEST_SAMPLE = 1e12
"""Above it the power of a spectrum leaves the range of float32."""


@dataclass(frozen=True)
class AudioInfo:
    """Header of an audio file.

    Attributes
    ----------
    path : Path
        The file.
    sample_rate : int
        Samples per second.
    n_channels : int
        Channels.
    n_samples : int
        Samples per channel at `sample_rate`. Decoding may give up to a tenth of a second
        less: an MP3 without a length in its header has an estimate here.
    format, subtype : str
        libsndfile's names of container and sample format, e.g. `WAV` and `PCM_16`.
    """

    path: Path
    sample_rate: int
    n_channels: int
    n_samples: int
    format: str
    subtype: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate


def probe(path: str | Path) -> AudioInfo:
    """Read the header of an audio file.

    Raises
    ------
    AudioError
        If the file is missing, empty, no audio, or contains no samples.
    """
    with errors_named(path), open_forward(path) as file:
        return read_info(path, file)


def is_seekable_pcm(info: AudioInfo) -> bool:
    """Whether `AudioReader` reads the file at random places, exactly and fast.

    That is uncompressed audio: WAV, RF64, W64, AIFF, AU, CAF … with PCM, float or A/µ-law samples
    (WAV PCM 16/24/32 bit and float: about 10 µs per 2,000 stereo samples, other containers 36).
    FLAC can be read at any place too, but takes 230 µs and more; MP3, Vorbis, Opus and ADPCM files
    are decoded first.
    """
    return info.format in _SEEKABLE_FORMATS and info.subtype in _SEEKABLE_SUBTYPES


def content_digest(path: str | Path) -> str:
    """Return the digest of a file's bytes, 32 hex digits (BLAKE2b)."""
    with errors_named(path), Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that claims not to be seekable, so that soundfile does not seek after every read."""

    def seekable(self) -> bool:
        return False


def open_forward(path: str | Path) -> AbstractContextManager[soundfile.SoundFile]:
    """Open a file for reading from start to end."""
    return _ForwardFile(os.fspath(path))


def read_info(path: str | Path, file: soundfile.SoundFile) -> AudioInfo:
    """Return the header; raise an `AudioError` if there are no samples."""
    if file.frames <= 0:
        raise AudioError(f"{path}: the file contains no samples")
    return AudioInfo(
        Path(path), file.samplerate, file.channels, file.frames, file.format, file.subtype
    )


def check_samples(samples: Audio, path: Path, first: int) -> None:
    """Raise an `AudioError` if samples (n, C), or their power, are not finite."""
    if not samples.size:
        return
    if max(float(samples.max()), -float(samples.min())) <= _LARGEST_SAMPLE:
        return
    bad = np.flatnonzero(~(np.abs(samples) <= _LARGEST_SAMPLE).all(axis=1))[0]
    raise AudioError(
        f"{path}: sample {first + int(bad)} is {samples[bad].tolist()}, must be finite and "
        f"at most {_LARGEST_SAMPLE:g}"
    )


@contextmanager
def errors_named(path: str | Path, action: str = "read") -> Iterator[None]:
    """Turn errors of the system and of libsndfile into an `AudioError` with path and reason."""
    try:
        yield
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror or error}") from error
    except soundfile.SoundFileError as error:
        text = getattr(error, "error_string", str(error)).removeprefix("Error : ")
        reason = _reason(Path(path)) if action == "read" else ""
        raise AudioError(f"{path}: {reason or f'libsndfile cannot {action} it: {text}'}") from error


def _reason(path: Path) -> str:
    """Return the cause of a failure that libsndfile does not report, or an empty text."""
    if not path.exists():
        return "no such file"
    if path.is_dir():
        return "a folder, not an audio file"
    if path.stat().st_size == 0:
        return "the file is empty (0 bytes)"
    if not os.access(path, os.R_OK):
        return "no permission to read it"
    return ""

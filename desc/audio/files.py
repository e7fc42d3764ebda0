"""Headers, digests and errors of audio files."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import soundfile

from desc.audio.containers import no_audio
from desc.errors import AudioError

Audio = npt.NDArray[np.float32]

_SNDFILE = (
    *("aif", "aifc", "aiff", "au", "avr", "caf", "flac", "ircam", "mp1", "mp2", "mp3", "nist"),
    *("oga", "ogg", "opus", "paf", "pvf", "rf64", "snd", "voc", "w64", "wav", "wave", "wavex"),
)
_FFMPEG = (
    *("3gp", "aac", "ac3", "amr", "ape", "m4a", "m4b", "m4v", "mka", "mkv", "mov", "mp4"),
    *("mpc", "spx", "tta", "weba", "webm", "wma", "wmv", "wv"),
)
FFMPEG_EXTENSIONS = frozenset(f".{suffix}" for suffix in _FFMPEG)
"""File name endings, lower case, of sound that is read by the program ffmpeg."""
AUDIO_EXTENSIONS = FFMPEG_EXTENSIONS | {f".{suffix}" for suffix in _SNDFILE}
"""File name endings, lower case, of everything that is read."""
NEEDS_FFMPEG = "libsndfile does not read it; install ffmpeg, and it is read"

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
        Samples per channel at `sample_rate`, as the header claims; 0 if it does not. Decoding may
        give fewer (a file that was cut off) or more (joined recordings).
    format, subtype : str
        libsndfile's names of container and sample format, e.g. `WAV` and `PCM_16`; `FFMPEG` and
        `FLOAT` for what it cannot read.
    """

    path: Path
    sample_rate: int
    n_channels: int
    n_samples: int
    format: str
    subtype: str

    @property
    def duration_s(self) -> float:
        """Length in seconds that the header claims."""
        return self.n_samples / self.sample_rate


def is_seekable_pcm(info: AudioInfo) -> bool:
    """Whether `AudioReader` reads the file at random places, exactly and fast.

    That is uncompressed audio: WAV, RF64, W64, AIFF, AU, CAF … with PCM, float or A/µ-law samples
    (WAV PCM 16/24/32 bit and float: about 10 µs per 2,000 stereo samples, other containers 36).
    FLAC (230 µs and more), MP3, Vorbis, Opus and ADPCM files are decoded first.
    """
    return info.format in _SEEKABLE_FORMATS and info.subtype in _SEEKABLE_SUBTYPES


def content_digest(path: str | Path) -> str:
    """Return the digest of a file's bytes, 32 hex digits (BLAKE2b)."""
    with errors_named(path), Path(path).open("rb") as file:
        return stream_digest(file)


def stream_digest(file: IO[bytes]) -> str:
    """Return the digest of what an open file holds from here on, as that of `content_digest`."""
    digest = hashlib.blake2b(digest_size=16)
    while data := file.read(1 << 18):
        digest.update(data)
    return digest.hexdigest()


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
        text = getattr(error, "error_string", str(error)).removeprefix("Error : ").rstrip(".")
        if text.startswith("File does not exist"):  # libmpg123 found no frame in it
            text = "no sound found"
        reason = _reason(Path(path)) if action == "read" else ""
        raise AudioError(f"{path}: {reason or f'libsndfile cannot {action} it: {text}'}") from error


def check_readable(path: str | Path) -> None:
    """Raise an `AudioError` if there is no file, or one without content or permission."""
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path}: a folder, not an audio file")
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if not os.access(path, os.R_OK):
        raise AudioError(f"{path}: no permission to read it")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty (0 bytes)")


def _reason(path: Path) -> str:
    """Return the cause of a failure that libsndfile does not report, or an empty text."""
    if (kind := no_audio(path)) or path.suffix.lower() not in FFMPEG_EXTENSIONS:
        return kind
    return "neither libsndfile nor ffmpeg can read it" if has_ffmpeg() else NEEDS_FFMPEG


def has_ffmpeg() -> bool:
    """Whether the program ffmpeg is on the path."""
    return shutil.which("ffmpeg") is not None

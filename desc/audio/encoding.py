"""Audio encoded in memory, for pages that embed it, with reproducible bytes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile

from desc.audio.files import Audio, errors_named
from desc.audio.resampling import resample
from desc.audio.sound import Sound
from desc.errors import AudioError

_HEADER = 27  # bytes of a page's header before its table of segments
_SERIAL, _CHECKSUM, _N_SEGMENTS = 14, 22, 26  # their places in it
_REVERSED = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)


def with_serial(data: bytes, serial: int) -> bytes:
    """Return an Ogg file of one stream with a given serial number, 0 to 2^32 − 1.

    Each page of a file carries the number of its stream, which libsndfile draws at random, and a
    checksum (RFC 3533, section 6).
    """
    result = bytearray(data)
    start = 0
    while start < len(result):
        table = start + _HEADER
        n_segments = result[start + _N_SEGMENTS]
        stop = table + n_segments + sum(result[table : table + n_segments])
        struct.pack_into("<I", result, start + _SERIAL, serial)
        struct.pack_into("<I", result, start + _CHECKSUM, 0)
        checksum = crc32(bytes(result[start:stop]))
        struct.pack_into("<I", result, start + _CHECKSUM, checksum)
        start = stop
    return bytes(result)


def crc32(data: bytes) -> int:
    """Return Ogg's checksum: polynomial 04c11db7, from 0, the highest bit first, not inverted.

    It is zlib's of the mirrored bytes, mirrored, without the inversions before and after.
    """
    mirrored = _REVERSED[np.frombuffer(data, np.uint8)].tobytes()
    value = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


_WRITE_CHUNK = 1 << 17
"""Samples written at once: libsndfile crashes on 4 M samples of Ogg in one call."""
_HIGHEST_RATE = 48000
_QUALITIES = (0.5, 0.75, 1.0)
"""libsndfile's compression levels of Vorbis: about 125, 80 and 45 kbit/s in stereo."""
_FLAC_BITS = (14, 12)
_LEAST_SHARE = 0.3
"""FLAC is hardly ever less of the samples; where that exceeds the limit, it is not tried."""


def encode_ogg(audio: Audio, sample_rate: int, max_bytes: int) -> bytes:
    """Return audio as Ogg Vorbis of at most `max_bytes`, at the best quality that fits.

    Equal audio gives equal bytes.

    Parameters
    ----------
    audio : ndarray of float32, (C, S)
        At least one sample; clipped at full scale.
    sample_rate : int
        In Hz.
    max_bytes : int
        Exceeded if the lowest quality needs more.
    """
    samples = np.ascontiguousarray(np.clip(audio, -1, 1).T, np.float32)
    for quality in _QUALITIES:
        encoded = _encode(samples, sample_rate, "OGG", "VORBIS", compression_level=quality)
        if len(encoded) <= max_bytes:
            break
    return with_serial(encoded, 0)


def encode_fast(audio: Audio, sample_rate: int, max_bytes: int) -> bytes:
    """Return audio as FLAC of at most `max_bytes`, or as Ogg Vorbis where that is impossible.

    FLAC takes a fifth of the time, and up to 6 times the bytes. It has 14 bits, with noise at
    −86 dB, or 12 where these are too many. Parameters are those of `encode_ogg`.
    """
    for bits in _FLAC_BITS:
        if audio.size * bits / 8 * _LEAST_SHARE <= max_bytes:
            samples = _in_16_bits(audio, bits)
            encoded = _encode(samples, sample_rate, "FLAC", "PCM_16", compression_level=0.5)
            if len(encoded) <= max_bytes:
                return encoded
    return encode_ogg(audio, sample_rate, max_bytes)


def playable(audio: Audio, sample_rate: int) -> tuple[Audio, int]:
    """Return (C, S) audio as browsers play it, and its rate: at most 48 kHz and two channels.

    More than two channels become their mean.
    """
    if len(audio) > 2:
        audio = audio.mean(0, keepdims=True)
    rate = min(sample_rate, _HIGHEST_RATE)
    return resample(audio, sample_rate, rate), rate


def encode_wav(audio: Audio, sample_rate: int) -> bytes:
    """Return (C, S) audio as a 16-bit WAV."""
    return _encode(_in_16_bits(audio), sample_rate, "WAV", "PCM_16")


def _in_16_bits(audio: Audio, used: int = 16) -> np.ndarray:
    """Return (S, C) 16-bit samples whose last bits, but for those used, are 0."""
    largest, step = (1 << (used - 1)) - 1, 1 << (16 - used)
    samples = np.rint(np.clip(audio, -1, 1) * largest).astype(np.int16) * np.int16(step)
    return np.stack(list(samples), 1)  # a third of the time of copying the transposed array


def _encode(
    samples: np.ndarray, sample_rate: int, container: str, subtype: str, **settings: float
) -> bytes:
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", sample_rate, samples.shape[1], subtype, format=container, **settings
    ) as file:
        for start in range(0, len(samples), _WRITE_CHUNK):
            file.write(samples[start : start + _WRITE_CHUNK])
    return buffer.getvalue()


def decode(data: bytes) -> tuple[Audio, int]:
    """Return the (C, S) audio of an encoded file and its sample rate.

    Raises
    ------
    AudioError
        If the bytes are no audio file.
    """
    try:
        samples, sample_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise AudioError(f"encoded audio cannot be read: {error}") from error
    return samples.T, sample_rate


def read_excerpt(path: str | Path, start_s: float, duration_s: float) -> tuple[Audio, int]:
    """Return a piece of a file, (C, S) at its own sample rate, and that rate.

    For display and listening: libsndfile seeks, which may be off by some samples in MP3 and Vorbis
    files. Samples outside the file are left out.

    Raises
    ------
    AudioError
        If the file cannot be read.
    """
    with errors_named(path), Sound(path) as sound:
        rate = sound.info.sample_rate
        start = max(0, round(start_s * rate))
        samples = sound.excerpt(start, max(0, round((start_s + duration_s) * rate) - start))
    return samples.T, rate

"""Decoding from start to end, and resampling."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from desc.audio.files import (
    BOUNDED_SUBTYPES,
    Audio,
    AudioInfo,
    check_samples,
    errors_named,
    open_forward,
    read_info,
)
from desc.audio.reader import WavePcm
from desc.errors import AudioError

_CHUNK = 1 << 14
"""Samples read or resampled at once: they stay in the cache."""
_SNDFILE_CHUNK = 1 << 16
"""Samples decoded at once by libsndfile, whose calls cost more."""


def read_mono_blocks(
    path: str | Path,
    sample_rate: int | None = None,
    block_length: int = 1 << 16,
    *,
    speed: float = 1.0,
) -> Iterator[Audio]:
    """Decode a file in blocks: average its channels and resample.

    The samples are those of `librosa.load(path, sr=sample_rate)`: the mean of the channels,
    resampled by soxr at high quality; their number is ceil(n_samples · sample_rate / native rate).
    They do not depend on `block_length`. Memory is that of a block.

    Parameters
    ----------
    path : path
        An audio file.
    sample_rate : int, optional
        Rate of the result in Hz; by default the file's own.
    block_length : int
        Samples per block; the last one is shorter.
    speed : float
        Playback speed, as of a tape: 2 is an octave higher and half as long.

    Yields
    ------
    ndarray of float32, (S,)
        Consecutive samples.

    Raises
    ------
    AudioError
        If the file cannot be decoded to its end, contains no samples, or holds a sample that is not
        finite (the message says which).
    """
    with errors_named(path), open_forward(path) as file:
        info = read_info(path, file)
        blocks = _decoded_blocks(info, file, mono=True)
        rate = info.sample_rate if sample_rate is None else sample_rate
        blocks = resampled_blocks(blocks, speed * info.sample_rate, rate, 1)
        for block in _blocks_of_length(blocks, block_length):
            yield block[:, 0]


def mono_blocks(
    samples: Audio,
    source_rate: float,
    sample_rate: int,
    block_length: int = 1 << 16,
    *,
    speed: float = 1.0,
) -> Iterator[Audio]:
    """Mix and resample samples in memory, bit for bit as `read_mono_blocks` a file of them.

    Parameters
    ----------
    samples : ndarray of float32, (S, C)
        Finite, full scale 1.
    source_rate : float
        Their rate in Hz.
    sample_rate, block_length, speed
        As in `read_mono_blocks`.

    Yields
    ------
    ndarray of float32, (S,)
        Consecutive samples.
    """
    mix = np.full(samples.shape[1], 1 / samples.shape[1], np.float32)
    blocks: Iterator[Audio] = (
        samples[start : start + _CHUNK] for start in range(0, len(samples), _CHUNK)
    )
    if samples.shape[1] > 1:
        blocks = ((block @ mix)[:, None] for block in blocks)
    blocks = resampled_blocks(blocks, speed * source_rate, sample_rate, 1)
    for block in _blocks_of_length(blocks, block_length):
        yield block[:, 0]


def read_blocks(
    path: str | Path, sample_rate: int | None = None, block_length: int = 1 << 16
) -> Iterator[Audio]:
    """Decode a file in blocks with all its channels, as `read_mono_blocks`.

    Yields
    ------
    ndarray of float32, (C, S)
        Consecutive samples.
    """
    with errors_named(path), open_forward(path) as file:
        info = read_info(path, file)
        blocks = _decoded_blocks(info, file, mono=False)
        rate = info.sample_rate if sample_rate is None else sample_rate
        blocks = resampled_blocks(blocks, info.sample_rate, rate, info.n_channels)
        for block in _blocks_of_length(blocks, block_length):
            yield block.T


def read(path: str | Path, sample_rate: int | None = None) -> Audio:
    """Return a whole file, (C, S) float32, at its own rate or at `sample_rate`.

    Raises
    ------
    AudioError
        As `read_mono_blocks`.
    """
    return np.concatenate(list(read_blocks(path, sample_rate)), axis=1)


def resampled_length(n_samples: int, source_rate: float, target_rate: float) -> int:
    """Return the number of samples after resampling, librosa's ceil(n · ratio).

    The product is taken in floating point, as librosa does, so that the number is the same also
    where rounding lifts it above an integer.
    """
    if source_rate == target_rate:
        return n_samples
    return math.ceil(n_samples * (float(target_rate) / source_rate))


def resample(audio: Audio, source_rate: int, target_rate: int) -> Audio:
    """Resample (C, S) audio by soxr at high quality, the resampler of extraction.

    Returns
    -------
    ndarray of float32, (C, resampled_length(S, source_rate, target_rate))
    """
    if source_rate == target_rate:
        return audio
    samples = np.ascontiguousarray(audio.T, np.float32)
    chunks = (samples[i : i + _CHUNK] for i in range(0, len(samples), _CHUNK))
    blocks = list(resampled_blocks(chunks, source_rate, target_rate, samples.shape[1]))
    return np.concatenate(blocks).T if blocks else np.zeros((len(audio), 0), np.float32)


def _decoded_blocks(info: AudioInfo, file: soundfile.SoundFile, *, mono: bool) -> Iterator[Audio]:
    """Yield consecutive (n, C) samples, or (n, 1) of their mean."""
    mix = np.full(info.n_channels, 1 / info.n_channels, np.float32)
    pcm = WavePcm.open(info)
    position = 0
    try:
        while True:
            if pcm is not None:
                n = min(_CHUNK, info.n_samples - position)
                block = pcm.read(position, n)
            else:
                block = file.read(_SNDFILE_CHUNK, dtype="float32", always_2d=True)
            if not len(block):
                break
            if mono and info.n_channels > 1:
                block = (block @ mix)[:, None]
            if info.subtype not in BOUNDED_SUBTYPES:
                check_samples(block, info.path, position)
            position += len(block)
            yield block
    finally:
        if pcm is not None:
            pcm.close()
    # An MP3's header may be an estimate; if more is missing, the file is damaged.
    if position < info.n_samples - info.sample_rate // 10 or position == 0:
        raise AudioError(
            f"{info.path}: the file ends after {position} of {info.n_samples} samples; "
            "it is cut off or damaged"
        )


def resampled_blocks(
    blocks: Iterable[Audio], source_rate: float, target_rate: float, n_channels: int
) -> Iterator[Audio]:
    """Resample consecutive (n, C) blocks, to exactly the length of `resampled_length`.

    The result does not depend on where the blocks are cut.
    """
    if source_rate == target_rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(source_rate, target_rate, n_channels, "float32", "HQ")
    n_read = n_written = 0
    for block in blocks:
        n_read += len(block)
        resampled = stream.resample_chunk(np.ascontiguousarray(block))
        n_written += len(resampled)
        if len(resampled):
            yield resampled
    rest = stream.resample_chunk(np.zeros((0, n_channels), np.float32), last=True)
    # The stream rounds its length to the nearest sample, librosa up and fills with a zero.
    n_missing = resampled_length(n_read, source_rate, target_rate) - n_written
    rest = rest[:n_missing]
    yield np.concatenate([rest, np.zeros((n_missing - len(rest), n_channels), np.float32)])


def _blocks_of_length(blocks: Iterator[Audio], length: int) -> Iterator[Audio]:
    """Cut consecutive (n, C) blocks into blocks of one length; only the last is shorter."""
    if length < 1:
        raise AudioError(f"block_length={length} must be at least 1")
    held: list[Audio] = []
    n_held = 0
    for block in blocks:
        held.append(block)
        n_held += len(block)
        if n_held < length:
            continue
        joined = held[0] if len(held) == 1 else np.concatenate(held)
        n_whole = n_held - n_held % length
        for start in range(0, n_whole, length):
            yield joined[start : start + length]
        held, n_held = [joined[n_whole:]], n_held - n_whole
    if n_held:
        yield np.concatenate(held)

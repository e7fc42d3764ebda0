"""Decoding from start to end: blocks of one length, mono or with all channels."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from desc.audio.files import BOUNDED_SUBTYPES, Audio, check_samples, errors_named
from desc.audio.plausibility import Plausibility
from desc.audio.resampling import resampled_blocks
from desc.audio.sound import Sound
from desc.errors import AudioError

logger = logging.getLogger(__name__)

_CHUNK = 1 << 14
"""Samples mixed at once: they stay in the processor's cache."""


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
        If the file cannot be opened, contains no samples, or holds a sample that is not finite
        (the message says which).

    Notes
    -----
    After the last block a line of the log says what is odd about the file: an end that is missing,
    joined recordings, channels that cancel, silence, …
    """
    with errors_named(path), Sound(path) as sound:
        native = sound.info.sample_rate
        plausibility = Plausibility(sound.info)
        blocks = _mixed(_checked_blocks(sound), sound.info.n_channels, plausibility)
        rate = native if sample_rate is None else sample_rate
        blocks = resampled_blocks(blocks, speed * native, rate, 1)
        for block in _blocks_of_length(blocks, block_length):
            yield block[:, 0]
        for note in (*sound.notes, *plausibility.notes()) if speed == 1 else ():
            logger.warning("%s: %s", path, note)


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
    blocks: Iterator[Audio] = (
        samples[start : start + _CHUNK] for start in range(0, len(samples), _CHUNK)
    )
    blocks = _mixed(blocks, samples.shape[1])
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
    with errors_named(path), Sound(path) as sound:
        info = sound.info
        rate = info.sample_rate if sample_rate is None else sample_rate
        blocks = resampled_blocks(_checked_blocks(sound), info.sample_rate, rate, info.n_channels)
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


def _checked_blocks(sound: Sound) -> Iterator[Audio]:
    """Yield the samples (n, C) of a recording, all finite."""
    position = 0
    for block in sound.blocks():
        if sound.info.subtype not in BOUNDED_SUBTYPES:
            check_samples(block, sound.path, position)
        position += len(block)
        yield block


def _mixed(
    blocks: Iterator[Audio], n_channels: int, plausibility: Plausibility | None = None
) -> Iterator[Audio]:
    """Yield the mean (n, 1) of the channels."""
    weights = np.full(n_channels, 1 / n_channels, np.float32)
    for block in blocks:
        mix = (block @ weights)[:, None] if n_channels > 1 else block
        if plausibility is not None:
            plausibility.add(block, mix)
        yield mix


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

"""Resampling, in blocks or at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from desc.audio.files import Audio

_CHUNK = 1 << 14
"""Samples resampled at once: they stay in the processor's cache."""
_LARGEST_BLOCK = 1 << 20
"""Samples per channel that one call of the resampler may give."""


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
    for block in _bounded(blocks, max(1, int(_LARGEST_BLOCK * source_rate / target_rate))):
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


def _bounded(blocks: Iterable[Audio], longest: int) -> Iterator[Audio]:
    """Cut blocks into pieces of at most `longest` samples."""
    for block in blocks:
        for start in range(0, len(block), longest):
            yield block[start : start + longest]

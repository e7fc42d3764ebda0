"""Files that are turned down as a whole where their samples go beyond full scale."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np

from desc.audio.decoding import read_blocks
from desc.audio.files import Audio
from desc.audio.writer import AudioWriter

MAX_HELD_VALUES = 1 << 24
"""Samples times channels kept in memory until the peak is known, 64 MB; of longer files they go to
a temporary file beside the output."""


def write_scaled(
    blocks: Iterable[Audio],
    path: str | Path,
    sample_rate: int,
    n_channels: int,
    subtype: str = "PCM_24",
) -> tuple[float, float]:
    """Write blocks so that none of their samples is clipped.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, (C, n)
        Consecutive samples, taken once.
    path, sample_rate, n_channels, subtype
        As for `AudioWriter`. Integer formats hold nothing beyond full scale, FLOAT does and is left
        as it is.

    Returns
    -------
    peak, gain : float
        Largest absolute sample, and the factor on the whole file, 1 / peak at the most 1.

    Raises
    ------
    AudioError
        As `AudioWriter` does; no file is left then.
    """
    peak, gain = 0.0, 1.0

    def measured() -> Iterator[Audio]:
        nonlocal peak
        for block in blocks:
            if block.size:
                peak = max(peak, float(block.max()), -float(block.min()))
            yield block

    with _kept(measured(), Path(path), sample_rate, n_channels, wait=subtype != "FLOAT") as kept:
        if subtype != "FLOAT":
            gain = 1 / max(peak, 1.0)
        with AudioWriter(path, sample_rate, n_channels, subtype) as writer:
            for block in kept:
                writer.write(block if gain == 1 else block * np.float32(gain))
    return peak, gain


@contextmanager
def _kept(
    blocks: Iterator[Audio], path: Path, sample_rate: int, n_channels: int, *, wait: bool
) -> Iterator[Iterable[Audio]]:
    """Yield the blocks; if they are to wait, when the last of them is known."""
    if not wait:
        yield blocks
        return
    held: list[Audio] = []
    n_values = 0
    for block in blocks:
        held.append(block)
        n_values += block.size
        if n_values > MAX_HELD_VALUES:
            break
    else:
        yield held
        return
    with _spooled(chain(held, blocks), path, sample_rate, n_channels) as temporary:
        held.clear()
        yield read_blocks(temporary)


@contextmanager
def _spooled(
    blocks: Iterable[Audio], path: Path, sample_rate: int, n_channels: int
) -> Iterator[Path]:
    """Put blocks (C, n) into a hidden float file beside `path`, which goes with the context."""
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.mix.w64")
    try:
        with AudioWriter(temporary, sample_rate, n_channels, "FLOAT") as writer:
            for block in blocks:
                writer.write(block)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)

"""Recordings that are slow to seek in, decoded and resampled once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from desc import audio
from desc.errors import AudioError
from desc.storage.layout import Layout
from desc.storage.maintenance import touch

WAV_BYTES = 4_000_000_000  # a WAV holds little more; longer audio goes to an RF64 file


def seekable_copy(
    path: Path, digest: str, sample_rate: int, layout: Layout, identify: Callable[[Path], str]
) -> Path:
    """Return a file with a recording's sound at `sample_rate` that is fast to seek in.

    See `DescriptorStore.audio_path`; `identify` returns the digest of what a file holds now.
    """
    if not path.exists():
        copy = _find(layout, digest, sample_rate, 0)
        if copy is not None:
            return copy
    info = audio.probe(path)
    if info.sample_rate == sample_rate and audio.is_seekable_pcm(info):
        return path
    n_samples = audio.resampled_length(info.n_samples, info.sample_rate, sample_rate)
    content = identify(path)
    copy = _find(layout, content, sample_rate, n_samples)
    if copy is not None:
        return copy
    is_long = 4 * n_samples * info.n_channels > WAV_BYTES
    target = layout.audio(content, sample_rate, ".rf64" if is_long else ".wav")
    with audio.AudioWriter(target, sample_rate, info.n_channels, "FLOAT") as writer:
        for block in audio.read_blocks(path, sample_rate):
            writer.write(block)
    return target


def _find(layout: Layout, digest: str, sample_rate: int, n_samples: int) -> Path | None:
    """Return a whole decoded copy of a content; headers may be a tenth of a second off."""
    for suffix in (".wav", ".rf64"):
        path = layout.audio(digest, sample_rate, suffix)
        if path.exists() and _holds(path, n_samples - sample_rate // 10):
            touch(path)
            return path
    return None


def _holds(path: Path, n_samples: int) -> bool:
    try:
        return audio.probe(path).n_samples >= n_samples
    except AudioError:
        return False

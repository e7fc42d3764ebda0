"""Extraction: a recording becomes a `DescriptorSequence`, in blocks.

Equal to librosa's `load`, `feature.mfcc` and `feature.delta` (and its other features with the
spectrum given), but without the whole file in memory: frames are analysed in batches that stay in
the cache. Batches begin at fixed frames, so the result does not depend on how the samples arrive.
Only the log mel spectrum is kept until the end of the file (79 MB per hour at the defaults),
because `top_db` is relative to the file's loudest band; with `top_db=None` it is not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc import audio
from desc.configuration import check, check_number
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.deltas import append_deltas
from desc.descriptors.features import FEATURES, needs_exact_power
from desc.descriptors.frames import Frames
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, ConfigurationError

Array = npt.NDArray[np.float32]

_BATCH_SAMPLES = 1 << 18
"""Samples in the windows of a batch: 128 frames of 2048, 1 MB, which the cache holds."""
_SHOWN_BYTES = 1 << 24


def extract(
    recording: str | Path | npt.NDArray[Any],
    config: DescriptorConfig = DescriptorConfig(),
    *,
    sr: float | None = None,
    source: str | None = None,
    digest: str | None = None,
    speed: float = 1.0,
) -> DescriptorSequence:
    """Compute the descriptors of a recording.

    Samples give the same descriptors as a file with these samples, bit for bit.

    Parameters
    ----------
    recording : path or ndarray, (S,) or (S, C)
        An audio file of any rate and channel count; or samples with full scale 1, or of an integer
        type with that type's full scale.
    config : DescriptorConfig
        Settings of extraction.
    sr : float, optional
        Rate of the samples in Hz. Required with an array, refused with a path.
    source : str, optional
        Name to keep, by default the file's name, or `array`.
    digest : str, optional
        Digest of the content, if known; otherwise it is computed.
    speed : float
        Playing speed, as of a tape: 2 is an octave higher and half as long. At another speed than
        1 the sequence has digest and source of its own (see `variant_digest`).

    Returns
    -------
    DescriptorSequence

    Raises
    ------
    AudioError
        If the file cannot be read, or samples are missing or not finite.
    ConfigurationError
        If `sr` is missing or not positive, or the array has another shape or type.

    Examples
    --------
    >>> import numpy as np
    >>> extract(np.zeros(44100), sr=44100).values.shape
    (44, 51)
    """
    if isinstance(recording, np.ndarray):
        name = "array" if source is None else source
        samples, rate = _checked_samples(recording, sr, name)
        blocks = audio.mono_blocks(samples, rate, config.sample_rate, speed=speed)
        digest = _samples_digest(samples, rate) if digest is None else digest
    else:
        check(sr is None, "sr", sr, f"not be given with a path: {recording} has a rate of its own")
        name = Path(recording).name if source is None else source
        blocks = audio.read_mono_blocks(recording, config.sample_rate, speed=speed)
        digest = audio.content_digest(recording) if digest is None else digest
    values, n_samples = extract_signal(blocks, config)
    if speed != 1:
        digest, name = variant_digest(digest, speed), f"{name} at {speed:g}"
    return DescriptorSequence(values, config, name, digest, n_samples)


def _checked_samples(samples: npt.NDArray[Any], sr: float | None, name: str) -> tuple[Array, float]:
    """Return samples as float32 (S, C) and their rate; raise the errors of `extract`."""
    if sr is None:
        raise ConfigurationError(f"{name}: samples need their rate: extract(samples, sr=44100)")
    check_number("sr", sr, above=0.0)
    shape, kind = samples.shape, samples.dtype.kind
    is_layout = samples.ndim == 1 or (samples.ndim == 2 and 0 < shape[1] <= max(shape[0], 1))
    if not is_layout:
        raise ConfigurationError(
            f"{name}: samples of shape {shape} must be (S,) or (S, C); transpose (C, S)"
        )
    if not samples.size:
        raise AudioError(f"{name}: the array contains no samples")
    if kind not in "fiu":
        raise ConfigurationError(f"{name}: samples of type {samples.dtype} must be real numbers")
    if kind in "iu":
        half = 2.0 ** (8 * samples.dtype.itemsize - 1)
        samples = (samples - (half if kind == "u" else 0.0)) / half
    result = np.ascontiguousarray(samples.reshape(shape[0], -1), np.float32)
    audio.check_samples(result, Path(name), 0)
    return result, float(sr)


def _samples_digest(samples: Array, rate: float) -> str:
    """Return a digest of samples (S, C) and their rate, 32 hex digits."""
    digest = hashlib.blake2b(f"{samples.shape} {rate:g} ".encode(), digest_size=16)
    digest.update(samples.data)
    return digest.hexdigest()


def variant_digest(digest: str, speed: float) -> str:
    """Return the digest of a speed-perturbed recording, from its digest and the speed."""
    return f"{digest}-{speed:g}"


def variant_of(digest: str) -> tuple[str, float]:
    """Return content digest and speed of a variant's digest; of other digests, themselves and 1."""
    content, _, speed = digest.partition("-")
    return content, float(speed or 1)


def extract_signal(
    blocks: Iterable[Array], config: DescriptorConfig, *, loudest_db: float | None = None
) -> tuple[Array, int]:
    """Compute the descriptors of a signal that arrives in blocks.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, (S,)
        Consecutive samples at `config.sample_rate`.
    config : DescriptorConfig
        Settings of extraction.
    loudest_db : float, optional
        Level to which `top_db` is relative, by default that of the signal's loudest band. With
        the level of its recording (`loudest_band_db`), an excerpt gets the recording's columns.

    Returns
    -------
    values : ndarray of float32, (T, D)
        T is 1 + n_samples // hop_length; columns as `config.names`.
    n_samples : int
        Length of the signal.

    Raises
    ------
    AudioError
        If there are no samples.
    """
    counter = _Counter(blocks)
    families = [FEATURES[name] for name in config.descriptors]
    analyses: list[list[Array]] = [[] for _ in families]
    for frames in batches(counter, config):
        for feature, results in zip(families, analyses, strict=True):
            results.append(feature.analyse(frames))
    static = [
        feature.finish(results, config, loudest_db)
        for feature, results in zip(families, analyses, strict=True)
    ]
    return append_deltas(np.concatenate(static, axis=1), config), counter.n_samples


def loudest_band_db(blocks: Iterable[Array], config: DescriptorConfig) -> float:
    """Return the level of a signal's loudest mel band in dB, the reference of `top_db`.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, (S,)
        Consecutive samples at `config.sample_rate`.
    config : DescriptorConfig
        The bands.

    Raises
    ------
    AudioError
        If there are no samples.
    """
    return max(float(frames.log_mel.max()) for frames in batches(blocks, config))


class _Counter:
    """Counts the samples of blocks as they pass."""

    def __init__(self, blocks: Iterable[Array]) -> None:
        self._blocks = blocks
        self.n_samples = 0

    def __iter__(self) -> Iterator[Array]:
        for block in self._blocks:
            self.n_samples += len(block)
            yield block


def frames_per_batch(config: DescriptorConfig) -> int:
    """Return the number of frames that are analysed at once."""
    return max(1, min(256, _BATCH_SAMPLES // config.n_fft))


def batches(
    blocks: Iterable[Array], config: DescriptorConfig, first_frame: int = 0
) -> Iterator[Frames]:
    """Cut a signal into batches of frames, centred, with zeros before and after.

    The arrays of a batch are overwritten by the next.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, (S,)
        Consecutive samples at `config.sample_rate`.
    config : DescriptorConfig
        Settings of extraction.
    first_frame : int
        First frame of a batch of the whole signal. Above 0 the samples are those from the window of
        that frame on, n_fft // 2 before its centre.
    """
    n_fft, hop = config.n_fft, config.hop_length
    batch_size = frames_per_batch(config)
    advance = batch_size * hop
    # What one batch leaves to the next; with hops beyond the window the gap as well.
    overlap = max(n_fft, hop) - hop
    # glibc returns the memory of every batch to the system until it has seen a larger array freed,
    # and fetching it back doubles the time of a batch: it is shown one, which is never touched.
    np.empty(_SHOWN_BYTES, np.uint8)
    buffer = np.zeros(overlap + advance, np.float32)
    scratch = np.empty((batch_size, n_fft), np.float32)
    exact = needs_exact_power(config)
    # Samples held; first of them that belongs to the recording.
    filled = start = 0 if first_frame else n_fft // 2
    n_done = first_frame
    n_samples = first_frame * hop - n_fft // 2 if first_frame else 0
    for block in blocks:
        n_samples += len(block)
        position = 0
        while position < len(block):
            n = min(len(block) - position, len(buffer) - filled)
            buffer[filled : filled + n] = block[position : position + n]
            filled += n
            position += n
            if filled == len(buffer):
                yield Frames(buffer, slice(start, filled), batch_size, config, scratch, exact)
                n_done += batch_size
                buffer[:overlap] = buffer[advance:]
                filled, start = overlap, max(0, start - advance)
    if n_samples <= 0:
        raise AudioError("the recording contains no samples")
    buffer[filled:] = 0
    stop = filled
    for n_left in range(config.n_frames(n_samples) - n_done, 0, -batch_size):
        yield Frames(buffer, slice(start, stop), min(n_left, batch_size), config, scratch, exact)
        buffer[:overlap] = buffer[advance:]
        buffer[overlap:] = 0
        start, stop = max(0, start - advance), max(0, stop - advance)

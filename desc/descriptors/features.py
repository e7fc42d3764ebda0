"""The descriptor families: one function each, from a batch of analysis frames to columns.

`FEATURES` is keyed like `FAMILIES`. A family whose columns need more than the batch (MFCC the
loudest band of the file, f0 the last voiced frame) has a second function that finishes all
batches. Frame t is centred on sample t·hop_length; the recording is continued by zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.fft

from desc.configuration import check
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.families import FAMILIES, Family
from desc.descriptors.filterbanks import (
    banded_mel_filters,
    chroma_filters,
    cosine_transform,
    hann_window,
)
from desc.descriptors.pitch import hold_unvoiced, yin

Array = npt.NDArray[np.float32]

_POWER_FLOOR = np.float32(1e-10)
"""Smallest power before a logarithm is taken: librosa's `amin`."""
_STILL = 1e-10
"""Samples this close to zero count as positive in zero crossings: librosa's `threshold`."""
_ROLLOFF_SHARE = 0.85
_DEEP_DB = 90.0
_EXACT_FAMILIES = frozenset({"centroid", "flatness", "rolloff", "rms", "chroma"})


@dataclass(frozen=True, eq=False)
class Frames:
    """A batch of B consecutive analysis frames, and what families share of them.

    Attributes
    ----------
    signal : ndarray of float32, (S,)
        Samples from the first of the first frame to the last of the last, padding included.
    inside : slice
        The part of `signal` that belongs to the recording; the rest is zeros.
    n_frames : int
        B.
    config : DescriptorConfig
        Window length, hop and rate.
    scratch : ndarray of float32, (at least B, n_fft)
        Room for the windowed frames; kept from batch to batch it stays in the cache.
    """

    signal: Array
    inside: slice
    n_frames: int
    config: DescriptorConfig
    scratch: Array

    @cached_property
    def samples(self) -> Array:
        """(B, n_fft) view of the signal."""
        n_fft, hop = self.config.n_fft, self.config.hop_length
        step = self.signal.strides[0]
        return np.lib.stride_tricks.as_strided(
            self.signal, (self.n_frames, n_fft), (hop * step, step), writeable=False
        )

    @cached_property
    def power(self) -> Array:
        """(B, 1 + n_fft // 2) squared magnitudes of the Hann-windowed spectrum."""
        if self._is_exact:
            return np.square(self.magnitude)
        windowed = self.scratch[: self.n_frames]
        np.multiply(self.samples, hann_window(self.config.n_fft), out=windowed)
        spectrum = scipy.fft.rfft(windowed, axis=1)
        power: Array = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        return power

    @cached_property
    def magnitude(self) -> Array:
        """(B, 1 + n_fft // 2) magnitudes of the Hann-windowed spectrum, those of librosa."""
        window = hann_window(self.config.n_fft, np.float64)
        spectrum = scipy.fft.rfft(self.samples * window, axis=1, overwrite_x=True)
        magnitude: Array = np.abs(spectrum.astype(np.complex64))
        return magnitude

    @property
    def _is_exact(self) -> bool:
        """Whether the spectrum is computed in double precision, which takes twice the time.

        The rounding of single precision lies some 130 dB below the loudest bin. MFCC do not need
        more where `top_db` cuts above that. But flatness hears it in the quiet bins of lossy
        files, and it moves the rolloff across a bin now and then.
        """
        top_db = self.config.top_db
        is_deep = "mfcc" in self.config.descriptors and (top_db is None or top_db > _DEEP_DB)
        return is_deep or not _EXACT_FAMILIES.isdisjoint(self.config.descriptors)

    @cached_property
    def frequencies(self) -> Array:
        """(1 + n_fft // 2,) centre of each bin in Hz."""
        n_fft, rate = self.config.n_fft, self.config.sample_rate
        return np.fft.rfftfreq(n_fft, 1 / rate).astype(np.float32)


def mfcc(frames: Frames) -> Array:
    """Return log mel spectra (B, n_mels) in dB; without `top_db` already the MFCC (B, n_mfcc)."""
    mel = log_mel(frames)
    return _cepstrum(mel, frames.config) if frames.config.top_db is None else mel


def log_mel(frames: Frames) -> Array:
    """Return log mel spectra (B, n_mels) in dB, at least -100."""
    config = frames.config
    mel = banded_mel_filters(config.sample_rate, config.n_fft, config.n_mels)(frames.power)
    np.maximum(mel, _POWER_FLOOR, out=mel)
    np.log10(mel, out=mel)
    mel *= 10
    return mel


def finish_mfcc(
    batches: list[Array], config: DescriptorConfig, loudest_db: float | None = None
) -> Array:
    """Raise the log mel spectra to `top_db` below the loudest band; return the MFCC.

    The loudest band is the batches' own unless its level is given.
    """
    if config.top_db is None:
        return np.concatenate(batches)
    if loudest_db is None:
        loudest_db = max(float(batch.max()) for batch in batches)
    floor = np.float32(loudest_db - config.top_db)
    return np.concatenate([_cepstrum(np.maximum(batch, floor), config) for batch in batches])


def _cepstrum(log_mel: Array, config: DescriptorConfig) -> Array:
    # In float64: in float32 the sums of 128 large numbers lose the small coefficients of silence.
    transform = cosine_transform(config.n_mels, config.n_mfcc)
    return (log_mel.astype(np.float64) @ transform).astype(np.float32)


def centroid(frames: Frames) -> Array:
    """Return the mean frequency in Hz, weighted by magnitude, (B, 1); 0 of silence."""
    total = frames.magnitude.sum(1, keepdims=True)
    total[total < np.finfo(np.float32).tiny] = 1
    mean: Array = (frames.magnitude @ frames.frequencies)[:, None] / total
    return mean


def flatness(frames: Frames) -> Array:
    """Return the geometric over the arithmetic mean of the power, 0 … 1, (B, 1); 1 of silence."""
    power = np.maximum(frames.power, _POWER_FLOOR)
    arithmetic = power.mean(1, keepdims=True)
    geometric = np.exp(np.log(power, out=power).mean(1, keepdims=True))
    ratio: Array = geometric / arithmetic
    return ratio


def rolloff(frames: Frames) -> Array:
    """Return the frequency in Hz below which .85 of the magnitude lies, (B, 1)."""
    cumulative = np.cumsum(frames.magnitude, axis=1)
    reached = cumulative >= np.float32(_ROLLOFF_SHARE) * cumulative[:, -1:]
    frequency: Array = frames.frequencies[reached.argmax(1)]
    return frequency[:, None]


def rms(frames: Frames) -> Array:
    """Return the root of the mean square, computed from the spectrum, (B, 1)."""
    power = frames.power
    # The spectrum's other half mirrors all bins but the first and the last.
    total = power.sum(1) - 0.5 * (power[:, 0] + power[:, -1])
    root: Array = np.sqrt(2 * total / np.float32(frames.config.n_fft) ** 2)
    return root[:, None]


def chroma(frames: Frames) -> Array:
    """Return the energy of the twelve pitch classes over the largest of them, (B, 12)."""
    filters = chroma_filters(frames.config.sample_rate, frames.config.n_fft)
    energy = frames.power @ filters.T
    largest = energy.max(1, keepdims=True)
    largest[largest < np.finfo(np.float32).tiny] = 1
    relative: Array = energy / largest
    return relative


def zero_crossing_rate(frames: Frames) -> Array:
    """Return the share of samples at which the signal changes its sign, 0 … 1, (B, 1).

    Beyond the ends of the recording its first and last samples are held, so nothing crosses there.
    """
    n_fft, hop = frames.config.n_fft, frames.config.hop_length
    negative = frames.signal < -_STILL
    crossings = np.zeros(len(negative), np.int32)
    start, stop = frames.inside.start, max(frames.inside.stop, frames.inside.start + 1)
    crossings[start + 1 : stop] = negative[start + 1 : stop] != negative[start : stop - 1]
    cumulative = np.cumsum(crossings)
    first = np.arange(frames.n_frames) * hop
    count = cumulative[first + n_fft - 1] - cumulative[first]
    return (count / np.float64(n_fft)).astype(np.float32)[:, None]


def f0(frames: Frames) -> Array:
    """Return log2 of the pitch in Hz, and its voicing 0 … 1, (B, 2); see `pitch.yin`."""
    return yin(frames.samples, frames.config.sample_rate)


def join(
    batches: list[Array],
    config: DescriptorConfig,  # noqa: ARG001
    loudest_db: float | None = None,  # noqa: ARG001
) -> Array:
    """Return the batches in a row: nothing is left to finish."""
    return np.concatenate(batches)


def finish_f0(
    batches: list[Array],
    config: DescriptorConfig,  # noqa: ARG001
    loudest_db: float | None = None,  # noqa: ARG001
) -> Array:
    """Hold the pitch where it is unvoiced."""
    return hold_unvoiced(np.concatenate(batches))


@dataclass(frozen=True)
class Feature:
    """How a family is computed: `analyse` a batch, then `finish` all batches of a recording."""

    analyse: Callable[[Frames], Array]
    finish: Callable[[list[Array], DescriptorConfig, float | None], Array] = join


FEATURES: dict[str, Feature] = {
    "mfcc": Feature(mfcc, finish_mfcc),
    "centroid": Feature(centroid),
    "flatness": Feature(flatness),
    "rolloff": Feature(rolloff),
    "rms": Feature(rms),
    "chroma": Feature(chroma),
    "zero_crossing_rate": Feature(zero_crossing_rate),
    "f0": Feature(f0, finish_f0),
}
"""Keyed like `desc.descriptors.families.FAMILIES`."""


def register_descriptor(family: Family, feature: Feature) -> None:
    """Add a family of descriptors: from then on a `DescriptorConfig` may name it.

    Register it in each program that uses it or a run that was trained with it. The cache knows a
    family by its name: a function that computes something else needs another.

    Parameters
    ----------
    family : Family
        Its name, its columns and the space in which they are unbounded.
    feature : Feature
        How its columns are computed.

    Raises
    ------
    ConfigurationError
        If another family has that name, or one of the columns.
    """
    known = FAMILIES.get(family.name, family)
    check(known == family, "family", family.name, f"be a new name; there is {known}")
    check(family.name in FAMILIES or bool(family.columns), "columns", (), "name a column")
    for other in FAMILIES.values():
        shared = sorted({*family.columns} & {*other.columns}) if other != family else []
        check(not shared, "columns", shared, f"be new names; {other.name} has them")
    FAMILIES[family.name] = family
    FEATURES[family.name] = feature

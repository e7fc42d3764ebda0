"""Descriptor families: one function each, from a batch of analysis frames to columns.

`FEATURES` is keyed like `FAMILIES`. A family whose columns need more than the batch (MFCC the
loudest band of the file, f0 the last voiced frame) has a second function that finishes all
batches. Frame t is centred on sample t·hop_length; the recording is continued by zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from desc.configuration import check
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.families import FAMILIES, Family
from desc.descriptors.filterbanks import cosine_transform
from desc.descriptors.frames import POWER_FLOOR, Array, Frames
from desc.descriptors.librosa_features import (
    bandwidth,
    finish_contrast,
    finish_onset_strength,
    peaks_and_valleys,
    tonnetz,
)
from desc.descriptors.pitch import hold_unvoiced, yin

_STILL = 1e-10
"""Samples this close to zero count as positive in zero crossings: librosa's `threshold`."""
_ROLLOFF_SHARE = 0.85
_DEEP_DB = 90.0
"""Range of `top_db` within which the rounding of single precision does not show."""


def mfcc(frames: Frames) -> Array:
    """Return log mel spectra (B, n_mels) in dB; without `top_db` already the MFCC (B, n_mfcc)."""
    no_floor = frames.config.top_db is None
    return _cepstrum(frames.log_mel, frames.config) if no_floor else frames.log_mel


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
    return (frames.magnitude @ frames.frequencies)[:, None] / total


def flatness(frames: Frames) -> Array:
    """Return the geometric over the arithmetic mean of the power, 0 … 1, (B, 1); 1 of silence."""
    power = np.maximum(frames.power, POWER_FLOOR)
    arithmetic = power.mean(1, keepdims=True)
    geometric = np.exp(np.log(power, out=power).mean(1, keepdims=True))
    return geometric / arithmetic


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


def join(batches: list[Array], *_: object) -> Array:
    """Return the batches in a row: nothing is left to finish."""
    return np.concatenate(batches)


def finish_f0(batches: list[Array], *_: object) -> Array:
    """Hold the pitch where it is unvoiced."""
    return hold_unvoiced(np.concatenate(batches))


@dataclass(frozen=True)
class Feature:
    """Functions of a family.

    Attributes
    ----------
    analyse : callable
        Called with each batch of `Frames`; returns an array (B, n).
    finish : callable
        Called with all arrays of a recording, the configuration, and the level of the loudest mel
        band where it is given; returns the columns (T, n). By default it joins them.
    exact : bool
        Whether `Frames.power` must be computed in double precision: sums over quiet bins are
        sensitive to the rounding of single precision.
    recent_frames : int
        Number of newest frames that `finish` needs for the last value of a sound that is still
        arriving.
    """

    analyse: Callable[[Frames], Array]
    finish: Callable[[list[Array], DescriptorConfig, float | None], Array] = join
    exact: bool = False
    recent_frames: int = 1


FEATURES: dict[str, Feature] = {
    "mfcc": Feature(mfcc, finish_mfcc),
    "centroid": Feature(centroid, exact=True),
    "flatness": Feature(flatness, exact=True),
    "rolloff": Feature(rolloff, exact=True),
    "rms": Feature(rms, exact=True),
    "chroma": Feature(attrgetter("chroma"), exact=True),
    "zero_crossing_rate": Feature(zero_crossing_rate),
    "f0": Feature(f0, finish_f0, recent_frames=64),
    "bandwidth": Feature(bandwidth, exact=True),
    "contrast": Feature(peaks_and_valleys, finish_contrast, exact=True, recent_frames=64),
    "tonnetz": Feature(tonnetz, exact=True),
    "onset_strength": Feature(attrgetter("log_mel"), finish_onset_strength, recent_frames=64),
}
"""Keyed like `desc.descriptors.families.FAMILIES`."""


def needs_exact_power(config: DescriptorConfig) -> bool:
    """Return whether the spectrum of a configuration's families needs double precision.

    MFCC and onset strength do only where `top_db` keeps more than 90 dB.
    """
    of_mel = not {"mfcc", "onset_strength"}.isdisjoint(config.descriptors)
    is_deep = config.top_db is None or config.top_db > _DEEP_DB
    return (of_mel and is_deep) or any(FEATURES[name].exact for name in config.descriptors)


def register_descriptor(family: Family, feature: Feature) -> None:
    """Register a family of descriptors for use in a `DescriptorConfig`.

    Every program that uses the family, or a run trained with it, must register it. The cache
    identifies a family by its name, so a different function needs a different name.

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
    check(known == family, "family", family.name, f"be a new name; {known} exists already")
    check(family.name in FAMILIES or bool(family.columns), "columns", (), "name a column")
    for other in FAMILIES.values():
        shared = sorted({*family.columns} & {*other.columns}) if other != family else []
        check(not shared, "columns", shared, f"be new names; they are columns of {other.name}")
    FAMILIES[family.name] = family
    FEATURES[family.name] = feature

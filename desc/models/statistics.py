"""`TrainingStatistics`: scales and linear fits of the training recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
import numpy.typing as npt

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError
from desc.models.var import VectorAutoregression, running_mean

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[np.float64]

SILENCE_SD = -2.5  # standardised mfcc0 below which a frame counts as silent
FROZEN = 1e-4  # largest standardised step of a frame that does not move at all
LOWEST_SCALE = 1e-3  # of a difference, in standard deviations: still columns stay harmless
TAIL = 0.0005  # share of the frames beyond either bound
MAX_QUANTILE_FRAMES = 500_000  # beyond, quantiles are taken from evenly spaced frames
MOST_KEPT = 0.999  # of a correlation, so that columns that copy each other can be whitened
LEAP = 4.0  # third quartiles of a column's steps; 4.6 standard deviations if they are Gaussian
LEAPING = 2.0  # ratio of standard deviations with and without leaps
BOUND_MARGIN = 1e-3  # added to the bounds, so that a column that never moves has room
LARGEST = 1e9  # number, and condition, in the statistics of any sound; larger ones are damage
SMALLEST = {"scale": 1e-9, "difference_scale": 1e-6}  # of what others are divided by


@dataclass(frozen=True, eq=False)
class TrainingStatistics:
    """Scales of the training recordings, all from complete frames.

    Attributes
    ----------
    standardizer : Standardizer
        Of all D columns; models use its static part, matching uses all.
    mean_reversion : ndarray of float64, (F, F)
        Matrix P of the regression x[t+1] - x[t] = P (x[t] - m) on standardised statics, m the mean
        of the frames before.
    whitening : ndarray of float64, (F, F)
        Lower triangular W; times the residual of that regression it gives the whitened innovation,
        whose covariance over non-silent training frames is the identity.
    difference_scale : ndarray of float64, (F,)
        Standard deviation of the standardised non-silent frame differences.
    low, high : ndarray of float64, (F,)
        Quantiles .0005 and .9995 of the standardised static columns: samples stay within.
    """

    standardizer: Standardizer
    mean_reversion: Array
    whitening: Array
    difference_scale: Array
    low: Array
    high: Array

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return the arrays as float64 tensors, for a checkpoint."""
        import torch

        arrays = {
            "mean": self.standardizer.mean,
            "scale": self.standardizer.scale,
            "pull": self.mean_reversion,  # its name in checkpoints
            "whitening": self.whitening,
            "difference_scale": self.difference_scale,
            "low": self.low,
            "high": self.high,
        }
        return {name: torch.tensor(array, dtype=torch.float64) for name, array in arrays.items()}

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, torch.Tensor], config: DescriptorConfig
    ) -> TrainingStatistics:
        """Undo `to_tensors`.

        Raises
        ------
        ValueError
            If an array has another shape, or numbers that no sound gives.
        """
        arrays = {name: tensor.double().cpu().numpy() for name, tensor in tensors.items()}
        n = len(config.static_columns)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("mean", "scale"), (config.n_columns,))
        shapes |= dict.fromkeys(("pull", "whitening"), (n, n))
        shapes |= dict.fromkeys(("difference_scale", "low", "high"), (n,))
        for name, shape in shapes.items():
            least, array = SMALLEST.get(name, -LARGEST), arrays[name]
            if array.shape != shape or not ((least <= array) & (array <= LARGEST)).all():
                raise ValueError(f"{name} must be {shape} numbers from {least:g} to {LARGEST:g}")
        if not np.linalg.cond(arrays["whitening"]) <= LARGEST:
            raise ValueError("whitening must be invertible")
        standardizer = Standardizer(arrays.pop("mean"), arrays.pop("scale"), config)
        return cls(standardizer, mean_reversion=arrays.pop("pull"), **arrays)


class StandardisedStatics(Sequence[Array]):
    """Standardised static columns of the complete frames of recordings, computed when read.

    Reading all of them one after the other takes the memory of one.

    Parameters
    ----------
    sequences : sequence of DescriptorSequence
    standardizer : Standardizer
    """

    def __init__(self, sequences: Sequence[DescriptorSequence], standardizer: Standardizer) -> None:
        self._sequences, self._standardizer = sequences, standardizer

    def __len__(self) -> int:
        return len(self._sequences)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> StandardisedStatics: ...
    def __getitem__(self, index: int | slice) -> Array | StandardisedStatics:
        """Return a recording's array (C, F), or some of the recordings."""
        if isinstance(index, slice):
            return StandardisedStatics(self._sequences[index], self._standardizer)
        return self._standardizer.transform_static(self._sequences[index].complete_static)


def frozen_frames(static: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Return which frames equal their predecessor.

    Parameters
    ----------
    static : ndarray, (T, F)
        Standardised static columns.

    Returns
    -------
    ndarray of bool, (T,)
        The first frame counts as moving.
    """
    frozen = np.zeros(len(static), dtype=bool)
    frozen[1:] = np.abs(np.diff(static, axis=0)).max(1, initial=0.0) < FROZEN
    return frozen


def silent_frames(
    static: npt.NDArray[np.floating], config: DescriptorConfig
) -> npt.NDArray[np.bool_]:
    """Return which frames are silent: frozen, or mfcc0 below -2.5 standard deviations.

    Parameters
    ----------
    static : ndarray, (T, F)
        Standardised static columns.
    config : DescriptorConfig
        Without mfcc among its families only frozen frames count.

    Returns
    -------
    ndarray of bool, (T,)
    """
    silent = frozen_frames(static)
    if "mfcc0" in config.static_names:
        silent |= static[:, config.static_names.index("mfcc0")] < SILENCE_SD
    return silent


def fit_statistics(sequences: Sequence[DescriptorSequence]) -> TrainingStatistics:
    """Fit the statistics of the complete frames of recordings of one configuration.

    Parameters
    ----------
    sequences : sequence of DescriptorSequence
        The training recordings, in an order that decides nothing but rounding.

    Returns
    -------
    TrainingStatistics
        Finite whatever the recordings: columns that never move get scale 1.

    Raises
    ------
    ConfigurationError
        If there is no complete frame, or the recordings differ in configuration.
    """
    if not any(s.complete.stop > s.complete.start for s in sequences):
        raise ConfigurationError("no recording has a complete frame")
    config = sequences[0].config
    for sequence in sequences:
        if sequence.config != config:
            raise ConfigurationError(
                f"{sequence.source}: its descriptors were extracted with other settings than "
                f"those of {sequences[0].source}"
            )
    standardizer = Standardizer.fit((s.values[s.complete] for s in sequences), config)
    statics = StandardisedStatics(sequences, standardizer)
    sounding = [~silent_frames(x, config) for x in statics]
    # The mean-reversion matrix is a stable regression on one frame.
    size = len(config.static_columns)
    unbounded = np.full(size, np.inf)
    var = VectorAutoregression.fit(statics, -unbounded, unbounded, order=1)
    mean_reversion = var.coefficients[0] - np.eye(size)
    kept = [sounds[1:] & sounds[:-1] for sounds in sounding]
    stride = -(-sum(map(len, sounding)) // MAX_QUANTILE_FRAMES)
    pitch = [k for k, c in enumerate(config.static_columns) if c in config.groups.get("f0", ())]
    limits = np.full(size, np.inf)
    for column in pitch:
        steps = [
            np.diff(x[:, column])[np.flatnonzero(both)[::stride]]
            for x, both in zip(statics, kept, strict=True)
        ]
        limits[column] = leap_limit(np.concatenate(steps))
    mean_reversion[np.isfinite(limits)] = 0.0  # leaps that leap back are no reversion
    differences, innovations = np.zeros((size, size)), np.zeros((size, size))
    for x, both in zip(statics, kept, strict=True):
        d = np.diff(x, axis=0)
        e = (d - (x[:-1] - running_mean(x)[1:]) @ mean_reversion.T)[both].clip(-limits, limits)
        d = d[both].clip(-limits, limits)
        differences += d.T @ d
        innovations += e.T @ e
    n_differences = sum(int(both.sum()) for both in kept)
    samples = np.concatenate([x[::stride].astype(np.float32) for x in statics])
    low, high = np.quantile(samples, [TAIL, 1 - TAIL], axis=0).astype(np.float64)
    return TrainingStatistics(
        standardizer=standardizer,
        mean_reversion=mean_reversion,
        whitening=np.linalg.inv(np.linalg.cholesky(shrunk_covariance(innovations, n_differences))),
        difference_scale=np.sqrt(np.diag(shrunk_covariance(differences, n_differences))),
        low=low - BOUND_MARGIN,
        high=high + BOUND_MARGIN,
    )


def leap_limit(steps: Array) -> float:
    """Return the size up to which the steps of a pitch count; infinite unless it leaps.

    A pitch leaps by octaves where its estimate errs, and steps by hundredths of semitones: its
    standard deviation is no scale of what it does. It leaps if limiting its steps to `LEAP` times
    their third quartile divides their standard deviation by at least `LEAPING`. Other columns of
    steady tones do so as well, where a new note is no error, and are left as they are.

    Parameters
    ----------
    steps : ndarray, (n,)
        Standardised differences.
    """
    moving = np.abs(steps[np.abs(steps) > LOWEST_SCALE**2])
    limit = LEAP * float(np.quantile(moving, 0.75)) if len(moving) else np.inf
    leaps = len(moving) and steps.std() > LEAPING * steps.clip(-limit, limit).std()
    return limit if leaps else np.inf


def shrunk_covariance(moments: Array, n: int) -> Array:
    """Return the covariance of n vectors of mean 0, safe to invert.

    Correlations are shrunk towards 0 by F / (n + F) but at least a thousandth: next to nothing
    on hours of audio, most of the way on a handful of frames. Standard deviations are at least
    `LOWEST_SCALE`.

    Parameters
    ----------
    moments : ndarray, (F, F)
        Sum of the outer products of the vectors.
    n : int
        Their number; 0 gives unit variances.
    """
    size = len(moments)
    covariance = moments / n if n else np.eye(size)
    scale = np.sqrt(np.diag(covariance))
    safe = np.maximum(scale, LOWEST_SCALE)
    kept = min(n / (n + size), MOST_KEPT)
    correlation = kept * covariance / np.outer(safe, safe)
    np.fill_diagonal(correlation, 1.0)
    return correlation * np.outer(safe, safe)

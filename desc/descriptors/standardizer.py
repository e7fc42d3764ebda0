"""`Standardizer`: descriptors in a space without bounds, at mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.families import Space

Array = npt.NDArray[np.float64]


def to_unbounded(values: npt.ArrayLike, spaces: tuple[tuple[Space, float], ...]) -> Array:
    """Map each column of values (..., D) to the space in which it is unbounded."""
    result = np.array(values, dtype=np.float64)
    for column, (space, floor) in enumerate(spaces):
        x = result[..., column]
        if space == "log":
            result[..., column] = np.log(np.maximum(x, floor))
        elif space == "logit":
            x = np.clip(x, floor, 1 - floor)
            result[..., column] = np.log(x / (1 - x))
    return result


def from_unbounded(values: npt.ArrayLike, spaces: tuple[tuple[Space, float], ...]) -> Array:
    """Undo `to_unbounded`."""
    result = np.array(values, dtype=np.float64)
    for column, (space, _) in enumerate(spaces):
        if space == "log":
            result[..., column] = np.exp(result[..., column])
        elif space == "logit":
            result[..., column] = 1 / (1 + np.exp(-result[..., column]))
    return result


@dataclass(frozen=True, eq=False, repr=False)
class Standardizer:
    """Mean and scale of all D columns in their unbounded space.

    Attributes
    ----------
    mean, scale : ndarray of float64, (D,)
        `scale` is the standard deviation, 1 where a column does not vary.
    config : DescriptorConfig
        Settings of the columns.
    """

    mean: Array
    scale: Array
    config: DescriptorConfig

    @classmethod
    def fit(
        cls, blocks: Iterable[npt.NDArray[np.float32]], config: DescriptorConfig
    ) -> Standardizer:
        """Fit on blocks of descriptors (T, D), whatever their number.

        Moments are combined block by block (Chan, Golub & LeVeque 1983), so the memory needed is
        that of one block and the result does not lose digits.
        """
        count, mean = 0, np.zeros(config.n_columns)
        squares = np.zeros(config.n_columns)
        for block in blocks:
            if not len(block):
                continue
            x = to_unbounded(block, config.spaces)
            block_mean = x.mean(0)
            delta = block_mean - mean
            total = count + len(x)
            squares += ((x - block_mean) ** 2).sum(0) + delta**2 * count * len(x) / total
            mean = mean + delta * len(x) / total
            count = total
        scale = np.sqrt(squares / max(count, 1))
        still = scale < 1e-8 * np.maximum(1.0, np.abs(mean))
        return cls(mean, np.where(still, 1.0, scale), config)

    def __repr__(self) -> str:
        return f"Standardizer({self.config.n_columns} columns: {', '.join(self.config.groups)})"

    def transform(self, values: npt.ArrayLike) -> Array:
        """Return descriptors (..., D) standardised."""
        return (to_unbounded(values, self.config.spaces) - self.mean) / self.scale

    def transform_static(self, static: npt.ArrayLike) -> Array:
        """Return static columns (..., F) standardised."""
        columns = self.config.static_columns
        spaces = tuple(self.config.spaces[column] for column in columns)
        return (to_unbounded(static, spaces) - self.mean[columns]) / self.scale[columns]

    def inverse_static(self, static: npt.ArrayLike) -> Array:
        """Undo `transform_static`."""
        columns = self.config.static_columns
        spaces = tuple(self.config.spaces[column] for column in columns)
        unscaled = np.asarray(static, dtype=np.float64) * self.scale[columns] + self.mean[columns]
        return from_unbounded(unscaled, spaces)

    def inverse(self, values: npt.ArrayLike) -> Array:
        """Undo `transform`."""
        unscaled = np.asarray(values, dtype=np.float64) * self.scale + self.mean
        return from_unbounded(unscaled, self.config.spaces)

"""`DescriptorSequence`: the descriptors of one recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.descriptors.config import DescriptorConfig
from desc.errors import ConfigurationError

MIN_FRAMES = 9
"""Frames that librosa's delta filter spans, and the fewest complete frames one can train on."""


def read_only(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a view of the array that refuses writes."""
    view = values.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class DescriptorSequence:
    """Descriptors of one recording over time.

    Attributes
    ----------
    values : ndarray of float32, (T, D)
        One row per frame, read-only; columns as `config.names`.
    config : DescriptorConfig
        What the columns mean.
    source : str
        The recording's path relative to its folder, with forward slashes.
    digest : str
        Digest of the recording's bytes.
    n_samples : int
        Length of the recording at `config.sample_rate`.
    """

    values: npt.NDArray[np.float32]
    config: DescriptorConfig
    source: str
    digest: str
    n_samples: int

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != self.config.n_columns:
            raise ConfigurationError(
                f"{self.source}: values of shape {self.values.shape} must be "
                f"(T, {self.config.n_columns})"
            )
        object.__setattr__(self, "values", read_only(self.values))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def centre_samples(self) -> npt.NDArray[np.int64]:
        """(T,) sample at the centre of each frame, t·hop_length."""
        return np.arange(len(self), dtype=np.int64) * self.config.hop_length

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """(T,) centre of each frame in seconds."""
        return self.centre_samples / self.config.sample_rate

    @property
    def complete(self) -> slice:
        """The frames whose whole window lies inside the recording."""
        frames = self.config.complete_frames(self.n_samples)
        return slice(frames.start, min(frames.stop, len(self)))

    @property
    def complete_static(self) -> npt.NDArray[np.float32]:
        """(C, F) static columns of the complete frames: what models see."""
        return self.values[self.complete][:, self.config.static_columns]

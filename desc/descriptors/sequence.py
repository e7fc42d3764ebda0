"""`DescriptorSequence`: descriptors of a recording, a table of frames and named columns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, overload

import numpy as np
import numpy.typing as npt

from desc.configuration import check_number
from desc.dataframes import dataframe
from desc.descriptors.config import DescriptorConfig
from desc.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

MIN_FRAMES = 9
"""Width of librosa's delta filter in frames: the fewest complete frames of a usable recording."""

MOST_BEFORE = 512
"""Frames before a slice that are kept with it."""

Values = npt.NDArray[np.float32]


def read_only(values: Values) -> Values:
    """Return a view of the array that refuses writes."""
    view = values.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False, repr=False)
class DescriptorFrames:
    """Consecutive frames of descriptors, read by column name, frame or slice of frames.

    `frames["mfcc0"]` is a column (T,), `frames["mfcc"]` a group of columns (T, 13), `frames[0]` a
    frame (D,), and `frames[100:200]` the same kind of object with those frames only.

    Attributes
    ----------
    values : ndarray of float32, (T, D)
        One row per frame, read-only; columns as `config.names`.
    config : DescriptorConfig
        Settings of the extraction.
    source : str
        Path of the recording relative to its folder, with forward slashes.
    digest : str
        Digest of the recording's content.
    first_frame : int
        Frame of the recording to which `values[0]` belongs.
    before : ndarray of float32, (n, D)
        Frames just before them, as far as they are known: up to 512 for a slice.

    Raises
    ------
    ConfigurationError
        If the shape of `values` is not (T, D).
    """

    values: Values
    config: DescriptorConfig
    source: str
    digest: str
    first_frame: int = field(default=0, kw_only=True)
    before: Values = field(default_factory=lambda: np.zeros((0, 0), np.float32), kw_only=True)

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != self.config.n_columns:
            raise ConfigurationError(
                f"{self.source}: values of shape {self.values.shape} must be "
                f"(T, {self.config.n_columns})"
            )
        object.__setattr__(self, "values", read_only(self.values))
        object.__setattr__(self, "before", self.before if len(self.before) else self.values[:0])

    def __len__(self) -> int:
        return len(self.values)

    @property
    def centre_samples(self) -> npt.NDArray[np.int64]:
        """(T,) sample at the centre of each frame: frame t is centred on t·hop_length."""
        frames = np.arange(self.first_frame, self.first_frame + len(self), dtype=np.int64)
        return frames * self.config.hop_length

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """(T,) centre of each frame in seconds from the start of the recording."""
        return self.centre_samples / self.config.sample_rate

    @overload
    def __getitem__(self, key: str | int) -> Values: ...
    @overload
    def __getitem__(self, key: slice) -> Self: ...
    def __getitem__(self, key: str | int | slice) -> Values | Self:
        """Return a column (T,), a group of columns (T, n), a frame (D,) or a slice of frames.

        Raises
        ------
        ConfigurationError
            If no column or group has the name, or the slice has a step.
        IndexError
            If there is no such frame.
        """
        if isinstance(key, str):
            if key in self.config.names:
                return self.values[:, self.config.names.index(key)]
            if key in self.config.groups:
                return self.values[:, self.config.groups[key]]
            known = ", ".join(dict.fromkeys((*self.config.groups, *self.config.names)))
            raise ConfigurationError(f"{key!r} must be a column or a group: {known}")
        if isinstance(key, (int, np.integer)):
            return self.values[key]
        if not isinstance(key, slice) or key.step not in (None, 1):
            rule = "a column's name, a frame's number or a slice without a step"
            raise ConfigurationError(f"[{key!r}] must be {rule}")
        start, stop, _ = key.indices(len(self))
        before = np.concatenate([self.before, self.values[max(0, start - MOST_BEFORE) : start]])
        return replace(
            self,
            values=self.values[start:stop],
            first_frame=self.first_frame + start,
            before=before[-MOST_BEFORE:],
        )

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas DataFrame: one column per descriptor, the index in seconds.

        Raises
        ------
        DescError
            If pandas is not installed.
        """
        return dataframe(self.values, list(self.config.names), ("seconds", self.times))

    def __repr__(self) -> str:
        seconds = self.first_frame / self.config.frame_rate
        return (
            f"{type(self).__name__}({self.source!r}: {len(self)} frames × {self.config.n_columns} "
            f"columns ({', '.join(self.config.groups)}), "
            f"{len(self) / self.config.frame_rate:.2f} s from {seconds:.2f} s on)"
        )


@dataclass(frozen=True, eq=False, repr=False)
class DescriptorSequence(DescriptorFrames):
    """Descriptors of one recording, or of consecutive frames of it.

    Attributes
    ----------
    values, config, source, digest, first_frame
        See `DescriptorFrames`.
    n_samples : int
        Length of the whole recording at `config.sample_rate`.
    """

    n_samples: int

    def until(self, seconds: float) -> DescriptorSequence:
        """Return the frames whose whole analysis window lies before a time of the recording.

        A model continues them as if the recording ended there.

        Raises
        ------
        ConfigurationError
            If the time is not above 0.
        """
        check_number("seconds", seconds, above=0.0)
        n_samples = max(0, min(round(seconds * self.config.sample_rate), self.n_samples))
        return self[: max(0, self.config.complete_frames(n_samples).stop - self.first_frame)]

    @property
    def complete(self) -> slice:
        """Rows of `values` whose whole analysis window lies inside the recording."""
        frames = self.config.complete_frames(self.n_samples)
        start = min(max(frames.start - self.first_frame, 0), len(self))
        return slice(start, max(start, min(frames.stop - self.first_frame, len(self))))

    @property
    def complete_static(self) -> Values:
        """(C, F) static columns of the complete frames: the input of the models."""
        return self.values[self.complete][:, self.config.static_columns]

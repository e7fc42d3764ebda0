"""`Yardstick`: the units in which runs are compared, and the linear peer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.standardizer import to_unbounded
from desc.errors import CheckpointError
from desc.metrics import window_features
from desc.models.statistics import TrainingStatistics
from desc.models.var import VectorAutoregression
from desc.runs import RunRecord

Array = npt.NDArray[np.float64]

VAR_PREFIX = "var_"  # of the regression's arrays in statistics.npz
NEEDED = ("window_mean", "window_spread")


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Scales of one run's training recordings; all runs of a table are measured with it.

    Attributes
    ----------
    config : DescriptorConfig
    mean, scale : ndarray, (F,)
        Of the static columns in their unbounded space.
    window_mean, window_spread : ndarray, (3F,)
        Of the window features of the training recordings.
    var : VectorAutoregression
        Fitted on the training recordings.
    """

    config: DescriptorConfig
    mean: Array
    scale: Array
    window_mean: Array
    window_spread: Array
    var: VectorAutoregression

    @classmethod
    def from_run(cls, record: RunRecord, statistics: TrainingStatistics) -> Yardstick:
        """Take the scales of a run.

        Raises
        ------
        CheckpointError
            If its `statistics.npz` is missing, damaged or incomplete.
        """
        try:
            return cls.from_arrays(record.load_arrays(), statistics)
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{record.folder}: statistics.npz of run {record.run_id} holds not all that "
                f"evaluation needs: {error}; train anew"
            ) from error

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], statistics: TrainingStatistics) -> Yardstick:
        """Take the scales of training recordings from what a run's `statistics.npz` holds.

        Raises
        ------
        KeyError, TypeError
            If an array is missing.
        """
        var = {
            name.removeprefix(VAR_PREFIX): array
            for name, array in arrays.items()
            if name.startswith(VAR_PREFIX)
        }
        standardizer = statistics.standardizer
        columns = standardizer.config.static_columns
        window_mean, window_spread = (arrays[name] for name in NEEDED)
        return cls(
            config=standardizer.config,
            mean=standardizer.mean[columns],
            scale=standardizer.scale[columns],
            window_mean=window_mean,
            window_spread=np.where(window_spread > 0, window_spread, 1.0),
            var=VectorAutoregression.from_arrays(var),
        )

    def standardise(self, static: npt.ArrayLike) -> Array:
        """Return static columns (..., F), raw units, standardised."""
        spaces = tuple(self.config.spaces[c] for c in self.config.static_columns)
        result: Array = (to_unbounded(static, spaces) - self.mean) / self.scale
        return result

    def features(self, excerpts: Array) -> tuple[Array, npt.NDArray[np.int64]]:
        """Return the scaled window features of excerpts (E, T, F), and each row's excerpt."""
        parts = [(window_features(x) - self.window_mean) / self.window_spread for x in excerpts]
        owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return np.concatenate(parts), owner

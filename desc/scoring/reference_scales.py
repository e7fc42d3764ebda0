"""`ReferenceScales`: the units in which runs are compared, and the linear baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.standardizer import Standardizer
from desc.errors import CheckpointError
from desc.metrics.windows import window_features
from desc.models.statistics import TrainingStatistics
from desc.models.var import VectorAutoregression
from desc.runs import RunRecord

Array = npt.NDArray[np.float64]

VAR_PREFIX = "var_"  # of the regression's arrays in statistics.npz
LARGEST = 1e12  # standardised number of any recording; larger ones are damage
STILL = 1e-12  # spread of a window feature that does not vary, but for rounding


@dataclass(frozen=True, eq=False)
class ReferenceScales:
    """Scales of one run's training recordings; all runs in a table are measured with them.

    Attributes
    ----------
    standardizer : Standardizer
        Mean and scale of the descriptors.
    window_mean, window_spread : ndarray, (3F,)
        Mean and standard deviation of the window features.
    var : VectorAutoregression
        Linear baseline, fitted on the training recordings.
    """

    standardizer: Standardizer
    window_mean: Array
    window_spread: Array
    var: VectorAutoregression

    @classmethod
    def from_run(cls, record: RunRecord, statistics: TrainingStatistics) -> ReferenceScales:
        """Read the scales of a run.

        Raises
        ------
        CheckpointError
            If its `statistics.npz` is missing, damaged or incomplete.
        """
        try:
            return cls.from_arrays(record.load_arrays(), statistics)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{record.folder}: statistics.npz of run {record.run_id} lacks an array that "
                f"evaluation needs, or is damaged ({error}); train the model again"
            ) from error

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], statistics: TrainingStatistics
    ) -> ReferenceScales:
        """Build the scales from the arrays of a run's `statistics.npz`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If an array is missing or does not belong to the statistics.
        """
        n = len(statistics.standardizer.config.static_columns)
        shapes = {"window_mean": (3 * n,), "window_spread": (3 * n,), "var_covariance": (n, n)}
        shapes |= {"var_coefficients": (len(arrays["var_coefficients"]), n, n)}
        shapes |= {"var_low": (n,), "var_high": (n,)}
        for name, shape in shapes.items():
            found = arrays[name]
            is_plain = found.dtype == np.float64 and bool((np.abs(found) <= LARGEST).all())
            if found.shape != shape or not is_plain:
                raise ValueError(
                    f"{name} must be {shape} numbers of type float64, at most {LARGEST:g}"
                )
        try:
            np.linalg.cholesky(arrays["var_covariance"])
        except np.linalg.LinAlgError as error:
            raise ValueError("var_covariance must be positive definite") from error
        var = {
            name.removeprefix(VAR_PREFIX): array
            for name, array in arrays.items()
            if name.startswith(VAR_PREFIX)
        }
        spread = arrays["window_spread"]
        return cls(
            standardizer=statistics.standardizer,
            window_mean=arrays["window_mean"],
            window_spread=np.where(spread > STILL, spread, 1.0),
            var=VectorAutoregression(**var),
        )

    @property
    def config(self) -> DescriptorConfig:
        """Settings of the descriptors."""
        return self.standardizer.config

    def standardise(self, static: npt.ArrayLike) -> Array:
        """Standardise static columns (..., F) given in descriptor units."""
        return self.standardizer.transform_static(static)

    def features(self, excerpts: Array) -> tuple[Array, npt.NDArray[np.int64]]:
        """Compute the scaled window features of excerpts (E, T, F), and each row's excerpt."""
        parts = [(window_features(x) - self.window_mean) / self.window_spread for x in excerpts]
        owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return np.concatenate(parts), owner

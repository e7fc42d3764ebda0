"""A map: coordinates of many dimensions brought to two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """The two directions in which points differ most (principal component analysis).

    Attributes
    ----------
    centre : ndarray of float64, (d,)
        Mean of the points it was fitted on.
    axes : ndarray of float64, (2, d)
        Orthonormal directions, the larger variance first.
    share : float
        Share of the variance that the plane shows, 0 to 1.
    """

    centre: Array
    axes: Array
    share: float

    @classmethod
    def fit(cls, points: npt.ArrayLike) -> Plane:
        """Fit to points (n, d), n at least 1.

        The sign of an axis is that of its largest component, so equal points give equal planes.
        """
        x = np.asarray(points, np.float64)
        centre = x.mean(0)
        variances, vectors = np.linalg.eigh((x - centre).T @ (x - centre) / len(x))
        axes = np.zeros((2, x.shape[1]))
        n = min(2, x.shape[1])
        axes[:n] = vectors[:, ::-1][:, :n].T
        largest = np.abs(axes).argmax(1)
        axes *= np.where(axes[[0, 1], largest] < 0, -1, 1)[:, None]
        total = float(np.maximum(variances, 0).sum())
        return cls(centre, axes, float(variances[-n:].sum()) / total if total > 0 else 1.0)

    def project(self, points: npt.ArrayLike) -> Array:
        """Return points (n, d) as (n, 2)."""
        projected: Array = (np.asarray(points, np.float64) - self.centre) @ self.axes.T
        return projected

    @property
    def caption(self) -> str:
        """What the map shows, in words."""
        percent = f"{100 * self.share:.0f} % of the variance"
        return f"the two directions in which their descriptors differ most ({percent})"

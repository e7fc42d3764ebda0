"""Maps of descriptors in two dimensions: PCA, and UMAP if it is installed."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.errors import ConfigurationError, OutputError

Array = npt.NDArray[np.float64]

N_NEIGHBOURS = 15  # neighbours that UMAP preserves for each point


@dataclass(frozen=True, eq=False)
class Plane:
    """The plane of the first two principal components.

    Attributes
    ----------
    centre : ndarray of float64, (d,)
        Mean of the points it was fitted on.
    axes : ndarray of float64, (2, d)
        Orthonormal directions, the larger variance first.
    share : float
        Share of the variance in the plane, 0 to 1.
    """

    centre: Array
    axes: Array
    share: float

    @classmethod
    def fit(cls, points: npt.ArrayLike) -> Plane:
        """Fit to points (n, d), n at least 1.

        The largest component of each axis is positive, so equal points give equal planes.
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
        """Description of the map."""
        return f"the first two principal components ({100 * self.share:.0f} % of the variance)"


@dataclass(frozen=True, eq=False)
class NeighbourMap:
    """A UMAP projection: neighbours stay neighbours, large distances mean little.

    Attributes
    ----------
    reducer : umap.UMAP
        Fitted.
    """

    reducer: Any

    @classmethod
    def fit(cls, points: npt.ArrayLike) -> NeighbourMap:
        """Fit to points (n, d); equal points give equal maps.

        10,000 points took 160 s of one core, including the compilation of umap-learn.

        Raises
        ------
        ConfigurationError
            If umap-learn is not installed.
        OutputError
            If there are fewer than 16 points.
        """
        if importlib.util.find_spec("umap") is None:
            raise ConfigurationError(
                "map='umap' needs umap-learn, which is not installed: pip install umap-learn"
            )
        x = np.asarray(points, np.float32)
        if len(x) <= N_NEIGHBOURS:
            raise OutputError(f"map='umap' needs at least {N_NEIGHBOURS + 1} points, not {len(x)}")
        import umap

        # With several threads each map would be different.
        reducer = umap.UMAP(n_neighbors=N_NEIGHBOURS, random_state=0, n_jobs=1)
        return cls(reducer.fit(x))

    def project(self, points: npt.ArrayLike) -> Array:
        """Return points (n, d) as (n, 2)."""
        return np.asarray(self.reducer.transform(np.asarray(points, np.float32)), np.float64)

    @property
    def caption(self) -> str:
        """Description of the map."""
        return "UMAP (only small distances are meaningful)"

"""`NeighbourMap`: a map by UMAP, where umap-learn is installed (`pip install umap-learn`)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.errors import ConfigurationError, OutputError
from desc.report.projection import Array

N_NEIGHBOURS = 15
"""Points around each one that are to stay around it."""


@dataclass(frozen=True, eq=False)
class NeighbourMap:
    """A plane in which points lie near those that are near them; far distances mean little.

    Attributes
    ----------
    reducer : umap.UMAP
        Fitted.
    """

    reducer: Any

    @classmethod
    def fit(cls, points: npt.ArrayLike) -> NeighbourMap:
        """Fit to points (n, d); equal points give equal maps.

        umap-learn is imported here only: 10,000 points took 160 s of a core, with what it
        compiles of itself.

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
            raise OutputError(f"map='umap' of {len(x)} points: there must be {N_NEIGHBOURS + 1}")
        import umap

        # One thread: several give another map each time.
        reducer = umap.UMAP(n_neighbors=N_NEIGHBOURS, random_state=0, n_jobs=1)
        return cls(reducer.fit(x))

    def project(self, points: npt.ArrayLike) -> Array:
        """Return points (n, d) as (n, 2): those it was fitted to, or between them."""
        return np.asarray(self.reducer.transform(np.asarray(points, np.float32)), np.float64)

    @property
    def caption(self) -> str:
        """What the map shows, in words."""
        return "neighbours of the space of descriptors (UMAP; only near distances mean something)"

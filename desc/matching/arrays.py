"""Array types of matching. N rows of a database, T frames of a target, d coordinates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
"""Rows of a database, frames of a target, or counts of either."""
Int32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]
"""Positions in another array."""
Values = npt.NDArray[np.floating]
"""Descriptors (T, D) in descriptor units, float32 or float64."""

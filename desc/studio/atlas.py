"""`Atlas`: a database as points of a map, encoded for a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.audio import encode_wav, read_excerpt
from desc.configuration import QueryConfig, check, check_integer
from desc.database import DescriptorDatabase
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError, DescError
from desc.matching import matching_space
from desc.report.projection import Plane

BLOCK_ROWS = 1 << 16
STEPS = 65535  # coordinates are 16-bit
FADE_S = 0.005
GRAIN_MS = (10, 5000)
OUTSIDE = 0.02  # share of a column's values beyond either end of the colour scale


@dataclass(frozen=True, eq=False)
class Atlas:
    """Points of a map: one per frame, or M evenly spaced ones of the N rows.

    Attributes
    ----------
    database : DescriptorDatabase
    rows : ndarray of int64, (M,)
        The rows shown, ascending.
    positions : ndarray of uint16, (M, 2)
        Their coordinates: 0 to 65535 along the longer side of the map.
    share : float
        Share of the variance in the map, 0 to 1.
    """

    database: DescriptorDatabase
    rows: npt.NDArray[np.int64]
    positions: npt.NDArray[np.uint16]
    share: float

    @classmethod
    def of(cls, database: DescriptorDatabase, max_points: int = 300_000) -> Atlas:
        """Map a database to the first two principal components of the match space.

        Parameters
        ----------
        database : DescriptorDatabase
        max_points : int
            Largest number of points; larger databases are thinned out evenly.

        Raises
        ------
        DescError
            If a row is not finite, naming its file.
        """
        check_integer("max_points", max_points, 1)
        n = len(database)
        blocks = (database.values[i : i + BLOCK_ROWS] for i in range(0, n, BLOCK_ROWS))
        standardizer = Standardizer.fit(blocks, database.config)
        if not np.isfinite(standardizer.mean).all():
            broken = database.reference(int(np.argmin(np.isfinite(database.values).all(1))))
            raise DescError(
                f"{broken.source}: the descriptors at sample {broken.start_sample} are not finite; "
                "leave the file out or extract it again"
            )
        space = matching_space(database.config, standardizer, QueryConfig())
        rows = np.linspace(0, n - 1, min(n, max_points)).astype(np.int64)
        points = space.project(database.values if len(rows) == n else database.values[rows])
        plane = Plane.fit(points)
        flat = plane.project(points)
        low, high = flat.min(0), flat.max(0)
        flat -= (low + high) / 2
        scaled = flat / max(float((high - low).max()), 1e-12) + 0.5
        return cls(database, rows, np.rint(scaled * STEPS).astype(np.uint16), plane.share)

    def about(self) -> dict[str, Any]:
        """Return the data that the page needs before the points, as JSON values."""
        config = self.database.config
        return {
            "root": str(self.database.root),
            "files": [file.source for file in self.database.files],
            "columns": list(config.static_names),
            "sampleRate": config.sample_rate,
            "n": len(self.rows),
            "nRows": len(self.database),
            "share": self.share,
        }

    def points(self) -> bytes:
        """Encode positions (M, 2) uint16, files (M,) uint32, centre samples (M,) float64."""
        database, rows = self.database, self.rows
        return b"".join(
            (
                self.positions.astype("<u2").tobytes(),
                database.file_index[rows].astype("<u4").tobytes(),
                database.centre_samples[rows].astype("<f8").tobytes(),
            )
        )

    def column(self, name: str) -> bytes:
        """Encode a descriptor: two limits as float64, then (M,) uint8 steps between them.

        The limits are quantiles, so that outliers do not use up the colour scale.

        Raises
        ------
        ConfigurationError
            If there is no such static column.
        """
        names = self.database.config.names
        check(name in self.database.config.static_names, "name", name, "be a static column")
        values = np.asarray(self.database.values[:, names.index(name)])[self.rows]
        low, high = np.quantile(values, (OUTSIDE, 1 - OUTSIDE))
        steps = np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255
        parts = np.array([low, high], "<f8"), np.rint(steps).astype(np.uint8)
        return b"".join(part.tobytes() for part in parts)

    def grain(self, file: int, centre_sample: int, length_ms: int) -> bytes:
        """Encode the sound around a sample of a file as WAV, with short fades.

        Parameters
        ----------
        file : int
            Position in the database's files.
        centre_sample : int
            At the descriptors' sample rate.
        length_ms : int
            10 to 5000.

        Raises
        ------
        ConfigurationError
            If a number is out of range.
        AudioError
            If the file cannot be read.
        """
        files, rate = self.database.files, self.database.config.sample_rate
        check(0 <= file < len(files), "file", file, f"be below {len(files)}")
        in_file = 0 <= centre_sample <= files[file].n_samples + self.database.config.hop_length
        check(in_file, "centre_sample", centre_sample, "lie in the file")
        low, high = GRAIN_MS
        check(low <= length_ms <= high, "length_ms", length_ms, f"be from {low} to {high}")
        length_s = length_ms / 1000
        start_s = max(0.0, centre_sample / rate - length_s / 2)
        path = self.database.root / files[file].source
        audio, own_rate = read_excerpt(path, start_s, length_s)
        if not audio.size:
            raise ConfigurationError(f"centre_sample={centre_sample} lies beyond the end of {path}")
        audio = np.array(audio if len(audio) <= 2 else audio.mean(0, keepdims=True))
        n = min(round(FADE_S * own_rate), audio.shape[1] // 2)
        fade = np.linspace(0, 1, n, dtype=np.float32)
        audio[:, :n] *= fade
        audio[:, audio.shape[1] - n :] *= fade[::-1]
        return encode_wav(audio, own_rate)

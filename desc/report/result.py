"""`ResultView`: a result's folder, read back: what pages and plots show of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc import outputs
from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.event import RECORDING
from desc.configuration import check_choice
from desc.errors import ConfigurationError, OutputError
from desc.report.clip import Clip, cut_clip
from desc.report.data import ReportData
from desc.report.neighbour_map import NeighbourMap
from desc.report.projection import Plane

Array = npt.NDArray[np.float32]

MAPS: dict[str, type[Plane] | type[NeighbourMap]] = {"pca": Plane, "umap": NeighbourMap}


@dataclass(frozen=True, eq=False)
class ResultView:
    """What a result's files say. T frames, F static columns.

    Times count in seconds from the beginning of the continuation; those of the recording are
    negative.

    Attributes
    ----------
    folder : Path
    meta : dict
        `_meta` of `prediction.json`: request, versions, results.
    corpus : str
        Folder of the sounds.
    predicted : ndarray of float32, (T, F)
        Static descriptors that were asked for.
    distances : ndarray of float64, (T,)
        Of the rows that are played.
    playlist : Playlist
    data : ReportData
    clip : Clip
    plane : Plane or NeighbourMap
        Of the map.
    """

    folder: Path
    meta: dict[str, Any]
    corpus: str
    predicted: Array
    distances: npt.NDArray[np.float64]
    playlist: Playlist
    data: ReportData
    clip: Clip
    plane: Plane | NeighbourMap

    @classmethod
    def load(cls, folder: str | Path, map_kind: str = "pca") -> ResultView:
        """Read a result's folder.

        Parameters
        ----------
        folder : path
            The folder.
        map_kind : str
            A key of `MAPS`.

        Raises
        ------
        ConfigurationError
            If there is no such map, or what it needs is not installed.
        OutputError
            If it holds no whole result.
        AudioError
            If its WAV cannot be read.
        """
        check_choice("map", map_kind, tuple(MAPS))
        folder = Path(folder)
        data = ReportData.load(folder / outputs.REPORT_DATA)
        prediction = _read(folder / outputs.PREDICTION)
        matches = _read(folder / outputs.MATCHES)
        playlist = _playlist(folder / outputs.PLAYLIST)
        plane = MAPS[map_kind].fit(data.points)
        try:
            return cls(
                folder=folder,
                meta=prediction["_meta"],
                corpus=matches["_meta"]["corpus"],
                predicted=np.array(
                    [prediction[name] for name in data.about["columns"]], np.float32
                ).T,
                distances=np.array(matches["_distance"], np.float64),
                playlist=playlist,
                data=data,
                clip=cut_clip(folder / outputs.WAV, playlist, data.recording),
                plane=plane,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OutputError(f"{folder}: not a whole result: {error!r}") from error

    @property
    def request(self) -> dict[str, Any]:
        """Everything that decided the result."""
        request: dict[str, Any] = self.meta["request"]
        return request

    @property
    def step_s(self) -> float:
        """Time from frame to frame."""
        descriptors = self.request["descriptors"]
        return float(descriptors["hop_length"] / descriptors["sample_rate"])

    @property
    def first_onset(self) -> int:
        """The sample of the playlist at which the continuation begins."""
        return min((event.onset_sample for event in self.units), default=0)

    @property
    def units(self) -> list[PlaylistEvent]:
        """The pieces of the corpus in the order they sound."""
        units = [event for event in self.playlist.events if event.root != RECORDING]
        return sorted(units, key=lambda event: (event.onset_sample, event.layer))

    def onset_s(self, event: PlaylistEvent) -> float:
        """Return when a unit begins."""
        return (event.onset_sample - self.first_onset) / self.playlist.sample_rate

    def shares(self) -> list[tuple[str, float]]:
        """Return the files that are played with their share, the largest first."""
        counts: Counter[str] = Counter()
        for event in self.units:
            counts[event.source] += event.n_samples
        total = sum(counts.values())
        pairs = [(source, count / total) for source, count in counts.items()]
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

    def distance(self, event: PlaylistEvent) -> float:
        """Return the mean distance of a unit's frames to what was asked for."""
        hop = self.request["descriptors"]["hop_length"]
        first = (event.onset_sample - self.first_onset) // hop
        own = self.distances[first : first + max(1, event.n_samples // hop)]
        return float(own.mean()) if len(own) else 0.0


def _playlist(path: Path) -> Playlist:
    try:
        return Playlist.load(path)
    except ConfigurationError as error:
        raise OutputError(str(error)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"{path}: no whole result here: {error.strerror or error}") from error
    except ValueError as error:
        raise OutputError(f"{path}: damaged: {error}") from error
    if not isinstance(content, dict):
        raise OutputError(f"{path}: must be an object")
    return content

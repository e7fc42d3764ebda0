"""`ResultView`: a result's folder, read back for pages and plots, with its sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from desc import outputs
from desc.audio import AudioReader, decode, playable, resample
from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.playlist import RECORDING
from desc.configuration import STYLES, check_choice, check_integer
from desc.errors import AudioError, ConfigurationError, OutputError
from desc.files import read_json
from desc.report.data import BEFORE_S, ReportData
from desc.report.projection import NeighbourMap, Plane

Array = npt.NDArray[np.float32]

MAPS: dict[str, type[Plane] | type[NeighbourMap]] = {"pca": Plane, "umap": NeighbourMap}
MAX_S = 60.0
FIGURES = (
    *("n_frames", "mean_match_distance", "mean_unit_frames", "n_units", "corpus_coverage"),
    *("distinct_rows", "files_used"),
)
"""Figures of every result, of this version and earlier ones."""
LARGEST = 1e30
"""Larger numbers in a result are damage."""
FADE_S = 0.005  # at the boundary between the recording's end and the continuation


@dataclass(frozen=True, eq=False)
class Clip:
    """Sound of a report: the recording's end and the continuation, at most a minute.

    Time 0 is the start of the continuation.

    Attributes
    ----------
    audio : ndarray of float32, (C, S)
        One or two channels.
    sample_rate : int
        In Hz.
    start_s : float
        Time of the first sample, 0 or negative.
    total_s : float
        Length of the whole continuation, which may exceed the clip.
    peak : float
        Largest absolute sample before normalisation to full scale.
    """

    audio: Array
    sample_rate: int
    start_s: float
    total_s: float
    peak: float

    @property
    def end_s(self) -> float:
        """Time after the last sample."""
        return self.start_s + int(self.audio.shape[1]) / self.sample_rate


@dataclass(frozen=True, eq=False)
class ResultView:
    """Contents of a result's folder. T frames, F static columns.

    Times are in seconds from the start of the continuation; those of the recording are negative.

    Attributes
    ----------
    folder : Path
    meta : dict
        `_meta` of `prediction.json`: request, versions, results.
    corpus : str
        Folder of the sounds.
    inputs : dict of str to list of str
        Options that name the sounds: `audio_db_dir`, and the patterns if there are any.
    predicted : ndarray of float32, (T, F)
        Predicted static descriptors.
    distances : ndarray of float64, (T,)
        Match distance of each frame.
    playlist : Playlist
    data : ReportData
    clip : Clip
    plane : Plane or NeighbourMap
        Projection of the map.
    """

    folder: Path
    meta: dict[str, Any]
    corpus: str
    inputs: dict[str, list[str]]
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
            If there is no such map, or it needs a library that is not installed.
        OutputError
            If the folder contains no complete result.
        AudioError
            If its WAV cannot be read.
        """
        check_choice("map", map_kind, tuple(MAPS))
        folder = Path(folder)
        data = ReportData.load(folder / outputs.REPORT_DATA)
        prediction = read_json(folder / outputs.PREDICTION, OutputError)
        matches = read_json(folder / outputs.MATCHES, OutputError)
        with _fitting(folder, outputs.PREDICTION, outputs.REPORT_DATA):
            columns = [prediction[name] for name in data.about["columns"]]
            predicted = _numbers(columns, (len(columns), len(data.played))).T.astype(np.float32)
            meta = prediction["_meta"]
            _check_meta(meta)
        with _fitting(folder, outputs.MATCHES, outputs.REPORT_DATA):
            distances = _numbers(matches["_distance"], (len(data.played),))
            corpus = _text(matches["_meta"]["corpus"])
        with _fitting(folder, outputs.PREDICTION, outputs.MATCHES):
            inputs = _inputs(meta.get("inputs") or {"audio_db_dir": [corpus]})
        with _fitting(folder, outputs.PLAYLIST, outputs.WAV, outputs.REPORT_DATA):
            playlist = Playlist.load(folder / outputs.PLAYLIST)
            clip = cut_clip(folder / outputs.WAV, playlist, data.recording)
        return cls(
            folder=folder,
            meta=meta,
            corpus=corpus,
            inputs=inputs,
            predicted=predicted,
            distances=distances,
            playlist=playlist,
            data=data,
            clip=clip,
            plane=MAPS[map_kind].fit(data.points),
        )

    def __repr__(self) -> str:
        return (
            f"ResultView({str(self.folder)!r}: {len(self.predicted)} frames, "
            f"{len(self.units)} units, {self.clip.total_s:.1f} s)"
        )

    @property
    def request(self) -> dict[str, Any]:
        """All settings that determine the result; those of before the styles are granular."""
        return STYLES["granular"] | self.meta["request"]

    @property
    def step_s(self) -> float:
        """Time between frames."""
        descriptors = self.request["descriptors"]
        return float(descriptors["hop_length"] / descriptors["sample_rate"])

    @property
    def first_onset(self) -> int:
        """Sample of the playlist at which the continuation starts."""
        return min((event.onset_sample for event in self.units), default=0)

    @property
    def units(self) -> list[PlaylistEvent]:
        """Units of the corpus in playing order."""
        units = [event for event in self.playlist.events if event.root != RECORDING]
        return sorted(units, key=lambda event: (event.onset_sample, event.layer))

    def onset_s(self, event: PlaylistEvent) -> float:
        """Return the start time of a unit."""
        return (event.onset_sample - self.first_onset) / self.playlist.sample_rate

    def shares(self) -> list[tuple[str, float]]:
        """Return the files played and their shares of the time, the largest first."""
        counts: Counter[str] = Counter()
        for event in self.units:
            counts[event.source] += event.n_samples
        total = sum(counts.values())
        pairs = [(source, count / total) for source, count in counts.items()]
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

    def distance(self, event: PlaylistEvent) -> float:
        """Return the mean match distance of a unit's frames."""
        hop = self.request["descriptors"]["hop_length"]
        first = (event.onset_sample - self.first_onset) // hop
        own = self.distances[first : first + max(1, event.n_samples // hop)]
        return float(own.mean()) if len(own) else 0.0


@contextmanager
def _fitting(folder: Path, *names: str) -> Iterator[None]:
    """Turn errors of values into one that names the files that must fit each other."""
    try:
        yield
    except ConfigurationError as error:
        raise OutputError(str(error)) from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise OutputError(f"{folder}: {' and '.join(names)} are damaged: {error!r}") from error


def _numbers(values: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    array = np.array(values, np.float64)
    if array.shape != shape or not (np.abs(array) < LARGEST).all():
        raise ValueError(f"must be {' × '.join(map(str, shape))} numbers")
    return array


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} must be a text")
    return value


def _inputs(value: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the options that name the sounds; earlier results have the folder only."""
    names = ("audio_db_dir", "include", "exclude", "speeds", "tempo")
    return {name: [_text(one) for one in value[name]] for name in names if name in value}


def _check_meta(meta: dict[str, Any]) -> None:
    """Raise an error if `_meta` lacks a value that the page shows."""
    request, descriptors, results = meta["request"], meta["request"]["descriptors"], meta["results"]
    for key in ("run_id", "recording"):
        _text(request[key])
    for name in ("hop_length", "sample_rate"):
        check_integer(name, descriptors[name], 1)
    check_integer("layers", request.get("layers", 1), 1)
    if request.get("from_s", "end") != "end":
        _numbers(request["from_s"], ())
    _numbers(list(results.values()), (len(results),))
    missing = set(FIGURES) - results.keys()
    if missing:
        raise ValueError(f"results lack {', '.join(sorted(missing))}")
    meta["versions"].items()


def cut_clip(wav: Path, playlist: Playlist, recording: bytes) -> Clip:
    """Cut the clip of a result.

    Parameters
    ----------
    wav : Path
        The rendered result.
    playlist : Playlist
        Its playlist, which says how much of the recording precedes the continuation in the WAV.
    recording : bytes
        The recording's end, encoded; used where the WAV starts with the continuation.

    Raises
    ------
    AudioError
        If the WAV cannot be read.
    """
    before = sum(event.n_samples for event in playlist.events if event.root == RECORDING)
    before_s = before / playlist.sample_rate
    with AudioReader(wav) as reader:
        rate = reader.sample_rate
        total_s = reader.n_samples / rate - before_s
        end = _recording_end(recording, rate) if not before_s else None
        shown_s = BEFORE_S if before_s else 0.0 if end is None else end.shape[1] / rate
        first = max(0, round((before_s - shown_s) * rate)) if before_s else 0
        after_s = MAX_S - (min(before_s, BEFORE_S) if before_s else shown_s)
        last = min(reader.n_samples, round((before_s + after_s) * rate))
        audio = _two_channels(reader.read(first, last - first))
    start_s = first / rate - before_s
    if end is not None:
        audio = _joined(end, audio, max(1, round(FADE_S * rate)))
        start_s = -end.shape[1] / rate
    audio, rate = playable(audio, rate)
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > 1:
        audio = audio / np.float32(peak)
    return Clip(np.ascontiguousarray(audio), rate, start_s, total_s, peak)


def _recording_end(recording: bytes, rate: int) -> Array | None:
    if not recording:
        return None
    try:
        audio, own_rate = decode(recording)
    except AudioError as error:
        raise ValueError(str(error)) from error
    return resample(audio, own_rate, rate)


def _two_channels(audio: Array) -> Array:
    return audio if len(audio) <= 2 else audio.mean(0, keepdims=True)


def _joined(before: Array, after: Array, n_fade: int) -> Array:
    """Concatenate two sounds, with short fades at the boundary."""
    n_channels = max(len(before), len(after))
    parts = [np.repeat(a, n_channels, 0) if len(a) < n_channels else a for a in (before, after)]
    rise = np.linspace(0, 1, n_fade, dtype=np.float32)
    joined = np.concatenate(parts, axis=1)
    n = before.shape[1]
    joined[:, max(0, n - n_fade) : n] *= rise[::-1][-min(n, n_fade) :]
    n_after = min(n_fade, joined.shape[1] - n)
    joined[:, n : n + n_after] *= rise[:n_after]
    return joined

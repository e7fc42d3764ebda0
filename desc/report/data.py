"""`ReportData`: data of a report beyond the other files of a result (`report.npz`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from desc.audio import encode_wav, playable, read_excerpt
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, OutputError
from desc.files import read_npz, replacing
from desc.matching import Match
from desc.matching.knn import paired

if TYPE_CHECKING:
    from desc.prediction import Prediction

FORMAT, VERSION = "desc-report", 1
MAX_POINTS = 10000
BEFORE_S = 10.0
"""Length of the recording's end in a report, seconds."""


@dataclass(frozen=True, eq=False)
class ReportData:
    """Data of a report beyond the result's other files. T frames, F static columns.

    Attributes
    ----------
    about : dict
        Plain values: `columns` (F names), `files` (names that `point_file` counts),
        `nearest_distance` and `random_distance` (means over the frames), `n_rows` of the corpus,
        `recording_path`, `recording_s` (its length).
    points : ndarray of float16, (M, d)
        At most 10,000 evenly spaced rows of the corpus in the match space.
    point_file, point_sample : ndarray of int32, int64, (M,)
        The file of each point, and the sample at its centre.
    played, predicted : ndarray of float16, (T, d)
        The played rows and the target in the match space.
    matched : ndarray of float32, (T, F)
        Static descriptors of the played rows.
    context : ndarray of float32, (T0, F)
        Static descriptors of the recording's last complete frames.
    scale : ndarray of float32, (F,)
        Standard deviation of the columns in the training recordings.
    recording : bytes
        The recording's last ten seconds before the continuation, a 16-bit WAV (earlier FLAC or Ogg
        Vorbis); empty where it could not be read.
    """

    about: dict[str, Any]
    points: npt.NDArray[np.float16]
    point_file: npt.NDArray[np.int32]
    point_sample: npt.NDArray[np.int64]
    played: npt.NDArray[np.float16]
    predicted: npt.NDArray[np.float16]
    matched: npt.NDArray[np.float32]
    context: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    recording: bytes

    @classmethod
    def gather(
        cls,
        prediction: Prediction,
        match: Match,
        sequence: DescriptorSequence,
        recording_path: Path,
    ) -> ReportData:
        """Collect the data of a result while database and recording are available.

        Parameters
        ----------
        prediction : Prediction
        match : Match
            Its match.
        sequence : DescriptorSequence
            The recording's descriptors.
        recording_path : Path
            The recording.
        """
        config, rows, matcher = prediction.config, match.rows, match.matcher
        database, coordinates = matcher.database, matcher.coordinates
        n_points = min(MAX_POINTS, len(database))
        shown = np.linspace(0, len(database) - 1, n_points).astype(np.int64)
        numbers, point_file = np.unique(database.file_index[shown], return_inverse=True)
        drawn = np.random.default_rng(0).integers(0, len(database), len(rows))
        by_chance = paired(match.points, coordinates[drawn], matcher.query)
        frames = round(BEFORE_S * config.frame_rate)
        about = {
            "format": FORMAT,
            "version": VERSION,
            "columns": list(config.static_names),
            "files": [database.files[number].source for number in numbers],
            "n_rows": len(database),
            "recording_path": recording_path.as_posix(),
            "recording_s": sequence.n_samples / config.sample_rate,
            "nearest_distance": float(np.mean(match.nearest_distances)),
            "random_distance": float(np.mean(by_chance)),
        }
        static = config.static_columns
        return cls(
            about=about,
            points=np.asarray(coordinates[shown], np.float16),
            point_file=point_file.astype(np.int32),
            point_sample=database.centre_samples[shown],
            played=np.asarray(coordinates[rows], np.float16),
            predicted=np.asarray(match.points, np.float16),
            matched=np.asarray(database.values[rows][:, static], np.float32),
            context=np.asarray(sequence.complete_static[-frames:], np.float32),
            scale=np.asarray(matcher.space.standardizer.scale[static], np.float32),
            recording=_end_of(recording_path, prediction),
        )

    def save(self, path: Path) -> None:
        """Write the arrays to an `.npz`, uncompressed: most of it is sound."""
        arrays: dict[str, Any] = {**vars(self)}
        arrays["about"] = np.frombuffer(json.dumps(self.about).encode(), np.uint8)
        arrays["recording"] = np.frombuffer(self.recording, np.uint8)
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)

    @classmethod
    def load(cls, path: Path) -> ReportData:
        """Read a file written by `save`, without unpickling.

        Raises
        ------
        OutputError
            If the file is missing, damaged or of another program or version.
        """
        if not path.exists():
            raise OutputError(f"{path}: not found: there is no result here to report on")
        arrays: dict[str, Any] = read_npz(path, OutputError)
        try:
            about = json.loads(arrays.pop("about").tobytes())
            if (about["format"], about["version"]) != (FORMAT, VERSION):
                raise ValueError(f"version={about['version']} of {about['format']}")
            data = cls(about=about, recording=arrays.pop("recording").tobytes(), **arrays)
            data._check()
            return data
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise OutputError(f"{path}: not a report's data: {error}") from error

    def _check(self) -> None:
        """Raise an error if the arrays do not fit each other or hold what is no number."""
        about, n, d, t = self.about, len(self.points), self.points.shape[1], len(self.played)
        f = len(about["columns"])
        shapes = {
            "points": (n, d),
            "point_file": (n,),
            "point_sample": (n,),
            "played": (t, d),
            "predicted": (t, d),
            "matched": (t, f),
            "context": (len(self.context), f),
            "scale": (f,),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if (
                array.shape != shape
                or array.dtype.kind not in "fiu"
                or not (np.abs(array, dtype=np.float64) < 1e15).all()
            ):
                raise ValueError(f"{name} must be numbers below 1e15 of shape {shape}")
        known = (self.point_file >= 0) & (self.point_file < len(about["files"]))
        numbers = [about[name] for name in ("nearest_distance", "random_distance", "n_rows")]
        numbers.append(about.get("recording_s", 0.0))
        texts = (*about["columns"], *about["files"], about["recording_path"])
        if not (n and t and f and d and known.all() and (self.scale > 0).all()):
            raise ValueError("empty, or an unknown file")
        if not all(isinstance(x, str) for x in texts) or not all(0 <= x < 1e15 for x in numbers):
            raise ValueError("names must be texts, and distances numbers of at least 0")


def _end_of(path: Path, prediction: Prediction) -> bytes:
    """Encode the seconds before the continuation as WAV; b"" if the file is missing."""
    config = prediction.config
    cut = (prediction.context_end_frame + 1) * config.hop_length - config.hop_length // 2
    start_s = max(0.0, cut / config.sample_rate - BEFORE_S)
    try:
        sound, rate = read_excerpt(path, start_s, cut / config.sample_rate - start_s)
    except AudioError:
        return b""
    if not sound.size:
        return b""
    return encode_wav(*playable(sound, rate))

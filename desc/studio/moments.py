"""Moments: stretches of sound around points selected on a map, as files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from desc.audio import read_excerpt, write
from desc.configuration import check
from desc.errors import ConfigurationError
from desc.studio.atlas import Atlas

GAP_S = 0.3
"""Points of a file closer than this belong to one moment, seconds."""
SHORTEST_S = 0.25
"""A shorter moment is widened to this, seconds."""


@dataclass(frozen=True)
class Moment:
    """A stretch of a file: its source, and start and end in seconds."""

    source: str
    start_s: float
    end_s: float


def moments(atlas: Atlas, selected: npt.NDArray[np.bool_]) -> list[Moment]:
    """Return the stretches of files around selected points, by file and time.

    Parameters
    ----------
    atlas : Atlas
    selected : ndarray of bool, (M,)
        The points selected.

    Raises
    ------
    ConfigurationError
        If their number is not that of the atlas, or none is selected.
    """
    check(len(selected) == len(atlas.rows), "selected", len(selected), "be one for each point")
    rows = atlas.rows[selected]
    if not len(rows):
        raise ConfigurationError("no point is selected; draw around some first")
    database, rate = atlas.database, atlas.database.config.sample_rate
    files, centres = database.file_index[rows], database.centre_samples[rows] / rate
    hop_s = database.config.hop_length / rate
    gap_s = max(GAP_S, 1.5 * hop_s * len(database) / len(atlas.rows))  # of a map thinned out
    breaks = np.flatnonzero((np.diff(files) != 0) | (np.abs(np.diff(centres)) > gap_s)) + 1
    found = []
    for part in np.split(np.arange(len(rows)), breaks):
        first, last = centres[part[0]] - hop_s / 2, centres[part[-1]] + hop_s / 2
        wider = max(0.0, SHORTEST_S - (last - first)) / 2
        source = database.files[int(files[part[0]])].source
        found.append(Moment(source, max(0.0, float(first - wider)), float(last + wider)))
    return found


def write_moments(found: list[Moment], root: Path, folder: Path) -> int:
    """Write moments as WAV files below a folder; return the number of files.

    Parameters
    ----------
    found : list of Moment
    root : Path
        Folder of the sounds.
    folder : Path
        Folder to write to; each file has the path of its source, and its time.

    Raises
    ------
    AudioError
        If a file cannot be read or written.
    """
    n_files = 0
    for moment in found:
        source = PurePosixPath(moment.source)
        audio, rate = read_excerpt(root / source, moment.start_s, moment.end_s - moment.start_s)
        name = f"{source.name} {moment.start_s:07.2f} s.wav"
        if audio.size:
            write(folder / source.parent / name, audio, rate, "FLOAT")
            n_files += 1
    return n_files

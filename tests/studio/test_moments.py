"""Moments selected on the map, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.errors import ConfigurationError
from desc.studio import Atlas
from desc.studio.moments import Moment, moments, write_moments
from tests.studio.conftest import NAMES, file_of


def selected(atlas: Atlas, name: str, *spans_s: tuple[float, float]) -> np.ndarray:
    """Return which points of a file lie in spans of time."""
    database, rate = atlas.database, atlas.database.config.sample_rate
    times = database.centre_samples[atlas.rows] / rate
    within = np.any([(times >= start) & (times <= end) for start, end in spans_s], axis=0)
    return within & (database.file_index[atlas.rows] == file_of(atlas, name))


def test_points_that_follow_each_other_are_one_moment(atlas: Atlas, tmp_path: Path) -> None:
    name, hop_s = NAMES[1], 1024 / 44100
    chosen = selected(atlas, name, (0.5, 1.0), (2.0, 2.03)) | selected(atlas, NAMES[3], (1.0, 1.5))
    found = moments(atlas, chosen)
    assert [one.source for one in found].count(name) == 2
    first, second = (one for one in found if one.source == name)
    assert 0.5 - hop_s <= first.start_s <= 0.5
    assert 1.0 <= first.end_s + hop_s <= 1.0 + 2 * hop_s
    assert second.end_s - second.start_s == pytest.approx(0.25)
    assert write_moments(found, atlas.database.root, tmp_path / "out") == len(found) == 3
    written = sorted(path for path in (tmp_path / "out").rglob("*.wav"))
    assert len(written) == 3
    one = tmp_path / "out" / f"{Path(name).name} {first.start_s:07.2f} s.wav"
    audio, rate = soundfile.read(one, dtype="float32")
    source, _ = soundfile.read(atlas.database.root / name, dtype="float32")
    start = round(first.start_s * rate)
    np.testing.assert_array_equal(audio, source[start : start + len(audio)])
    assert len(audio) == pytest.approx((first.end_s - first.start_s) * rate, abs=1)


def test_moments_of_files_of_one_stem_are_files_of_their_own(atlas: Atlas, tmp_path: Path) -> None:
    source, _ = soundfile.read(atlas.database.root / NAMES[3])
    for name in ("kick.wav", "kick.flac"):
        soundfile.write(tmp_path / name, source, 44100)
    found = [Moment("kick.wav", 0.0, 0.5), Moment("kick.flac", 0.0, 0.5)]
    found.append(Moment("kick.wav", 99.0, 99.5))
    assert write_moments(found, tmp_path, tmp_path / "out") == 2
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_selection_must_fit_the_map(atlas: Atlas) -> None:
    with pytest.raises(ConfigurationError, match="no point"):
        moments(atlas, np.zeros(len(atlas.rows), bool))
    with pytest.raises(ConfigurationError, match="selected"):
        moments(atlas, np.ones(3, bool))
    every = moments(atlas, np.ones(len(atlas.rows), bool))
    assert [one.source for one in every] == [file.source for file in atlas.database.files]
    assert isinstance(every[0], Moment)

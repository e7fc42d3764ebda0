"""A result read back: its clip, its playlist."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from desc import outputs
from desc.audio import read_excerpt
from desc.concatenation import Playlist
from desc.configuration import RenderConfig
from desc.report import ResultView
from tests.report.conftest import HOSTILE, write_result


def test_a_long_result_is_cut_to_a_minute(sound_root: Path, tmp_path: Path) -> None:
    folder = write_result(tmp_path / "long", sound_root, n_frames=2300)  # 53 s
    view = ResultView.load(folder)
    assert view.clip.start_s == pytest.approx(-10, abs=0.01)
    assert view.clip.end_s == pytest.approx(50, abs=0.01)
    assert view.clip.total_s == pytest.approx(2300 * 1024 / 44100, abs=1e-3)


def test_a_recording_that_goes_before_is_part_of_the_wav(sound_root: Path, tmp_path: Path) -> None:
    rendering = RenderConfig(with_recording_s=3.0, output_sample_rate=22050)
    view = ResultView.load(write_result(tmp_path / "with", sound_root, rendering))
    assert view.clip.start_s == pytest.approx(-3, abs=1e-3)
    assert view.onset_s(view.units[0]) == 0
    assert view.clip.end_s == pytest.approx(60 * 1024 / 44100, abs=1e-3)


def test_the_end_of_the_recording_is_its_end(sound_root: Path, result: Path) -> None:
    view = ResultView.load(result)
    recorded, rate = read_excerpt(sound_root / "recordings" / HOSTILE, 0.0, 12.0)
    last_whole_frame = (12 * rate - 1024) // 1024
    cut = (last_whole_frame + 1) * 1024 - 512
    heard, own = view.clip.audio, view.clip.sample_rate
    expected = recorded[0, cut - 10 * rate : cut]
    got = heard[0, : 10 * own]
    similarity = np.corrcoef(expected[1000:-1000], got[1000:-1000])[0, 1]
    assert similarity > 0.98


def test_playlists_edited_by_hand_are_shown(result: Path, tmp_path: Path) -> None:
    folder = tmp_path / "edited"
    shutil.copytree(result, folder)
    playlist = Playlist.load(folder / outputs.PLAYLIST)
    Playlist(playlist.events[:1], playlist.sample_rate, playlist.roots).save(
        folder / outputs.PLAYLIST
    )
    view = ResultView.load(folder)
    assert view.shares() == [(playlist.events[0].source, 1.0)]


def test_its_name_is_short(result: Path) -> None:
    view = ResultView.load(result)
    assert repr(view) == f"ResultView({str(result)!r}: 60 frames, {len(view.units)} units, 1.4 s)"

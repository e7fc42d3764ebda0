"""What pages are made of: clips, pictures, planes, templates."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc import outputs
from desc.audio import decode, encode_ogg, encode_wav, read_excerpt
from desc.concatenation import Playlist
from desc.configuration import RenderConfig
from desc.report import ResultView
from desc.report.drawing import envelope, grey_png, row_frequencies, spectrogram
from desc.report.page import fill, quantised
from desc.report.projection import Plane
from desc.report.result_page import map_points
from tests.report.conftest import HOSTILE, write_result

Signal = Callable[..., np.ndarray]


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


def test_a_point_far_off_does_not_shrink_the_map(result: Path, rng: np.random.Generator) -> None:
    view = ResultView.load(result)
    corpus = np.zeros((2000, view.data.points.shape[1]), np.float16)
    corpus[:, :2] = rng.standard_normal((2000, 2))
    corpus[7, :2] = 1000, -1000
    path = np.zeros((len(view.predicted), corpus.shape[1]))
    path[3, 1] = -20  # the path is shown where ever it goes
    data = replace(
        view.data,
        points=corpus,
        point_file=np.zeros(2000, np.int32),
        point_sample=np.zeros(2000, np.int64),
        played=path,
        predicted=0 * path,
    )

    class First:
        """The first two coordinates."""

        caption = ""

        @staticmethod
        def project(points: np.ndarray) -> np.ndarray:
            return np.asarray(points, np.float64)[:, :2]

    drawn = map_points(replace(view, data=data, plane=First), data.about["files"])
    points, played = (
        np.frombuffer(base64.b64decode(drawn[name]), "<u2").reshape(-1, 2) / 65535
        for name in ("points", "played")
    )
    assert points[7].tolist() == [1, 0]
    assert played[3, 1] == 0
    assert points[:, 0].std() > 0.1
    assert drawn["aspect"] == pytest.approx(6 / 23, rel=0.3)


def test_the_plane_holds_points_that_lie_in_one(rng: np.random.Generator) -> None:
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0][:2]
    flat = rng.standard_normal((200, 2)) * [3, 1] @ basis + 7
    plane = Plane.fit(flat)
    assert plane.share == pytest.approx(1)
    shown = plane.project(flat)
    np.testing.assert_allclose(
        np.linalg.norm(shown[1:] - shown[0], axis=1), np.linalg.norm(flat[1:] - flat[0], axis=1)
    )
    assert shown[:, 0].std() > shown[:, 1].std()
    line = Plane.fit(np.arange(5.0)[:, None])
    np.testing.assert_allclose(line.project([[0.0], [4.0]]), [[-2, 0], [2, 0]])


def test_a_tone_is_a_line_at_its_height(make_signal: Signal) -> None:
    image = spectrogram(make_signal("tone", 2.0, frequency=1000.0)[None], 44100, 300, 100)
    edges = row_frequencies(44100, 100)
    row = 99 - int(np.searchsorted(edges, 1000.0) - 1)
    assert set(image[:, 20:-20].argmax(0)) <= {row - 1, row, row + 1}
    assert image.shape == (100, 300)


def test_the_png_is_read_by_another_library(rng: np.random.Generator) -> None:
    image_of = pytest.importorskip("PIL.Image")
    image = rng.integers(0, 256, (7, 33)).astype(np.uint8)
    read = np.asarray(image_of.open(io.BytesIO(grey_png(image))))
    np.testing.assert_array_equal(read, image)


def test_the_envelope_holds_every_peak() -> None:
    audio = np.zeros((2, 1000), np.float32)
    audio[0, 130], audio[1, 777] = 0.5, -1.0
    low, high = envelope(audio, 100)
    assert high[13] == 64
    assert low[77] == -127
    assert np.count_nonzero(high) == np.count_nonzero(low) == 1


def test_encoded_audio_comes_back(make_signal: Signal) -> None:
    audio = np.stack([make_signal("notes", 2.0, seed=s) for s in (0, 1)])
    read, rate = decode(encode_wav(audio, 44100))
    assert rate == 44100
    np.testing.assert_allclose(read, audio, atol=1 / 32000)
    read, _ = decode(encode_ogg(audio, 44100, 10**6))
    assert read.shape == audio.shape
    assert np.corrcoef(read[0], audio[0])[0, 1] > 0.97
    noise = np.asarray(make_signal("noise", 4.0), np.float32)[None]
    best = len(encode_ogg(noise, 44100, 10**6))
    assert len(encode_ogg(noise, 44100, best - 1)) < best


def test_data_cannot_end_their_script() -> None:
    page = fill(
        "{{policy}}|{{title}}|{{data}}|{{script}}",
        title="<b>&",
        scripts=["1;"],
        data={"name": "</script>\u2028&"},
    )
    _, title, data, _ = page.split("|")
    assert title == "&lt;b&gt;&amp;"
    assert not set("<>&\u2028") & set(data)
    assert json.loads(data) == {"name": "</script>\u2028&"}


def test_numbers_are_steps_between_their_bounds() -> None:
    steps = np.frombuffer(base64.b64decode(quantised([-1.0, 0.0, 1.0, 5.0], -1, 1)), "<u2")
    assert steps.tolist() == [0, 32768, 65535, 65535]


def test_playlists_edited_by_hand_are_shown(result: Path, tmp_path: Path) -> None:
    folder = tmp_path / "edited"
    shutil.copytree(result, folder)
    playlist = Playlist.load(folder / outputs.PLAYLIST)
    Playlist(playlist.events[:1], playlist.sample_rate, playlist.roots).save(
        folder / outputs.PLAYLIST
    )
    view = ResultView.load(folder)
    assert view.shares() == [(playlist.events[0].source, 1.0)]

"""The page of a result, seen by a browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc import outputs
from desc.audio import decode
from desc.descriptors.config import DescriptorConfig
from desc.errors import OutputError
from desc.report import ResultView, write_result_report
from desc.report.result_page import map_points
from tests.browser import Browser
from tests.report.conftest import HOSTILE, write_result

SECONDS_OF_FRAMES = 60 * 1024 / 44100


@pytest.fixture(scope="module")
def page(result: Path) -> Path:
    return write_result_report(result)


@pytest.fixture
def opened(page: Path, browser: Browser) -> Browser:
    browser.open(page.as_uri())
    browser.wait("document.querySelector('#files tr')")
    return browser


def text(browser: Browser, selector: str) -> str:
    found: str = browser.value(f"document.querySelector({json.dumps(selector)}).textContent")
    return found


def now(browser: Browser) -> float:
    return float(browser.value("document.querySelector('#wave').getAttribute('aria-valuenow')"))


def test_the_page_is_one_file_that_asks_for_nothing(opened: Browser, page: Path) -> None:
    assert page.stat().st_size < 3_000_000
    assert [url for url in opened.requests if not url.startswith("data:")] == [page.as_uri()]
    assert opened.complaints == []
    named = re.findall(r"""(?:src|href)=["']([^"']*)""", page.read_text(encoding="utf-8"))
    assert all(name.startswith("data:") for name in named)


def test_names_are_shown_and_not_obeyed(opened: Browser, page: Path) -> None:
    assert text(opened, "#title") == HOSTILE
    assert HOSTILE in text(opened, "#files")
    assert HOSTILE in opened.value("document.title")
    assert opened.value("document.scripts.length") == 2
    assert "<script>alert" not in page.read_text(encoding="utf-8")


def test_play_moves_on_and_ends(opened: Browser) -> None:
    before = now(opened)
    assert before == -10.0
    opened.click("#play")
    opened.wait("document.querySelector('#play').textContent === 'Pause'")
    opened.wait(f"Number(document.querySelector('#wave').getAttribute('aria-valuenow')) > {before}")
    opened.click("#play")
    opened.wait("document.querySelector('#play').getAttribute('aria-pressed') === 'false'")
    assert opened.complaints == []


def test_the_continuation_plays_with_the_map_and_stops_at_its_end(opened: Browser) -> None:
    opened.click("#from-continuation")
    opened.wait("Number(document.querySelector('#map').dataset.frame) > 3")
    opened.wait("document.querySelector('#play').textContent === 'Play'")
    assert now(opened) == -10.0  # at the end it goes back to where it began


def test_a_unit_tells_where_it_comes_from_and_plays(opened: Browser, result: Path) -> None:
    playlist = json.loads((result / outputs.PLAYLIST).read_text())
    event = playlist["events"][-1]
    opened.hover("#units", x=0.999)
    opened.wait("!document.querySelector('.tip').hidden")
    shown = text(opened, ".tip")
    assert event["source"] in shown
    assert f"0:{event['start_sample'] / 44100:04.1f}" in shown.split("\n")[1]
    distances = json.loads((result / outputs.MATCHES).read_text())["_distance"]
    mean = np.mean(distances[event["onset_sample"] // 1024 :])
    assert f"distance {mean:.2f}" in shown
    opened.click("#units", x=0.999)
    assert event["source"] in text(opened, "#unit")
    n = len(playlist["events"])
    assert f"Unit {n} of {n}" in text(opened, "#unit")
    frame = event["onset_sample"] // 1024
    opened.wait(
        f"document.querySelector('#map').dataset.frame >= {frame}"
        "|| document.querySelector('#play').textContent === 'Play'"
    )


def test_a_click_on_the_waveform_goes_there(opened: Browser) -> None:
    opened.click("#wave", x=0.5)
    middle = (-10 + SECONDS_OF_FRAMES) / 2
    opened.wait("document.querySelector('#wave').getAttribute('aria-valuenow') > -9")
    assert now(opened) == pytest.approx(middle, abs=0.1)


def test_keys_are_enough(opened: Browser) -> None:
    opened.press("Tab")  # the button that plays
    opened.press("Enter")
    opened.wait("document.querySelector('#play').textContent === 'Pause'")
    opened.press("Enter")
    opened.wait("document.querySelector('#play').textContent === 'Play'")
    opened.value("document.querySelector('#units').focus()")
    for expected in ("Unit 1 of", "Unit 2 of"):
        opened.press("ArrowRight")
        assert expected in text(opened, "#unit")
    opened.press("Enter")
    opened.wait("document.querySelector('#play').textContent === 'Pause'")
    opened.value("document.querySelector('#wave').focus()")
    opened.press("Home")
    opened.press("ArrowRight")
    order = opened.value(
        "[...document.querySelectorAll('button, input, select, summary, [tabindex]')].length"
    )
    assert order >= 10


def test_narrow_and_dark(page: Path, browser: Browser) -> None:
    browser.open(page.as_uri(), width=360, height=700)
    assert browser.value("document.documentElement.scrollWidth") <= 360
    size = "parseFloat(getComputedStyle(document.querySelector('#figures td')).fontSize)"
    assert browser.value(size) >= 13
    light = browser.value("getComputedStyle(document.body).backgroundColor")
    browser.set_scheme("dark")
    assert browser.value("getComputedStyle(document.body).backgroundColor") != light
    assert browser.complaints == []


def contents(page: Path) -> dict:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)
    assert found
    return json.loads(found[1])


def test_the_data_are_those_of_the_result(page: Path, result: Path) -> None:
    data = contents(page)
    prediction = json.loads((result / outputs.PREDICTION).read_text())
    lines = data["descriptors"]
    assert lines["names"] == list(DescriptorConfig().static_names)
    raw = np.frombuffer(base64.b64decode(lines["sets"]["predicted"]), "<u2")
    raw = raw.reshape(len(lines["names"]), -1)
    low, high = np.array(lines["low"])[:, None], np.array(lines["high"])[:, None]
    shown = low + raw / 65535 * (high - low)
    given = np.array([prediction[name] for name in lines["names"]])
    np.testing.assert_allclose(shown, given, atol=2e-5 * np.ptp(given))
    audio, rate = decode(base64.b64decode(data["sound"]["encoded"]))
    assert audio.shape[1] / rate == pytest.approx(10 + SECONDS_OF_FRAMES, abs=0.01)
    assert sum(data["shares"]) == pytest.approx(1)
    assert "--seed 3" in data["command"]
    assert "--speeds 0.9 1.1" in data["command"]
    folder = json.loads((result / outputs.MATCHES).read_text())["_meta"]["corpus"]
    assert f"--audio_db_dir {folder} --exclude 'absent/*' 'b c.wav' --" in data["command"]
    assert ["seed", "3"] in data["settings"]


def test_it_is_made_again_from_the_folder_alone(page: Path, result: Path, tmp_path: Path) -> None:
    shutil.copytree(result, tmp_path / "moved")
    (tmp_path / "moved" / outputs.REPORT).unlink()
    again, before = contents(write_result_report(tmp_path / "moved")), contents(page)
    assert again == before


def test_the_command_makes_the_same_draw_from_the_same_place(
    result: Path, page: Path, tmp_path: Path
) -> None:
    shutil.copytree(result, tmp_path / "drawn")
    file = tmp_path / "drawn" / outputs.PREDICTION
    stored = json.loads(file.read_text())
    stored["_meta"]["request"] |= {"sample": 2, "from_s": 3.5}
    file.write_text(json.dumps(stored))
    data = contents(write_result_report(tmp_path / "drawn"))
    stored["_meta"]["request"] |= {"speeds": [0.954833]}
    stored["_meta"]["inputs"] |= {"tempo": ["120.0"]}
    file.write_text(json.dumps(stored))
    tempo = contents(write_result_report(tmp_path / "drawn"))["command"]
    assert "--tempo 120.0" in tempo
    assert "--speeds" not in tempo, "not every sound is played at this speed"
    assert "--n_draws 2" in data["command"]
    assert "--from_s 3.5" in data["command"]
    of_before = "--continuity 0.5 --slow_weight 0.0 --beat_weight 0.0 --max_unit_s none"
    assert of_before in data["command"], "a request without these settings is granular"
    assert any("continued from 0:04" in note for note in data["notes"])
    assert not any("continued from" in note for note in contents(page)["notes"])


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.996, "100 %"), (0.994, "99 %"), (0.0123, "1.2 %"), (0.0, "0 %")],
)
def test_percentages(share: float, text: str) -> None:
    assert outputs.percent(share) == text


@pytest.mark.parametrize("name", [outputs.REPORT_DATA, outputs.PREDICTION, outputs.PLAYLIST])
def test_a_folder_that_is_not_whole_is_refused_by_name(
    name: str, result: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(result, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    (folder / outputs.REPORT).unlink(missing_ok=True)
    with pytest.raises(OutputError, match=re.escape(str(folder))):
        write_result_report(folder)
    assert not (folder / outputs.REPORT).exists()


def test_a_minute_of_stereo_noise_is_below_the_limit(
    make_signal: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    for folder in ("recordings", "sounds"):
        (tmp_path / folder).mkdir()
        noise = np.stack([make_signal("noise", 12.0, seed=s) for s in (0, 1)], 1)
        soundfile.write(tmp_path / folder / "noise.wav", noise, 44100)
    page = write_result_report(write_result(tmp_path / "result", tmp_path, n_frames=2300))
    data = contents(page)
    assert data["sound"]["end"] - data["sound"]["start"] == pytest.approx(60, abs=0.01)
    assert any("50 s of 53 s" in note for note in data["notes"])
    assert 1_000_000 < page.stat().st_size < 3_000_000


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

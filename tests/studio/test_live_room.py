"""The page of a stream: what it shows, what it changes, what it refuses; and a browser on it."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from desc.configuration import LiveConfig
from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.live import Stream, StreamEvent
from desc.live.engine import Figures
from desc.matching import Matcher
from desc.prediction import Predictor
from desc.studio import Atlas, LiveRoom, LocalServer
from desc.studio.controls import LIVE_CONTROLS, live_controls
from tests.browser import Browser
from tests.small_run import SmallRun

HOP = 1024
NAMES = ("<b>two.wav", "a.wav", "c.wav")


@dataclass
class Scene:
    """A stream with a page, and a player."""

    stream: Stream
    room: LiveRoom
    server: LocalServer
    player: np.ndarray

    def play(self, n_frames: int) -> None:
        for _ in range(n_frames):
            first = self.stream.n_samples % (len(self.player) - HOP)
            self.stream.process(self.player[first : first + HOP])

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port)
        connection.request("POST", f"/{self.server.token}/{path}", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content) if content else None

    def set(self, **settings: Any) -> tuple[int, Any]:
        return self.post("set", json.dumps(settings).encode())

    def state(self) -> dict[str, Any]:
        """The next event of the page."""
        with urllib.request.urlopen(self.server.url + "events") as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            found: dict[str, Any] = json.loads(answer.readline().removeprefix(b"data: "))
            return found


@pytest.fixture(scope="module")
def database(small_run: SmallRun) -> DescriptorDatabase:
    predictor = Predictor.from_run(small_run.record)
    corpus = open_corpus(small_run.root / "training", predictor.config, small_run.store, jobs=1)
    return DescriptorDatabase.from_corpus(corpus, small_run.store)


@pytest.fixture
def scene(small_run: SmallRun, database: DescriptorDatabase) -> Iterator[Scene]:
    predictor = Predictor.from_run(small_run.record)
    player, _ = soundfile.read(small_run.root / "held_out" / "y.wav", dtype="float32")
    stream = Stream(predictor, Matcher(database, predictor.standardizer), store=small_run.store)
    with (
        LiveRoom(stream, Atlas.of(database)) as room,
        LocalServer(room).in_background() as server,
        stream,
    ):
        yield Scene(stream, room, server, player)


def test_each_setting_has_a_control_on_the_page(scene: Scene) -> None:
    names = [control["name"] for control in live_controls()]
    assert sorted(names) == sorted(field.name for field in fields(LiveConfig))
    defaults = LiveConfig()
    for control, shown in zip(LIVE_CONTROLS, live_controls(), strict=True):
        assert shown["value"] == getattr(defaults, control.name)
        assert shown["help"]
        values: list[Any] = [control.low, control.high] if control.step else [*control.words]
        for value in values:
            replace(defaults, **{control.name: value})  # is allowed
    with urllib.request.urlopen(scene.server.url) as answer:
        page = answer.read().decode()
    assert all(f'"name":"{name}"' in page for name in names)


def test_it_shows_what_plays(scene: Scene, database: DescriptorDatabase) -> None:
    assert scene.state()["playing"] == scene.state()["trail"] == []
    begun: list[StreamEvent] = []
    scene.stream.watchers.append(lambda one: begun.append(one) if not one.is_over else None)
    scene.set(style="granular", layers=2)
    scene.play(200)
    scene.room.show(Figures(0.25, -20.0, -np.inf, 3, 1.5))
    state = scene.state()
    assert state["settings"] == vars(LiveConfig(style="granular", layers=2)) | {"files": []}
    assert state["seconds"] == pytest.approx(200 * HOP / 44100)
    figures = {name: state[name] for name in ("load", "heard_db", "underruns", "skipped_s")}
    assert figures == {"load": 0.25, "heard_db": -20, "underruns": 3, "skipped_s": 1.5}
    assert state["played_db"] == -120
    assert {unit["layer"] for unit in state["playing"]} == {0, 1}
    for unit in state["playing"]:
        event = next(e.event for e in reversed(begun) if e.event.layer == unit["layer"])
        assert unit["file"] == event.source
        centre = event.start_sample + scene.stream.n_samples - event.onset_sample - HOP // 2
        row = unit["point"]  # all rows are points of this map
        assert database.files[database.file_index[row]].source == event.source
        assert abs(database.centre_samples[row] - centre) <= HOP
    units = [one.event for one in begun if not one.is_joined]
    assert len(units) > 30
    assert len(state["trail"]) == 24, "it does not grow"
    for (row, layer), event in zip(state["trail"], units[-24:], strict=True):
        assert layer == event.layer
        assert database.centre_samples[row] == event.start_sample + HOP // 2
    scene.set(mode="listen")
    scene.play(3)
    assert scene.state()["playing"] == []


def test_it_shows_the_beat(scene: Scene) -> None:
    scene.stream.set_pulse(22050, 11025)
    scene.play(40)
    state = scene.state()
    assert state["phase"] == pytest.approx((40 * HOP - 11025) % 22050 / 22050, abs=1e-6)
    assert state["pulse"] == pytest.approx(1)
    scene.room.show(Figures(heard_db=np.inf))  # of a sound that is not finite
    assert scene.state()["heard_db"] == 120


def test_a_setting_changes_what_is_heard(scene: Scene) -> None:
    scene.play(30)
    assert np.abs(scene.stream.process(scene.player[: 10 * HOP])).max() > 0.001
    assert scene.set(level_db=-100, files=["a.wav"], temperature=0.5) == (200, {})
    scene.play(5)
    assert np.abs(scene.stream.process(scene.player[: 10 * HOP])).max() < 0.001
    state = scene.state()
    assert state["settings"]["temperature"] == 0.5
    assert {unit["file"] for unit in state["playing"]} == {"a.wav"}
    assert scene.set(level_db=None, files=None, continuity=3)[0] == 200
    scene.play(1)
    assert scene.stream.settings == LiveConfig(temperature=0.5, continuity=3)
    scene.set(continuity=1000)
    scene.play(2)
    n_units = len(scene.state()["trail"])
    assert scene.post("jump", b"{}") == (200, {})
    scene.play(1)
    assert len(scene.state()["trail"]) == min(24, n_units + 1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"temperature": 11}', "temperature=11 must be"),
        (b'{"temperature": "warm"}', "temperature='warm' must be"),
        (b'{"temperature": NaN}', "temperature=nan must be"),
        (b'{"layers": 1e99}', "layers=1e+99 must be"),
        (b'{"mode": ["duet"]}', "mode=['duet'] must be"),
        (b'{"files": [1]}', "files=[1] must be"),
        (b'{"files": ["nothing*"]}', "files=['nothing*'] must match a file"),
        (b'{"style": "jazz", "seed": 3}', "style='jazz' must be one of"),
        (b'{"self": 1, "__class__": 2}', "no setting __class__, self"),
        (b"[1]", "not a JSON object"),
        (b"\xff{", "not a JSON object"),
        (b'{"seed": ' + b"9" * 5000 + b"}", ""),
        (b'{"files": ' + b"[" * 100_000 + b"}", ""),
    ],
)
def test_wrong_values_are_refused_and_change_nothing(scene: Scene, body: bytes, words: str) -> None:
    status, answer = scene.post("set", body)
    assert status == 400
    assert words in answer["error"]
    scene.play(1)
    assert scene.stream.settings == LiveConfig()


def test_pages_of_others_change_nothing(scene: Scene) -> None:
    body = b'{"mode": "duet"}'
    for name, value in (("Origin", "http://attacker.example"), ("Host", "attacker.example")):
        assert scene.post("set", body, **{name: value}) == (404, None)
    assert scene.post("unknown", b"{}")[0] == 404
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{scene.server.url}set?mode=duet")
    scene.play(1)
    assert scene.stream.settings == LiveConfig()


def test_the_page_ends_what_plays_if_it_may(scene: Scene) -> None:
    assert scene.post("end", b"{}")[0] == 404
    asked: list[bool] = []
    atlas = Atlas.of(scene.stream.database, 50)
    room = LiveRoom(scene.stream, atlas, lambda: asked.append(True))
    with room, LocalServer(room).in_background() as server:
        page = replace(scene, room=room, server=server)
        assert [page.post("end", b"{}") for _ in range(3)] == [(200, {})] * 3
    assert asked == [True]  # once: what was played is being written


def test_the_events_end_with_the_stream(scene: Scene) -> None:
    with LiveRoom(scene.stream, Atlas.of(scene.stream.database, 50)) as room:
        server = LocalServer(room)
        with server.in_background(), urllib.request.urlopen(server.url + "events") as answer:
            assert answer.readline().startswith(b"data: ")
            room.__exit__()
            assert answer.read().count(b"data: ") < 50
            room.__enter__()


@pytest.mark.parametrize("n_points", [50, 2])
def test_a_thinned_map_shows_the_nearest_point_of_the_file(scene: Scene, n_points: int) -> None:
    database, begun = scene.stream.database, list[StreamEvent]()
    atlas = Atlas.of(database, n_points)
    scene.stream.watchers.append(lambda one: begun.append(one) if not one.is_over else None)
    with LiveRoom(scene.stream, atlas) as room:
        scene.set(style="granular")
        scene.play(200)
        trail = room.state()["trail"]
        json.dumps(room.state(), allow_nan=False)
    units = [one.event for one in begun if not one.is_joined][-24:]
    assert len(trail) == len(units) > 10
    of_files = database.file_index[atlas.rows]
    centres = database.centre_samples[atlas.rows]
    own_points = 0
    for (point, _), event in zip(trail, units, strict=True):
        file = next(i for i, one in enumerate(database.files) if one.source == event.source)
        own = np.flatnonzero(of_files == file)
        if own.size:
            own_points += 1
            away = np.abs(centres - event.start_sample - HOP // 2)
            assert of_files[point] == file
            assert away[point] == away[own].min()
        assert 0 <= point < n_points
    assert own_points


CLOUD = "document.querySelector('#cloud')"


def open_page(browser: Browser, scene: Scene, width: int = 1280, height: int = 900) -> None:
    browser.open(scene.server.url, width, height)
    browser.wait(f"{CLOUD}.dataset.ready && document.body.dataset.ready")


def shot(browser: Browser, name: str) -> None:
    if folder := os.environ.get("DESC_SHOTS"):
        browser.screenshot(Path(folder) / f"{name}.png")


def test_a_browser_plays(scene: Scene, browser: Browser) -> None:
    open_page(browser, scene)
    scene.set(style="granular", layers=3)
    scene.play(80)
    scene.room.show(Figures(0.31, -18.0, -9.0, 2))
    browser.wait("document.querySelectorAll('#units li').length === 3")
    browser.wait("document.querySelector('#load-text').textContent === '31 %'")
    browser.wait("document.querySelector('#set-style').value === '1'")
    shot(browser, "live wide")
    browser.click("#modes [data-mode=duet]")
    browser.wait("document.querySelector('#modes [data-mode=follow]').ariaPressed === 'true'")
    slide = "const e = document.querySelector('#set-temperature'); e.value = 1.5"
    browser.value(f"(() => {{ {slide}; e.dispatchEvent(new Event('input')); }})()")
    while scene.stream.settings.temperature != 1.5:
        scene.play(1)
    assert scene.stream.settings.mode == "duet"
    browser.wait("document.querySelector('#modes [data-mode=duet]').ariaPressed === 'true'")
    wrong = "const e = document.querySelector('#set-seed'); e.max = 1e30; e.value = 1e30"
    browser.value(f"(() => {{ {wrong}; e.dispatchEvent(new Event('input')); }})()")
    browser.wait("document.querySelector('#problem').textContent.startsWith('seed=')")
    browser.wait("document.querySelector('#set-seed').value === '0'")
    assert [text for text in browser.complaints if " 400 " not in text] == []


def draw_lasso(browser: Browser) -> None:
    """Draw around all points."""
    browser.click("#lasso")
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)]
    places = [browser.place("#cloud", *corner) for corner in corners]
    browser.mouse("mouseMoved", *places[0])
    browser.mouse("mousePressed", *places[0])
    for place in places[1:]:
        browser.mouse("mouseMoved", *place, held=True)
    browser.mouse("mouseReleased", *places[-1])
    browser.wait("document.querySelector('#heard').textContent === '3 of 3 files'")


def test_the_lasso_chooses_files(scene: Scene, browser: Browser) -> None:
    open_page(browser, scene)
    browser.value(f"(window.before = {CLOUD}.toDataURL(), 0)")
    draw_lasso(browser)
    while not scene.stream.settings.files:
        scene.play(1)
    assert sorted(scene.stream.settings.files) == list(NAMES)
    browser.wait(f"{CLOUD}.toDataURL() !== before")  # the points are lit
    shot(browser, "live lasso")
    assert "Enter" not in browser.value(f"{CLOUD}.ariaLabel")  # it plays nothing here
    browser.click("#forget")
    browser.wait(f"{CLOUD}.toDataURL() === before")
    while scene.stream.settings.files:
        scene.play(1)
    shot(browser, "live lasso cleared")


def test_the_lasso_sends_names_as_they_are(scene: Scene, browser: Browser) -> None:
    names, database = [" a.wav ", "b\nc.wav", "[d]*.wav"], scene.stream.database
    files = tuple(replace(f, source=n) for f, n in zip(database.files, names, strict=True))
    room = LiveRoom(scene.stream, Atlas.of(replace(database, files=files)))
    with room, LocalServer(room).in_background() as server:
        open_page(browser, replace(scene, server=server))
        browser.value("(fetch = async (path, { body }) => { window.sent = body; }, 0)")
        draw_lasso(browser)
        browser.wait("window.sent")
    assert json.loads(browser.value("sent")) == {"files": names}


def test_the_page_asks_for_the_end_once(scene: Scene, browser: Browser) -> None:
    asked: list[bool] = []
    room = LiveRoom(scene.stream, Atlas.of(scene.stream.database), lambda: asked.append(True))
    with room, LocalServer(room).in_background() as server:
        browser.open(server.url)
        browser.wait("document.body.dataset.ready")
        browser.click("#end")
        browser.wait("document.querySelector('#end').disabled")
        browser.click("#end")
    assert asked == [True]


def test_the_page_says_when_it_is_over(scene: Scene, browser: Browser) -> None:
    with LiveRoom(scene.stream, Atlas.of(scene.stream.database)) as room:
        with LocalServer(room).in_background() as server:
            browser.open(server.url)
            scene.play(20)
            browser.wait("document.querySelectorAll('#units li').length === 1")
            room.__exit__()
        browser.wait("!document.querySelectorAll('#units li').length")
        words = "There is no answer. Start it again with desc live."
        browser.wait(f"document.querySelector('#problem').textContent === '{words}'")
        room.__enter__()


def test_a_narrow_window(scene: Scene, browser: Browser) -> None:
    open_page(browser, scene, 390, 800)
    scene.play(60)
    browser.wait("document.querySelectorAll('#units li').length === 1")
    shot(browser, "live narrow")
    assert browser.value("document.documentElement.scrollWidth") <= 390
    assert browser.complaints == []

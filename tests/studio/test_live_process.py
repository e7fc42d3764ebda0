"""Playing live from the studio: a process with a page, which ends by a request to it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from desc.commands.main import build_parser
from desc.configuration import RunConfig
from desc.errors import ConfigurationError
from desc.studio import LocalServer, StudioRoom
from desc.studio.live_process import LiveProcess
from desc.studio.server import Body, Request
from tests.browser import Browser
from tests.small_run import SmallRun

REPOSITORY = Path(__file__).parents[2]
CARD = """
import threading, time
import numpy as np

class PortAudioError(Exception): pass
def query_devices(device, kind): return {"max_output_channels": 2}
def _terminate(): pass
def _initialize(): pass

class Stream:
    active = True
    def __init__(self, callback, channels, blocksize, **given):
        self.callback, self.channels, self.n = callback, channels, blocksize
    def start(self):
        threading.Thread(target=self.play, daemon=True).start()
    def play(self):
        noise = np.random.default_rng(0).standard_normal((self.n, self.channels[0]))
        while self.active:
            out = np.zeros((self.n, self.channels[1]), np.float32)
            self.callback(0.1 * noise.astype(np.float32), out, self.n, None, None)
            time.sleep(self.n / 44100)
    def abort(self): self.active = False
    def close(self): self.active = False
"""


class Watched:
    """Waits for states of a process."""

    def __init__(self) -> None:
        self.changed = threading.Semaphore(0)

    def wait(self, live: LiveProcess, state: str) -> dict[str, str]:
        while (found := live.state())["state"] != state:
            assert self.changed.acquire(timeout=60), found
        return found


PLAYER = """
import http.server, pathlib, sys, threading, time

folder = pathlib.Path(sys.argv[sys.argv.index("--record_dir") + 1])

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200 if self.path == "/token/end" else 404)
        self.end_headers()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "asked").open("a") as file:
            file.write("end ")
        threading.Thread(target=write).start()
    def log_message(self, *given): pass

def write():
    while (folder.parent.parent / "slow").exists():
        time.sleep(0.01)
    server.shutdown()

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}/token/", flush=True)
server.serve_forever()
"""


def test_it_plays_until_its_page_is_asked_to_end(tmp_path: Path) -> None:
    watched = Watched()
    live = LiveProcess(tmp_path, [], watched.changed.release, [sys.executable, "-c", PLAYER])
    assert live.state()["state"] == ""
    with pytest.raises(ConfigurationError, match="live='' must be playing"):
        live.end()
    live.start("run", "sounds", ["a*"])
    state = watched.wait(live, "playing")
    assert state["url"].endswith("/token/")
    assert state["folder"] == str(tmp_path / "live" / "1")
    with pytest.raises(ConfigurationError, match="live='playing' must have ended"):
        live.start("run", "sounds", [])
    live.end()
    assert watched.wait(live, "kept")["folder"] == str(tmp_path / "live" / "1")
    live.close()


def test_it_is_asked_to_end_only_once(tmp_path: Path) -> None:
    watched, slow = Watched(), tmp_path / "slow"
    slow.touch()
    live = LiveProcess(tmp_path, [], watched.changed.release, [sys.executable, "-c", PLAYER])
    live.start("run", "sounds", [])
    watched.wait(live, "playing")
    live.end()
    assert live.state()["state"] == "ending"
    live.end()
    threading.Timer(0.3, slow.unlink).start()
    live.close()  # waits until it is written
    assert live.state()["state"] == "kept"
    assert (tmp_path / "live" / "1" / "asked").read_text() == "end "


def test_nothing_is_kept_where_nothing_was_recorded(tmp_path: Path) -> None:
    watched = Watched()
    command = [sys.executable, "-c", "print('http://127.0.0.1/')"]
    live = LiveProcess(tmp_path, [], watched.changed.release, command)
    live.start("run", "sounds", [])
    watched.wait(live, "")


@pytest.mark.parametrize("names", [["-a.wav", "b [1].wav"], ["--mode"], []])
def test_the_command_takes_its_options(tmp_path: Path, names: list[str]) -> None:
    watched = Watched()
    words = "import json, sys; print(json.dumps(sys.argv[1:])); sys.stdin.read()"
    live = LiveProcess(tmp_path, [], watched.changed.release, [sys.executable, "-c", words])
    live.start("run", "sounds", names)
    given = json.loads(watched.wait(live, "playing")["url"])
    args = build_parser("live").parse_args(["live", *given])
    assert args.include == names
    assert (args.run_id, args.audio_db_dir) == ("run", ["sounds"])
    assert (args.osc_port, args.page_port) == (-1, 0)
    live.close()


def test_it_ends_when_the_studio_has_died(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(600)")
    process = subprocess.Popen(
        [sys.executable, "-m", "desc.studio.companion", "endless"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(REPOSITORY)))},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        assert process.stdout.readline().strip() == b"begun"
        process.stdin.close()
        assert process.wait(60) != 0


def test_why_it_failed_is_told(tmp_path: Path) -> None:
    watched = Watched()
    command = [sys.executable, "-c", "import sys; sys.exit('no sound device ' + sys.argv[-1])"]
    live = LiveProcess(tmp_path, [], watched.changed.release, command)
    live.start("run", "sounds", ["b*"])
    assert watched.wait(live, "failed")["line"] == "no sound device --include=b*"
    live.close()


def test_it_ends_with_the_studio(tmp_path: Path) -> None:
    watched = Watched()
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    live = LiveProcess(tmp_path, [], watched.changed.release, command)
    live.start("run", "sounds", [])
    assert live.state()["state"] == "starting"
    live.close()
    watched.wait(live, "")  # it has not failed


@pytest.fixture
def studio(tmp_path: Path, small_run: SmallRun) -> Iterator[StudioRoom]:
    runs = RunConfig(str(small_run.root / "experiments"))
    room = StudioRoom(tmp_path / "studio", runs, small_run.store)
    yield room
    room.close()


def post(room: StudioRoom, path: str, **values: Any) -> None:
    body = json.dumps(values).encode()
    room.answer(Request("POST", path, {}, Body(io.BytesIO(body), len(body))))


def test_a_run_and_sounds_are_chosen_first(studio: StudioRoom, small_run: SmallRun) -> None:
    assert studio.status()["live"]["state"] == ""
    with pytest.raises(ConfigurationError, match="run_id='' must be chosen"):
        post(studio, "play")
    post(studio, "choose", run_id=small_run.run_id)
    with pytest.raises(ConfigurationError, match="sounds='' must be chosen"):
        post(studio, "play")
    with pytest.raises(ConfigurationError, match="live='' must be playing"):
        post(studio, "end")


@pytest.mark.slow
def test_the_studio_plays_live(
    studio: StudioRoom,
    small_run: SmallRun,
    browser: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "sounddevice.py").write_text(CARD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tmp_path, REPOSITORY))))
    post(studio, "choose", run_id=small_run.run_id, sounds=str(small_run.root / "training"))
    post(studio, "choose", include=["a.wav"])
    with LocalServer(studio).in_background() as server:
        browser.open(server.url, 1200, 900)
        browser.wait("!document.querySelector('#play-live').disabled")
        browser.click("#play-live")
        browser.wait("!document.querySelector('#live-page').hidden")
        address = browser.value("document.querySelector('#live-page').href")
        browser.open(address)
        browser.wait("document.querySelectorAll('#units li').length")
        browser.wait("document.querySelector('#played-text').textContent.endsWith('dB')")
        assert "a.wav" in browser.value("document.querySelector('#units').textContent")
        browser.click("#end")
        browser.open(server.url, 1200, 900)
        browser.wait("document.querySelector('#live-text').dataset.state === 'kept'")
    names = {path.name for path in (studio.folder / "live" / "1").iterdir()}
    assert names == {"live.wav", "live.dawproject", "playlist.json"}
    sound, _ = soundfile.read(studio.folder / "live" / "1" / "live.wav")
    assert abs(sound).max() > 0.001


STUDIO = """
import os, sys, threading
from pathlib import Path
from desc.studio.live_process import LiveProcess

changed = threading.Semaphore(0)
folder, run, sounds, cache = sys.argv[1:]
live = LiveProcess(Path(folder), ["--cache_dir", cache], changed.release)
live.start(run, sounds, [])
while live.state()["state"] == "starting":
    changed.acquire(timeout=1)
print(live.state(), flush=True)
threading.Event().wait(2)
os._exit(1)
"""


@pytest.mark.slow
def test_a_studio_that_dies_loses_no_recording(small_run: SmallRun, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text(CARD)
    given = [str(small_run.record.folder), str(small_run.root / "training")]
    words = [sys.executable, "-c", STUDIO, str(tmp_path), *given, str(small_run.store.cache_dir)]
    path = os.pathsep.join(map(str, (tmp_path, REPOSITORY)))
    said = subprocess.run(
        words, env=os.environ | {"PYTHONPATH": path}, check=False, capture_output=True, text=True
    )
    assert "'playing'" in said.stdout
    project, until = tmp_path / "live" / "1" / "live.dawproject", time.monotonic() + 60
    while not project.exists():  # the last file
        assert time.monotonic() < until
        time.sleep(0.1)
    assert {path.name for path in project.parent.iterdir()} >= {"live.wav", "playlist.json"}

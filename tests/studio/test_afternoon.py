"""A composer's afternoon in the studio, in a browser: from an empty folder to a saved project."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from desc import edits
from desc.concatenation import Playlist
from desc.configuration import RunConfig
from desc.storage import DescriptorStore
from desc.studio import LocalServer, StudioRoom
from tests.browser import Browser

SHOTS = "DESC_SHOTS"
"""Variable that names a folder for pictures of the page."""


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalServer]:
    runs = RunConfig(str(tmp_path / "experiments"), offline=True)
    room = StudioRoom(tmp_path / "studio", runs, DescriptorStore(tmp_path / "cache"))
    with LocalServer(room).in_background() as server:
        yield server
    room.close()


def text(browser: Browser, selector: str) -> str:
    found: str = browser.value(f"document.querySelector({json.dumps(selector)}).textContent")
    return found


def set_value(browser: Browser, selector: str, value: object) -> None:
    browser.value(
        f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = "
        f"{json.dumps(value)};"
        "for (const name of ['input', 'change']) e.dispatchEvent(new Event(name)); })()"
    )


def shot(browser: Browser, name: str) -> None:
    folder = os.environ.get(SHOTS)
    if folder:
        browser.screenshot(Path(folder) / f"{name}.png")


def train_and_stop(browser: Browser, after_step: int = 4) -> None:
    browser.wait("document.querySelector('#training-text').dataset.state === 'running'", 300)
    step = "Number(document.querySelector('#training-text').textContent.match(/step (\\d+)|$/)[1])"
    browser.wait(f"{step} > {after_step}", 300)
    browser.wait("!document.querySelector('#curve-box').hidden", 120)
    browser.click("#stop")


def wait_for_takes(browser: Browser, count: int) -> None:
    browser.wait(f"document.querySelectorAll('#takes .take').length === {count}", 300)


@pytest.mark.slow
def test_an_afternoon(studio: LocalServer, browser: Browser, tmp_path: Path) -> None:
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(studio.url, 1200, 900)
    browser.wait("document.body.dataset.ready")
    shot(browser, "1 empty")

    browser.click("#demo")
    browser.wait("document.querySelector('#sounds-text').textContent.includes('10 files')", 300)
    browser.wait("document.querySelector('#recordings-text').textContent.includes('6 files')")
    assert text(browser, "#recordings-text").endswith("6 files, 3:36.0")

    set_value(browser, "#minutes", "30")
    browser.click("#train")
    train_and_stop(browser)
    shot(browser, "2 training")
    browser.open(studio.url, 1200, 900)  # the page is closed and opened again meanwhile
    browser.wait("document.querySelector('#training-text').dataset.state === 'ended'", 300)
    words = text(browser, "#training-text")
    assert "stopped at step" in words
    browser.wait("!document.querySelector('#resume').hidden")
    browser.click("#resume")
    browser.wait("document.querySelector('#samples button')", 300)
    train_and_stop(browser, int(words.split("step ")[1].split()[0]))
    browser.wait("document.querySelector('#training-text').dataset.state === 'ended'", 300)

    browser.wait("!document.querySelector('#continue').disabled")
    browser.click("#point", 0.75, 0.5)
    assert "Continues from 0:2" in text(browser, "#point-text")
    set_value(browser, "#set-duration_s", "4")
    browser.click("#continue")
    wait_for_takes(browser, 1)
    set_value(browser, "#set-seed", "1")
    browser.click("#continue")
    wait_for_takes(browser, 2)
    set_value(browser, "#set-style", "0")
    browser.click("#continue")
    wait_for_takes(browser, 3)
    shot(browser, "3 takes")

    compare_and_edit(browser, tmp_path / "studio" / "takes" / "01 garden.wav")
    save_project(browser, tmp_path)
    look_at_it(browser, studio.url)


def compare_and_edit(browser: Browser, takes: Path) -> None:
    """Hear three takes, star one, make one again, and replace a unit."""
    for number in (1, 2, 3):
        playlist = Playlist.load(takes / str(number) / "playlist.json")
        files = {event.source for event in playlist.events}
        words = text(browser, f"[data-number='{number}'] .figures")
        assert words.startswith(
            f"{playlist.n_samples / 44100:.1f} s, {len(playlist.events)} units of {len(files)} file"
        )
    assert "seed 1" in text(browser, "[data-number='2'] p")
    browser.click("#play")
    browser.wait("document.querySelector('#play').textContent === 'Pause'")
    browser.click("#ab")
    browser.wait("document.querySelector('#take-title').textContent === 'Take 2'")
    browser.click("#transition")
    browser.wait("(document.body.dataset.heard || '').startsWith('transition')")
    browser.click("[data-number='2'] .star")
    browser.wait("document.querySelector(\"[data-number='2'] .star\").textContent === '★'")

    browser.value("document.querySelector('#units').focus()")
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    browser.wait("document.querySelectorAll('#others li').length > 3")
    before = Playlist.load(takes / "2" / "playlist.json")
    browser.click("#others li:nth-child(2) button")
    browser.wait("document.body.dataset.swapMs")
    browser.wait("document.querySelector('#undo').textContent === 'Undo (1)'")
    browser.wait(
        "document.querySelector(\"[data-number='2'] .figures\").textContent.includes('1 edit')"
    )
    after = edits.edited_playlist(takes / "2")
    changed = [a != b for a, b in zip(before.events, after.events, strict=True)]
    assert sum(changed) == 1
    shot(browser, "4 unit")

    browser.click("[data-number='1'] .row:last-child button")  # again with the same settings
    browser.wait("!document.querySelector('#again').hidden")
    browser.click("#continue")
    browser.wait("document.querySelector('#problem').textContent.includes('Take 1 already')", 120)


def save_project(browser: Browser, folder: Path) -> None:
    """Export a DAWproject."""
    set_value(browser, "#format", "dawproject")
    browser.click("#export")
    browser.wait("document.querySelector('#exported').textContent.startsWith('Saved')", 60)
    saved = folder / "01 garden take 2.dawproject"
    until = time.monotonic() + 30
    while not saved.is_file() and time.monotonic() < until:
        time.sleep(0.1)
    assert zipfile.is_zipfile(saved)
    assert browser.complaints == []


def look_at_it(browser: Browser, url: str) -> None:
    """Open the page dark and on a phone."""
    for width, dark, name in (
        (1200, True, "dark"),
        (400, False, "phone"),
        (400, True, "dark phone"),
    ):
        browser.open(url, width, 900, dark=dark)
        browser.wait("document.querySelector('#units').dataset.take === '3'")
        browser.click("#units", 0.3)
        browser.wait("document.querySelectorAll('#others li').length > 0")
        assert browser.value("document.documentElement.scrollWidth") <= width
        shot(browser, f"5 {name}")
        assert browser.complaints == []
    asked = {one.split("/")[2] for one in browser.requests if one.startswith("http")}
    assert asked == {url.split("/")[2]}

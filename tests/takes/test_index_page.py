"""The page that compares takes, seen by a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc import outputs
from desc.audio import LoudnessMeter
from desc.errors import OutputError
from desc.takes import list_takes, mark, remove, write_index
from tests.browser import Browser
from tests.report.conftest import HOSTILE, write_result


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]
) -> Path:
    """Three takes; take 2 is 20 dB softer, take 3 has a star and a note."""
    root = tmp_path_factory.mktemp("takes")
    for name in ("recordings", "sounds"):
        path = root / name / HOSTILE
        path.parent.mkdir(parents=True)
        soundfile.write(path, make_signal("notes", 6.0, seed=len(name)), 44100)
    folder = root / "predictions" / HOSTILE
    first = write_result(folder / "1", root)
    for number in (2, 3):
        shutil.copytree(first, folder / str(number))
        file = folder / str(number) / outputs.PREDICTION
        content = json.loads(file.read_text())
        content["_meta"]["request"]["seed"] = 10 * number
        content["_meta"]["digests"][outputs.WAV] = f"sound {number}"
        file.write_text(json.dumps(content))
    sound, rate = soundfile.read(folder / "2" / outputs.WAV)
    soundfile.write(folder / "2" / outputs.WAV, sound / 10, rate)
    mark(folder, 3, starred=True, note="<b>the one</b>")
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    return write_index(folder)


@pytest.fixture
def opened(page: Path, browser: Browser) -> Browser:
    browser.open(page.as_uri())
    browser.value("localStorage.clear()")
    browser.open(page.as_uri())
    browser.wait("document.querySelectorAll('.take').length === 3")
    return browser


def heard(browser: Browser) -> str:
    text: str = browser.value("document.querySelector('#heard').textContent")
    return text


def contents(page: Path) -> dict:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)
    assert found
    return json.loads(found[1])


def test_the_page_is_one_file_that_asks_for_nothing(opened: Browser, page: Path) -> None:
    assert [url for url in opened.requests if not url.startswith("data:")] == [page.as_uri()]
    assert opened.complaints == []
    shown = opened.value("document.body.innerText")
    assert HOSTILE in shown
    assert "<b>the one</b>" in shown


def test_its_numbers_are_those_of_the_takes(page: Path, folder: Path) -> None:
    data, takes = contents(page), list_takes(folder)
    assert [take["number"] for take in data["takes"]] == [1, 2, 3]
    assert [take["starred"] for take in data["takes"]] == [False, False, True]
    for shown, take in zip(data["takes"], takes, strict=True):
        assert f"mean distance {take.figures['mean_match_distance']:.2f}" in shown["figures"]
        assert f"{take.figures['n_units']:.0f} units" in shown["figures"]
        assert f"--seed {take.request['seed']}" in shown["command"]
        assert (page.parent / shown["wav"]).samefile(take.folder / outputs.WAV)
    levels = [take["sound"]["lufs"] for take in data["takes"]]
    assert levels[0] - levels[1] == pytest.approx(20, abs=0.1)
    sound, rate = soundfile.read(takes[0].folder / outputs.WAV, always_2d=True)
    meter = LoudnessMeter(rate, sound.shape[1])
    meter.add(sound.T)
    assert levels[0] == pytest.approx(meter.loudness, abs=0.1)
    assert data["differing"] == [["seed", ["3", "20", "30"], "0"]]


def test_one_key_switches_between_two_takes_at_the_same_loudness(opened: Browser) -> None:
    assert heard(opened) == "Heard: A, Take 3 ★, 20.0 dB softer."
    opened.press("x")
    assert heard(opened) == "Heard: B, Take 2."
    opened.press("x")
    opened.press("1")
    assert heard(opened) == "Heard: A, Take 1, 20.0 dB softer."
    opened.wait("document.querySelector('#play').textContent === 'Pause'")
    before = opened.value("document.querySelector('#wave-a').getAttribute('aria-valuenow')")
    opened.press("x")
    opened.wait(
        f"Number(document.querySelector('#wave-a').getAttribute('aria-valuenow')) > {before}"
    )
    assert heard(opened) == "Heard: B, Take 2."
    assert "seed" in opened.value("document.querySelector('.compared').innerText")
    opened.press(" ")
    opened.wait("document.querySelector('#play').textContent === 'Play'")
    opened.click("#match")
    opened.press("x")
    assert heard(opened) == "Heard: A, Take 1."
    assert opened.complaints == []


def test_a_star_stays_in_the_browser_and_can_be_saved(opened: Browser, page: Path) -> None:
    opened.click(".take:last-of-type button:last-of-type")  # that of take 1
    opened.open(page.as_uri())
    pressed = "[...document.querySelectorAll('.take button:last-of-type')]"
    assert opened.value(f"{pressed}.map((b) => b.getAttribute('aria-pressed')).join()") == (
        "true,false,true"
    )
    link = opened.value("decodeURIComponent(document.querySelector('#save').href)")
    marks = json.loads(link.partition(",")[2])
    assert marks == {
        "1": {"starred": True, "note": ""},
        "3": {"starred": True, "note": "<b>the one</b>"},
    }
    opened.click("#only-starred")
    assert opened.value("document.querySelectorAll('.take:not([hidden])').length") == 2


def test_narrow_and_dark(page: Path, browser: Browser) -> None:
    browser.open(page.as_uri(), width=360, height=700)
    assert browser.value("document.documentElement.scrollWidth") <= 360
    light = browser.value("getComputedStyle(document.body).backgroundColor")
    browser.set_scheme("dark")
    assert browser.value("getComputedStyle(document.body).backgroundColor") != light
    assert browser.complaints == []


def test_known_sounds_are_taken_from_the_earlier_page(
    folder: Path, page: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "takes")
    copy = tmp_path / "takes" / page.name
    copy.write_text(page.read_text("utf-8").replace('"total":', '"known":1,"total":'), "utf-8")
    (tmp_path / "takes" / "1" / outputs.MATCHES).write_text("{")  # no longer a whole result
    takes = contents(write_index(tmp_path / "takes"))["takes"]
    assert [(take["number"], take["sound"].get("known")) for take in takes] == [(2, 1), (3, 1)]
    copy.write_text("<html>")
    takes = contents(write_index(tmp_path / "takes"))["takes"]
    assert [take["sound"].get("known") for take in takes] == [None, None]


def test_a_removed_take_leaves_the_page(folder: Path, page: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "takes")
    assert (copy / page.name).is_file()
    remove(copy, 2)
    assert [take["number"] for take in contents(copy / page.name)["takes"]] == [1, 3]
    remove(copy, 1)
    remove(copy, 3)
    assert sorted(path.name for path in copy.iterdir()) == ["takes.json"]


def test_a_folder_without_takes_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no finished take"):
        write_index(tmp_path)

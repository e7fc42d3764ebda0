"""The page of `desc explore`, seen by a browser."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import numpy as np
import pytest

from desc.corpus.discovery import find_files
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.studio import Atlas, LocalServer, MapRoom
from tests.browser import Browser
from tests.studio.conftest import NAMES, file_of, serve

N_MANY = 300_000
CLOUD = "document.querySelector('#cloud')"


def text(browser: Browser, selector: str) -> str:
    found: str = browser.value(f"document.querySelector({json.dumps(selector)}).textContent")
    return found


def place_of(browser: Browser, atlas: Atlas, row: int) -> tuple[float, float]:
    """Return where on the whole map a row lies, in shares of the canvas."""
    w, h = browser.value("[$.clientWidth, $.clientHeight]".replace("$", CLOUD))
    side = 0.94 * min(w, h)
    x, y = atlas.positions[row] / 65535 - 0.5
    return 0.5 + x * side / w, 0.5 - y * side / h


def middle_of(atlas: Atlas, name: str) -> int:
    rows = np.flatnonzero(atlas.database.file_index == file_of(atlas, name))
    return int(rows[len(rows) // 2])


def drag(browser: Browser, places: list[tuple[float, float]]) -> None:
    """Press at the first place of the map, move over the others, and release."""
    points = [browser.place("#cloud", *place) for place in places]
    browser.mouse("mouseMoved", *points[0])
    browser.mouse("mousePressed", *points[0])
    for point in points[1:]:
        browser.mouse("mouseMoved", *point, held=True)
    browser.mouse("mouseReleased", *points[-1])


def test_it_asks_its_server_only(opened: Browser, server: LocalServer) -> None:
    assert set(opened.requests) - {"data:,"} == {server.url, server.url + "points"}
    assert opened.complaints == []
    assert text(opened, "#found") == "4 files"
    listed = opened.value("[...document.querySelectorAll('#names li')].map((e) => e.textContent)")
    assert sorted(listed) == sorted(NAMES)


def test_names_have_the_colours_of_their_points(opened: Browser, atlas: Atlas) -> None:
    swatches = "[...document.querySelectorAll('#names .swatch')]"
    names = opened.value(f"{swatches}.map((e) => e.parentElement.textContent)")
    colours = opened.value(f"{swatches}.map((e) => e.style.background)")
    assert len(set(colours)) == len(NAMES)
    for name, colour in zip(names, colours, strict=True):
        x, y = place_of(opened, atlas, middle_of(atlas, name))
        around = opened.value(
            "((c) => [...c.getContext('2d').getImageData("
            f"{x} * c.width - 3, {y} * c.height - 3, 7, 7).data])({CLOUD})"
        )
        seen = {tuple(around[i : i + 3]) for i in range(0, len(around), 4) if around[i + 3]}
        assert colour in {f"rgb({r}, {g}, {b})" for r, g, b in seen}
    choose = "document.querySelector('#colour')"
    opened.value(f"({choose}.value = 'time', {choose}.dispatchEvent(new Event('change')), 0)")
    opened.wait(f"{swatches}.every((e) => e.hidden)")


def test_pointing_names_a_sound_and_a_click_plays_it(opened: Browser, atlas: Atlas) -> None:
    place = place_of(opened, atlas, middle_of(atlas, "plain/tone.wav"))
    opened.hover("#cloud", *place)
    opened.wait("document.querySelector('.tip').textContent.includes('plain/tone.wav')")
    opened.click("#cloud", *place)
    opened.wait("document.querySelector('#heard').textContent.startsWith('Played')")
    assert "plain/tone.wav at 0:0" in text(opened, "#heard")
    heard = float(opened.value("document.querySelector('#heard').dataset.seconds"))
    assert 0.1 < heard <= 0.26
    assert opened.complaints == []


def test_the_keyboard_plays_what_is_in_the_middle(opened: Browser) -> None:
    assert "Enter plays" in opened.value(f"{CLOUD}.ariaLabel")
    opened.value(f"{CLOUD}.focus()")
    opened.press("Enter")
    opened.wait("document.querySelector('#heard').textContent.startsWith('Played')")


def test_search_dims_the_others(opened: Browser) -> None:
    count = (
        "(() => { const c = document.querySelector('#cloud'); const p = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; const seen = {};"
        "for (let i = 0; i < p.length; i += 4) if (p[i + 3]) {"
        " const k = [p[i], p[i + 1], p[i + 2]].join(); seen[k] = (seen[k] || 0) + 1; }"
        "return Object.keys(seen).length; })()"
    )
    assert opened.value(count) == len(NAMES)
    opened.value(
        "(() => { const s = document.querySelector('#search'); s.value = 'TONE';"
        "s.dispatchEvent(new Event('input')); })()"
    )
    assert text(opened, "#found") == "1 of 4 files; the others are grey"
    opened.wait(f"{count} === 2")


def test_a_file_of_the_list_is_played(opened: Browser) -> None:
    opened.click("#names li:last-child button")
    opened.wait("document.querySelector('#heard').textContent.startsWith('Played')")
    assert text(opened, "#names li:last-child") in text(opened, "#heard")
    assert opened.value("document.querySelector('#back').hidden")


def test_a_descriptor_colours(opened: Browser, server: LocalServer) -> None:
    opened.value(
        "(() => { const s = document.querySelector('#colour'); s.value = 'mfcc1';"
        "s.dispatchEvent(new Event('change')); })()"
    )
    opened.wait("!isNaN(parseFloat(document.querySelector('#ramp-low').textContent))")
    assert server.url + "column?name=mfcc1" in opened.requests
    low, high = (float(text(opened, f"#ramp-{end}")) for end in ("low", "high"))
    assert low < high
    assert [text(opened, f"#ramp-{end}") for end in ("from", "to")] == ["bright", "dark"]


def test_the_lasso_makes_patterns_that_choose_these_files(opened: Browser, atlas: Atlas) -> None:
    opened.click("#lasso")
    around = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)]
    drag(opened, around)
    opened.wait("document.querySelector('#include').value")
    words = shlex.split(opened.value("document.querySelector('#include').value"))
    assert words[0] == "--include"
    files, _ = find_files(atlas.database.root, include=words[1:])
    assert sorted(source for _, source in files) == sorted(NAMES)
    assert sorted(words[1:]) == sorted(NAMES)  # as they are, which is the quickest to match
    for name in NAMES:  # each chooses its own file only
        assert [source for _, source in find_files(atlas.database.root, name)[0]] == [name]
    x, y = place_of(opened, atlas, middle_of(atlas, "plain/tone.wav"))
    drag(
        opened,
        [(x - 0.03, y - 0.03), (x + 0.03, y - 0.03), (x + 0.03, y + 0.03), (x - 0.03, y + 0.03)],
    )
    opened.wait("document.querySelector('#include').value === \"--include 'plain/tone.wav'\"")
    opened.click("#forget")
    assert opened.value("document.querySelector('#include').value") == ""


def test_dragging_moves_the_map(opened: Browser, atlas: Atlas) -> None:
    drag(opened, [(0.5, 0.5), (0.55, 0.5), (0.6, 0.5)])
    x, y = place_of(opened, atlas, middle_of(atlas, "plain/tone.wav"))
    opened.hover("#cloud", x + 0.1, y)
    opened.wait("document.querySelector('.tip').textContent.includes('plain/tone.wav')")


def test_narrow(server: LocalServer, browser: Browser) -> None:
    browser.open(server.url, width=360, height=700, dark=True)
    browser.wait("document.querySelector('#cloud').dataset.ready")
    assert browser.value("document.documentElement.scrollWidth") <= 360
    assert browser.complaints == []


@pytest.fixture(scope="module")
def large() -> Iterator[LocalServer]:
    """The maximum number of frames, in two thousand files."""
    rng, config = np.random.default_rng(0), DescriptorConfig(descriptors=("mfcc",))
    clusters = rng.standard_normal((2000, 39)).astype(np.float32) * 3
    n = N_MANY // 2000
    sequences = [
        DescriptorSequence(
            centre + rng.standard_normal((n, 39)).astype(np.float32),
            config,
            f"folder/{i}.wav",
            f"{i:032}",
            n * 1024,
        )
        for i, centre in enumerate(clusters)
    ]
    yield from serve(MapRoom(Atlas.of(DescriptorDatabase.from_sequences(sequences, "."))))


def test_three_hundred_thousand_points_move(large: LocalServer, browser: Browser) -> None:
    browser.open(large.url)
    browser.wait("document.querySelector('#cloud').dataset.ready")
    browser.wait("document.querySelector('#cloud').dataset.ms")
    browser.value(f"(window.before = {CLOUD}.toDataURL(), 0)")
    drag(browser, [(0.5, 0.5), (0.6, 0.5), (0.7, 0.5)])
    browser.wait(f"{CLOUD}.toDataURL() !== window.before")
    assert browser.complaints == []

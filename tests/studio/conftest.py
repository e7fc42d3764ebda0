"""A database with hostile file names, and its server."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.storage import DescriptorStore
from desc.studio import Atlas, LocalServer, MapRoom
from desc.studio.server import Room
from tests.browser import Browser
from tests.report.conftest import HOSTILE

NAMES = (HOSTILE, "a[1]*.wav", "it's $HOME.wav", "plain/tone.wav")


def serve(room: Room) -> Generator[LocalServer, None, None]:
    """Yield a running server of the room."""
    with LocalServer(room).in_background() as server:
        yield server


@pytest.fixture(scope="session")
def atlas(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]
) -> Atlas:
    """Three recordings of notes, and a distant tone."""
    root = tmp_path_factory.mktemp("explore")
    for seed, name in enumerate(NAMES):
        path = root / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "tone" if "tone" in name else "notes"
        soundfile.write(path, make_signal(kind, 3.0, seed=seed), 44100, "PCM_16")
    store = DescriptorStore(root / "cache")
    corpus = open_corpus(root / "sounds", DescriptorConfig(), store, jobs=1)
    return Atlas.of(DescriptorDatabase.from_corpus(corpus, store))


@pytest.fixture(scope="session")
def server(atlas: Atlas) -> Iterator[LocalServer]:
    yield from serve(MapRoom(atlas))


@pytest.fixture
def opened(server: LocalServer, browser: Browser) -> Browser:
    browser.open(server.url)
    browser.wait("document.querySelector('#cloud').dataset.ready")
    browser.wait("document.querySelector('#cloud').dataset.ms")
    return browser


def file_of(atlas: Atlas, name: str) -> int:
    """Return a file's place in the database."""
    files: list[Path | str] = [file.source for file in atlas.database.files]
    return files.index(name)

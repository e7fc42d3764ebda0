"""A playlist with all kinds of joins, for the tests of projects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from desc.concatenation import Playlist, PlaylistEvent
from desc.storage import DescriptorStore

RATE = 44100
MakeWav = Callable[..., Path]
CURVE = ((512, 3.0), (1536, -9.0), (2560, 0.0), (6656, -4.0), (9000, 0.0))
"""One that ends beyond its event."""
Sound = npt.NDArray[np.float64]


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def playlist(make_wav: MakeWav, store: DescriptorStore, rng: np.random.Generator) -> Playlist:
    """Units of two files in two layers, with gains, a gain curve, all kinds of joins and a gap."""
    noise = 0.1 * rng.standard_normal((2, 60000))
    slow = np.cumsum(noise, axis=1)[:, ::-1] * 0.02  # correlated with itself a little later
    paths = [make_wav("in/a.wav", noise), make_wav("in/b/c.wav", slow)]
    a, b = (store.digest(path) for path in paths)
    events = (
        PlaylistEvent("a.wav", -512, 9000, 0, a),
        PlaylistEvent("b/c.wav", 4608, 4096, 9000, b, gain_db=-6.0),
        PlaylistEvent("b/c.wav", 9900, 7168, 13096, b, gain_curve=CURVE),
        PlaylistEvent("a.wav", 10000, 9120, 20264, a, gain_db=3.0),
        PlaylistEvent("a.wav", 20000, 14000, 1000, a, layer=1, fade_in_ms=50, fade_out_ms=30),
    )
    joined = Playlist(events[:4], RATE, {"corpus": str(paths[0].parent)}).with_crossfade(20)
    return replace(joined, events=(*joined.events, events[4]))


def level_db(sound: Sound) -> float:
    return float(10 * np.log10(np.mean(sound**2) + 1e-30))

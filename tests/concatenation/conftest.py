"""Playlists, and their sound, for the tests of rendering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from desc import audio
from desc.concatenation import (
    Playlist,
    PlaylistEvent,
    RenderResult,
    render,
    render_to_file,
)
from desc.configuration import RenderConfig
from desc.descriptors.config import DescriptorConfig
from desc.storage import DescriptorStore

RATE = 44100
CONFIG = DescriptorConfig()
HOP = CONFIG.hop_length
FLOAT = RenderConfig(subtype="FLOAT")
AS_WRITTEN = RenderConfig(subtype="FLOAT", align_ms=0.0)
Audio = npt.NDArray[np.float32]
MakeWav = Callable[..., Path]
Play = Callable[..., tuple[Audio, RenderResult]]


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def play(tmp_path: Path, store: DescriptorStore) -> Play:
    """play(playlist, config) -> samples (C, S) of the file written, and the result."""

    def run(playlist: Playlist, config: RenderConfig = FLOAT) -> tuple[Audio, RenderResult]:
        path = tmp_path / "out" / "new.wav"
        result = render_to_file(playlist, path, source_root=tmp_path, store=store, rendering=config)
        assert [file.name for file in path.parent.iterdir()] == ["new.wav"]
        samples = audio.read(path)
        assert samples.shape == (result.n_channels, result.n_samples)
        if config.subtype == "FLOAT":
            clip = render(playlist, source_root=tmp_path, store=store, rendering=config)
            np.testing.assert_array_equal(clip.samples.T, samples)
            assert clip.sample_rate == result.sample_rate
        return samples, result

    return run


def playlist_of(*events: PlaylistEvent, sample_rate: int = RATE) -> Playlist:
    return Playlist(events, sample_rate)


def in_a_row(pieces: Sequence[tuple[str, int, int]], crossfade_ms: float = 10.0) -> Playlist:
    events, onset = [], 0
    for source, start, length in pieces:
        events.append(PlaylistEvent(source, start, length, onset))
        onset += length
    return playlist_of(*events).with_crossfade(crossfade_ms)


def noise(rng: np.random.Generator, *shape: int) -> Audio:
    return (0.1 * rng.standard_normal(shape)).astype(np.float32)

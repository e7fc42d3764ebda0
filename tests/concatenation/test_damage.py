"""Playlists damaged on purpose, or that ask for too much."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from desc import audio
from desc.commands.main import main
from desc.concatenation import Playlist, PlaylistEvent, render, render_to_file
from desc.configuration import RenderConfig
from desc.errors import AudioError, ConfigurationError, DescError
from desc.playlist_formats import FORMATS, export_playlist
from desc.storage import DescriptorStore
from tests.fuzzing import fuzz

MakeWav = Callable[..., Path]
EVENTS = (
    PlaylistEvent("a.wav", 100, 2000, 0, "d" * 32, fade_out_ms=5.0),
    PlaylistEvent("b/ü.flac", 0, 3000, 2000, fade_in_ms=5.0, gain_db=-3.5, channels=(0, 1)),
    PlaylistEvent("a.wav", 7, 4000, 100, transpose_semitones=2.0, layer=1),
)


def test_a_fuzzed_playlist_ends_in_an_error_that_names_it(tmp_path: Path) -> None:
    Playlist(EVENTS, 44100, {"corpus": "/audio"}).save(tmp_path / "fuzzed.json")
    fuzz(tmp_path / "fuzzed.json", Playlist.load, 300)


def test_a_fuzzed_playlist_is_rendered_and_exported_or_refused(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    for name, n_channels in (("a.wav", 1), ("b/ü.flac", 2)):
        make_wav(name, np.full((n_channels, 9000), 0.25))
    events = tuple(replace(event, digest="") for event in EVENTS)
    path, store = tmp_path / "fuzzed.json", DescriptorStore(tmp_path / "cache")
    Playlist(events, 44100, {"corpus": str(tmp_path)}).save(path)

    def use(damaged: Path) -> None:
        playlist = Playlist.load(damaged)
        for format in FORMATS:
            with suppress(DescError):  # names event and source, not the playlist
                export_playlist(playlist, tmp_path / "exported", format, store=store)
        if playlist.n_samples < 1_000_000:
            with suppress(DescError):
                render(playlist, store=store)

    fuzz(path, use, 60)


@pytest.fixture
def playlist(tmp_path: Path, make_wav: MakeWav) -> Playlist:
    make_wav("a.wav", np.full((1, 5000), 0.25))
    make_wav("b.flac", np.full((2, 5000), 0.25))
    events = (
        PlaylistEvent("a.wav", 100, 2000, 0),
        PlaylistEvent("b.flac", 0, 3000, 2000),
    )
    return Playlist(events, 44100, {"corpus": str(tmp_path)})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((1, "onset_sample", 10**10), r"event 2: onset_sample=10000000000 .* 63\.0 hours"),
        ((0, "n_samples", 10**10), "event 2|event 1"),
        ((1, "start_sample", 10**30), "start_sample=1000"),
        ((1, "onset_sample", 10**400), "onset_sample=1000"),
        ((1, "fade_in_ms", 10**400), "fade_in_ms=1000"),
        ((1, "layer", 2**70), "layer="),
    ],
)
def test_sizes_that_no_disk_holds_are_refused(
    playlist: Playlist,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[int, str, int],
    reason: str,
) -> None:
    event, key, value = change
    values = playlist.to_dict()
    values["events"][event][key] = value
    (tmp_path / "p.json").write_text(json.dumps(values))
    tracemalloc.start()
    words = ["render", str(tmp_path / "p.json"), "--output_path", str(tmp_path / "out" / "x.wav")]
    assert main([*words, "--cache_dir", str(tmp_path / "cache")]) == 2
    error = capsys.readouterr().err
    assert re.search(reason, error)
    assert not (tmp_path / "out").exists()
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    if "hours" in reason:
        assert "--allow_long" in error


def test_what_is_long_can_be_allowed(playlist: Playlist, tmp_path: Path) -> None:
    store = DescriptorStore(tmp_path / "cache")
    last = replace(playlist.events[1], onset_sample=7 * 3600 * 1000)
    long = Playlist((playlist.events[0], last), 1000, playlist.roots)
    with pytest.raises(ConfigurationError, match=r"7\.0 hours"):
        render(long, store=store)
    with pytest.raises(ConfigurationError, match=r"7\.0 hours"):
        export_playlist(long, tmp_path / "stems", "stems", store=store)
    assert export_playlist(long, tmp_path / "stems", "stems", store=store, allow_long=True) == 2
    config = RenderConfig(channels="mono", align_ms=0)
    clip = render(long, store=store, rendering=config, allow_long=True)
    assert len(clip.samples) == long.n_samples
    deep = replace(playlist.events[0], n_samples=7000 * 1000, transpose_semitones=-12.0)
    high = replace(deep, n_samples=1000 * 1000, transpose_semitones=36.0)
    for event in (deep, high):
        with pytest.raises(ConfigurationError, match=r"event 1.* at most 1 hour of its file"):
            render(Playlist((event,), 1000, playlist.roots), store=store)


def test_free_space_is_compared_before_writing(
    playlist: Playlist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**7))
    store = DescriptorStore(tmp_path / "cache")
    long = replace(playlist, events=(replace(playlist.events[0], n_samples=2 * 10**7),))
    with pytest.raises(AudioError, match=r"out: the sound needs 140\.0 MB, and 10\.0 MB are free"):
        render_to_file(long, tmp_path / "out" / "x.wav", store=store)
    assert not (tmp_path / "out").exists()


def test_more_than_a_wav_holds_is_refused_at_once(playlist: Playlist, tmp_path: Path) -> None:
    last = replace(playlist.events[1], onset_sample=5 * 3600 * 44100)
    long = replace(playlist, events=(playlist.events[0], last))
    with pytest.raises(AudioError, match=r"x\.wav: a WAV holds at most 4 GiB"):
        render_to_file(long, tmp_path / "x.wav", store=DescriptorStore(tmp_path / "cache"))


def test_what_is_strange_is_told_and_rendered(
    playlist: Playlist, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = DescriptorStore(tmp_path / "cache")
    with caplog.at_level(logging.WARNING):
        expected = render(playlist, store=store).samples
    assert caplog.messages == []
    first, second = playlist.events
    beyond = [
        PlaylistEvent("ab"[i % 2] + (".wav", ".flac")[i % 2], 9000 + i, 100, 6000 + 100 * i)
        for i in range(7)
    ]
    faded = replace(first, fade_out_ms=50.0)
    strange = replace(playlist, events=(faded, replace(second, layer=2), *beyond))
    samples = render(strange, store=store).samples
    assert caplog.messages == [
        *(
            f"event {i + 1}: start_sample={9000 + i - 2} lies beyond the end of "
            f"{('a.wav', 'b.flac')[i % 2]}; the event is silent"
            for i in range(2, 7)
        ),
        "… and so do those of 2 more events",
        "1 fades are longer than their events (the first: event 1) and are shortened",
        "layers are counted from 0 without gaps, but there are 0, 2",
    ]
    np.testing.assert_array_equal(samples[2000:5000], expected[2000:5000])
    assert not samples[5000:].any()
    assert audio.probe(tmp_path / "a.wav").n_samples == 5000

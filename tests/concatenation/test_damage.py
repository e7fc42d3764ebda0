"""Playlists damaged on purpose, or that ask for too much."""

from __future__ import annotations

from pathlib import Path

from desc.concatenation import Playlist, PlaylistEvent
from tests.fuzzing import fuzz

EVENTS = (
    PlaylistEvent("a.wav", 100, 2000, 0, "d" * 32, fade_out_ms=5.0),
    PlaylistEvent("b/ü.flac", 0, 3000, 2000, fade_in_ms=5.0, gain_db=-3.5, channels=(0, 1)),
    PlaylistEvent("a.wav", 7, 4000, 100, transpose_semitones=2.0, layer=1),
)


def test_a_fuzzed_playlist_ends_in_an_error_that_names_it(tmp_path: Path) -> None:
    Playlist(EVENTS, 44100, {"corpus": "/audio"}).save(tmp_path / "fuzzed.json")
    fuzz(tmp_path / "fuzzed.json", Playlist.load, 300)

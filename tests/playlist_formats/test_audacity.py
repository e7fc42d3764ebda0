"""Labels that were edited in Audacity, read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from desc.concatenation import Playlist, PlaylistEvent
from desc.errors import ConfigurationError
from desc.playlist_formats import export_playlist, read_playlist

RATE = 44100


@pytest.fixture
def playlist() -> Playlist:
    events = (
        PlaylistEvent("a.wav", 0, 4410, 0, gain_db=-2.0),
        PlaylistEvent("b.wav", 44100, 4410, 4410),
        PlaylistEvent("c.wav", 44100, 4410, 0, layer=1, transpose_semitones=12.0),
    )
    return Playlist(events, RATE, {"corpus": "sounds"}).with_crossfade(10)


@pytest.fixture
def labels(playlist: Playlist, tmp_path: Path) -> Path:
    export_playlist(playlist, tmp_path / "labels.txt", "audacity")
    return tmp_path / "labels.txt"


def test_labels_are_read_as_they_were_written(playlist: Playlist, labels: Path) -> None:
    assert read_playlist(labels, playlist) == playlist


def test_labels_moved_trimmed_gained_copied_and_deleted(playlist: Playlist, labels: Path) -> None:
    labels.write_text(
        "0.500000\t0.600000\ta.wav @ 0.000 s -6.5 dB\n"  # moved, and softer
        "\\\t100.0\t200.0\n"  # a label's frequencies
        "0.700000\t0.800000\ta.wav @ 0.000 s\n"  # a copy
        "0.020000\t0.100000\t[layer 1] c.wav @ 1.000 s\n",  # begins later; b.wav is deleted
        encoding="utf-8",
    )
    first, copy, trimmed = read_playlist(labels, playlist).events
    assert (first.onset_sample, first.start_sample, first.n_samples) == (22050, 0, 4410)
    assert (first.gain_db, copy.gain_db) == (-8.5, -2.0)
    assert (copy.onset_sample, copy.start_sample) == (30870, 0)
    assert (trimmed.onset_sample, trimmed.n_samples) == (882, 3528)
    centre = 44100 + 4410 / 2 + 2 * 882 / 2  # half as far in the result, at twice the speed
    assert trimmed.start_sample + trimmed.n_samples / 2 == centre


def test_overlapping_labels_become_a_crossfade(playlist: Playlist, labels: Path) -> None:
    labels.write_text("0\t0.1\ta.wav @ 0.000 s\n0.08\t0.18\tb.wav @ 1.000 s\n", encoding="utf-8")
    first, second = read_playlist(labels, playlist).events
    assert first.end_sample == second.onset_sample == 3528 + 441
    assert (first.fade_out_ms, second.fade_in_ms) == (20.0, 20.0)
    assert (first.start_sample, second.start_sample) == (0, 44100 + 441)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\t1\td.wav @ 0.000 s\n", r"labels\.txt: line 1: 'd\.wav @ 0\.000 s' is no unit"),
        ("0\t1\n", r"labels\.txt: line 1: '0\\t1' must be start, end and text"),
        ("\n1\t1\ta.wav @ 0.000 s\n", r"line 2: its start must be .* before its end"),
        ("0\t.5\ta.wav @ 0.000 s\n.1\t.2\tb.wav @ 1.000 s", "line 2 lies within .* line 1"),
        ("", r"labels\.txt: contains no labels"),
    ],
)
def test_what_cannot_be_read_is_named(
    text: str, message: str, playlist: Playlist, labels: Path
) -> None:
    labels.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        read_playlist(labels, playlist)


def test_labels_need_their_playlist(labels: Path) -> None:
    with pytest.raises(ConfigurationError, match="--original PLAYLIST"):
        read_playlist(labels)

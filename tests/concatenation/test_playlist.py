from __future__ import annotations

import json
from dataclasses import replace
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.joins import Fade, rising_gains, spans
from desc.configuration import RenderConfig, SelectionConfig
from desc.corpus.variants import FASTEST
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.matching import Unit, to_playlist

CONFIG = DescriptorConfig()
HOP = CONFIG.hop_length


@pytest.fixture
def database() -> DescriptorDatabase:
    sequences = [
        DescriptorSequence(
            np.zeros((n, CONFIG.n_columns), np.float32), CONFIG, name, digest, n * HOP
        )
        for name, digest, n in (("a.wav", "aa", 10), ("ü/b.ogg", "bb", 6))
    ]
    return DescriptorDatabase.from_sequences(sequences, Path("/corpus"))


@pytest.fixture
def playlist(database: DescriptorDatabase) -> Playlist:
    units = (Unit(0, 1, 0), Unit(12, 3, 1), Unit(5, 2, 4))
    return to_playlist(units, database, RenderConfig())


def edited(playlist: Playlist, index: int, **changes: object) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(playlist.to_dict()))
    values["events"][index] |= changes
    return values


def test_units_become_events(playlist: Playlist) -> None:
    first, second, third = playlist.events
    assert first == PlaylistEvent("a.wav", -HOP // 2, HOP, 0, "aa", fade_out_ms=10.0)
    assert second == PlaylistEvent(
        "ü/b.ogg", 2 * HOP - HOP // 2, 3 * HOP, HOP, "bb", fade_in_ms=10.0, fade_out_ms=10.0
    )
    assert third.onset_sample == 4 * HOP
    assert third.fade_out_ms == 0
    assert playlist.roots == {"corpus": str(Path("/corpus"))}
    assert playlist.n_samples == sum(event.n_samples for event in playlist.events) == 6 * HOP


def test_lengths_of_every_layer_add_up(database: DescriptorDatabase) -> None:
    units = (Unit(0, 4, 0), Unit(8, 2, 4), Unit(3, 5, 0, layer=2), Unit(11, 1, 5, layer=2))
    playlist = to_playlist(units, database, RenderConfig())
    for layer in playlist.layers():
        assert sum(event.n_samples for _, event in layer) == 6 * HOP
    assert [event.fade_in_ms for event in playlist.events] == [0, 10, 0, 10]


def test_hop_of_odd_length(database: DescriptorDatabase) -> None:
    config = DescriptorConfig(hop_length=441)
    values = np.zeros((9, config.n_columns), np.float32)
    sequence = DescriptorSequence(values, config, "a", "aa", 9 * 441)
    odd = DescriptorDatabase.from_sequences([sequence], Path("/corpus"))
    events = to_playlist((Unit(2, 3, 0),), odd).events
    assert (events[0].start_sample, events[0].n_samples) == (2 * 441 - 220, 3 * 441)


def test_another_crossfade_replaces_them_all(playlist: Playlist) -> None:
    edited = replace(
        playlist, events=(replace(playlist.events[0], fade_in_ms=3), *playlist.events[1:])
    )
    events = edited.with_crossfade(25).events
    assert [(e.fade_in_ms, e.fade_out_ms) for e in events] == [(0, 25), (25, 25), (25, 0)]


def test_save_and_load(playlist: Playlist, tmp_path: Path) -> None:
    special = replace(
        playlist.events[1],
        channels=(1, 0),
        gain_db=-3.5,
        gain_curve=((-512, 0.0), (100, -6.5)),
        transpose_semitones=2,
        layer=1,
    )
    playlist = replace(playlist, events=(*playlist.events, special))
    playlist.save(tmp_path / "playlist.json")
    assert Playlist.load(tmp_path / "playlist.json") == playlist
    text = (tmp_path / "playlist.json").read_text(encoding="utf-8")
    assert sum('"source"' in line for line in text.splitlines()) == 4  # one event a line
    assert "ü/b.ogg" in text


def test_defaults_may_be_left_out_and_events_follow_each_other() -> None:
    event = {"source": "a", "start_sample": 0, "n_samples": 100}
    values = {
        "format": "desc playlist",
        "version": 1,
        "sample_rate": 44100,
        "events": [event, {**event, "layer": 1}, event, {**event, "onset_sample": 500}, event],
    }
    onsets = [event.onset_sample for event in Playlist.from_dict(values).events]
    assert onsets == [0, 0, 100, 500, 600]


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("start_sample", "12", "integer"),
        ("start_sample", 1.5, "integer"),
        ("n_samples", 0, "at least 1"),
        ("onset_sample", -1, "at least 0"),
        ("gain_db", "loud", "number"),
        ("gain_db", float("nan"), "number"),
        ("gain_curve", None, "list of pairs"),
        ("gain_curve", [3], "list of pairs"),
        ("gain_curve", [[0, 1, 2]], "list of pairs"),
        ("gain_curve", [[0.5, 1]], "integer"),
        ("gain_curve", [[0, 61]], "from -200 to 60"),
        ("gain_curve", [[9, 0], [9, 1]], "in order of the samples"),
        ("transpose_semitones", 99, "from -72 to 72"),
        ("fade_in_ms", -1, "from 0 to 10000"),
        ("fade_out_ms", True, "from 0 to 10000"),
        ("layer", "0", "integer"),
        ("layer", [0], "integer"),
        ("channels", [], "list of channel numbers"),
        ("channels", [-1], "at least 0"),
        ("channels", 1, "list of channel numbers"),
        ("source", "", "not empty"),
        ("source", 5, "text"),
        ("digest", None, "text"),
        ("root", "", "not empty"),
    ],
)
def test_errors_of_hand_edits_name_event_field_value_and_rule(
    playlist: Playlist, tmp_path: Path, field: str, value: object, rule: str
) -> None:
    path = tmp_path / "playlist.json"
    path.write_text(json.dumps(edited(playlist, 1, **{field: value})), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        Playlist.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: event 2: {field}=")
    assert rule in message


def test_the_widest_transposition_of_the_fastest_recording_is_an_event() -> None:
    semitones = SelectionConfig(transpose_semitones=48.0).transpose_semitones + 12 * log2(FASTEST)
    event = PlaylistEvent("a", 0, 100, 0, transpose_semitones=semitones)
    assert event.transpose_semitones == 72


def test_unknown_keys_are_named(playlist: Playlist) -> None:
    with pytest.raises(ConfigurationError, match=r"event 3: .* no setting gain, pan; it has"):
        Playlist.from_dict(edited(playlist, 2, gain=3, pan=1))
    with pytest.raises(
        ConfigurationError, match="a playlist has no key tempo; its keys are format"
    ):
        Playlist.from_dict(playlist.to_dict() | {"tempo": 120})


def test_missing_keys_are_named(playlist: Playlist) -> None:
    values = edited(playlist, 0)
    del values["events"][0]["n_samples"]
    with pytest.raises(ConfigurationError, match="event 1: n_samples is missing"):
        Playlist.from_dict(values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "playlist"}, "format='playlist' must be 'desc playlist'"),
        ({"version": 2}, "version=2 must be 1"),
        ({"sample_rate": None}, "sample_rate=None must be an integer"),
        ({"roots": ["/x"]}, "roots=.* must be an object of folders"),
        ({"events": {}}, "events={} must be a list"),
        ({"events": []}, "at least one event"),
        ({"events": [1]}, "event 1: 1 must be an object"),
    ],
)
def test_wrong_heads_are_refused(
    playlist: Playlist, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Playlist.from_dict(playlist.to_dict() | changes)


def test_what_is_no_playlist_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "playlist.json"
    with pytest.raises(ConfigurationError, match=r"playlist\.json"):
        Playlist.load(path)
    for content in (b"{", b"[1]", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"playlist\.json"):
            Playlist.load(path)


def test_events_of_a_layer_do_not_overlap(playlist: Playlist) -> None:
    with pytest.raises(
        ConfigurationError, match=r"event 2: onset_sample=1000 must be at least 1024"
    ):
        Playlist.from_dict(edited(playlist, 1, onset_sample=1000))
    assert Playlist.from_dict(edited(playlist, 1, onset_sample=1000, layer=1)).n_samples == 6 * HOP


def test_a_recording_goes_before(playlist: Playlist) -> None:
    config = RenderConfig(with_recording_s=0.5, crossfade_ms=7)
    longer = playlist.after_recording(
        "x/me.flac", "cc", "/home", context_end_frame=99, hop_length=HOP, rendering=config
    )
    cut = 100 * HOP - HOP // 2
    assert longer.events[0] == PlaylistEvent(
        "x/me.flac", cut - 22050, 22050, 0, "cc", fade_out_ms=7.0, root="recording"
    )
    assert longer.roots["recording"] == "/home"
    assert [event.onset_sample for event in longer.events[1:]] == [
        22050,
        22050 + HOP,
        22050 + 4 * HOP,
    ]
    assert [event.fade_in_ms for event in longer.events] == [0, 7, 10, 10]
    assert longer.n_samples == 22050 + 6 * HOP


def test_a_short_recording_goes_before_as_far_as_it_reaches(playlist: Playlist) -> None:
    config = RenderConfig(with_recording_s=1000)
    longer = playlist.after_recording(
        "me", "cc", "/", context_end_frame=9, hop_length=HOP, rendering=config
    )
    assert (longer.events[0].start_sample, longer.events[0].n_samples) == (0, 10 * HOP - HOP // 2)
    none = playlist.after_recording(
        "me", "cc", "/", context_end_frame=9, hop_length=HOP, rendering=RenderConfig()
    )
    assert none is playlist


def events_of(*pieces: tuple[int, int, float], sample_rate: int = 44100) -> Playlist:
    """Make events in a row from (start, length, fade in ms at both ends)."""
    events, onset = [], 0
    for start, length, fade in pieces:
        events.append(PlaylistEvent("a", start, length, onset, fade_in_ms=fade, fade_out_ms=fade))
        onset += length
    return Playlist(tuple(events), sample_rate)


def test_fades_lie_about_the_boundary() -> None:
    first, second = spans(events_of((0, 2000, 10), (9000, 3000, 10)).with_crossfade(10))
    assert first.fade_in == Fade()
    assert first.fade_out == second.fade_in == Fade(440, 220)
    assert (first.first, first.stop) == (0, 2220)
    assert (second.first, second.stop) == (1780, 5000)


def test_fades_are_never_longer_than_the_shorter_neighbour() -> None:
    pieces = events_of((0, 5000, 100), (9000, 1024, 100), (20000, 301, 100), (30000, 5000, 100))
    sounding = spans(pieces)
    assert [span.fade_in.n_samples for span in sounding[1:]] == [1024, 300, 300]
    assert [span.fade_out.n_samples for span in sounding[:-1]] == [1024, 300, 300]


def test_fades_at_free_ends_lie_inside() -> None:
    sounding = spans(events_of((0, 1000, 10)))
    assert sounding[0].fade_in == sounding[0].fade_out == Fade(440, 0)
    apart = Playlist(
        (
            PlaylistEvent("a", 0, 1000, 0, fade_out_ms=10),
            PlaylistEvent("a", 0, 1000, 1001, fade_in_ms=10),
        ),
        44100,
    )
    assert [span.stop - span.first for span in spans(apart)] == [1000, 1000]


def test_events_that_continue_each_other_have_no_fade() -> None:
    first, second = spans(events_of((500, 2000, 10), (2500, 2000, 10)))
    assert first.fade_out == second.fade_in == Fade()
    louder = events_of((500, 2000, 10), (2500, 2000, 10))
    changed = replace(louder.events[1], gain_db=3.0)
    first, second = spans(replace(louder, events=(louder.events[0], changed)))
    assert first.fade_out == second.fade_in == Fade(440, 220, "linear")


def test_a_gain_curve_is_no_seamless_join() -> None:
    playlist = events_of((500, 2000, 10), (2500, 2000, 10))
    curved = tuple(replace(event, gain_curve=((0, 0.0), (999, 6.0))) for event in playlist.events)
    first, second = spans(replace(playlist, events=curved))
    assert first.fade_out == second.fade_in == Fade(440, 220, "linear")


def test_factors_of_a_gain_curve_lie_on_straight_lines() -> None:
    half_db = 20 * float(np.log10(0.5))
    event = PlaylistEvent("a", 0, 500, 0, gain_db=half_db, gain_curve=((100, 0.0), (300, half_db)))
    found = event.gains(np.array([-50, 100, 150, 200, 300, 499]))
    np.testing.assert_allclose(found, [0.5, 0.5, 0.4375, 0.375, 0.25, 0.25])
    plain = replace(event, gain_curve=())
    np.testing.assert_allclose(plain.gains(np.arange(3)), 0.5)


def test_a_gain_curve_moves_with_the_content() -> None:
    event = PlaylistEvent("a", 1000, 500, 2000, gain_curve=((100, 0.0), (300, -6.0)))
    trimmed = event.retimed(2050, 2400)
    assert (trimmed.start_sample, trimmed.gain_curve) == (1050, ((50, 0.0), (250, -6.0)))
    moved = event.retimed(2010, 2510, 10)
    assert (moved.start_sample, moved.gain_curve) == (1000, event.gain_curve)


def test_files_of_equal_content_continue_each_other() -> None:
    a = PlaylistEvent("a", 0, 100, 0, digest="x")
    assert PlaylistEvent("b", 100, 100, 100, digest="x").continues(a)
    assert not PlaylistEvent("a", 100, 100, 100, digest="y").continues(a)
    assert PlaylistEvent("a", 100, 100, 100).continues(a)
    assert not PlaylistEvent("a", 100, 100, 100, root="recording").continues(a)
    assert not PlaylistEvent("a", 100, 100, 100, transpose_semitones=1).continues(a)
    assert not PlaylistEvent("a", 101, 100, 100).continues(a)


def test_gains_of_a_join_add_up() -> None:
    power, linear = rising_gains(440, "power"), rising_gains(440, "linear")
    np.testing.assert_allclose(power**2 + power[::-1] ** 2, 1, rtol=1e-6)
    np.testing.assert_allclose(linear + linear[::-1], 1, rtol=1e-6)
    assert (np.diff(power[:, 0]) > 0).all()


def test_a_playlist_says_its_length_and_becomes_a_table() -> None:
    events = (PlaylistEvent("a.wav", 0, 44100, 0), PlaylistEvent("b.wav", 9, 44100, 44100))
    playlist = Playlist(events, 44100)
    assert repr(playlist) == "Playlist(2 events of 2 files, 2.00 s at 44100 Hz)"
    table = playlist.to_dataframe()
    assert list(table["source"]) == ["a.wav", "b.wav"]
    assert list(table["onset_sample"]) == [0, 44100]

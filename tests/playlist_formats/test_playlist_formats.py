"""Exported playlists, read by independent readers."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pycmx
import pytest
import rpp
import soundfile

from desc import audio
from desc.commands.main import main
from desc.concatenation import Playlist, PlaylistEvent, relocated, render_to_file
from desc.concatenation.rendering import open_mixer
from desc.configuration import RenderConfig
from desc.errors import ConfigurationError, DescError
from desc.playlist_formats import FORMATS, export_playlist
from desc.playlist_formats.midi import TICKS_PER_BEAT
from desc.storage import DescriptorStore

RATE = 44100
MakeWav = Callable[..., Path]
NAMES = ("a.wav", "o\"d'd\tone.wav", "ü/c.wav")


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def playlist(make_wav: MakeWav, store: DescriptorStore, rng: np.random.Generator) -> Playlist:
    """Units of three files in two layers, the second with a gap, a gain and a transposition."""
    paths = [make_wav(f"in/{n}", 0.1 * rng.standard_normal((2, 30000))) for n in NAMES]
    a, b, c = ((name, store.digest(path)) for name, path in zip(NAMES, paths, strict=True))

    def event(file: tuple[str, str], start: int, length: int, onset: int, **more: Any) -> Any:
        return PlaylistEvent(file[0], start, length, onset, file[1], **more)

    events = (
        event(a, -512, 2048, 0),
        event(b, 4608, 1024, 2048, gain_db=-6.0),
        event(c, 10000, 5120, 3072, channels=(1,)),
        event(c, 2000, 3000, 1000, layer=1, transpose_semitones=12.0),
        event(a, 20000, 4000, 9000, layer=1),
    )
    return Playlist(events, RATE, {"corpus": str(paths[0].parent)}).with_crossfade(10)


@pytest.fixture
def export(
    tmp_path: Path, store: DescriptorStore, playlist: Playlist, caplog: pytest.LogCaptureFixture
) -> Callable[..., tuple[bytes, list[str]]]:
    """export(format, playlist) -> the bytes written, and the notes."""

    def run(format: str, given: Playlist = playlist, **options: Any) -> tuple[bytes, list[str]]:
        path = tmp_path / "out" / "song.x"
        caplog.clear()
        with caplog.at_level(logging.INFO, "desc"):
            export_playlist(given, path, format, store=store, **options)
        assert [file.name for file in path.parent.iterdir()] == ["song.x"]
        return path.read_bytes(), caplog.messages

    return run


def test_labels(export: Callable[..., tuple[bytes, list[str]]]) -> None:
    assert export("audacity")[0].decode().splitlines() == [
        "0.000000\t0.046440\ta.wav @ -0.012 s",
        "0.046440\t0.069660\to\"d'd one.wav @ 0.104 s",
        "0.069660\t0.185760\tü/c.wav @ 0.227 s",
        "0.022676\t0.090703\t[layer 1] ü/c.wav @ 0.045 s",
        "0.204082\t0.294785\t[layer 1] a.wav @ 0.454 s",
    ]


def test_table(export: Callable[..., tuple[bytes, list[str]]], playlist: Playlist) -> None:
    rows = list(csv.DictReader(export("csv")[0].decode().splitlines()))
    for row, event in zip(rows, playlist.events, strict=True):
        assert Path(row["path"]).is_file() or event.source == NAMES[1]
        assert int(row["start_sample"]) == event.start_sample
        assert row["source"] == event.source
        assert float(row["onset_s"]) == pytest.approx(event.onset_sample / RATE, abs=1e-6)
        assert float(row["gain_db"]) == event.gain_db
        assert row["channels"] == ("1" if event.channels else "")


def test_midi(
    export: Callable[..., tuple[bytes, list[str]]], playlist: Playlist, tmp_path: Path
) -> None:
    export("midi")
    read = mido.MidiFile(tmp_path / "out" / "song.x", charset="utf-8")
    assert read.type == 1
    assert len(read.tracks) == 3
    assert [m.text for m in read.tracks[0] if m.type == "text"] == [
        "36: a.wav", "37: o\"d'd one.wav", "38: ü/c.wav"
    ]  # fmt: skip
    tempo = next(m.tempo for m in read.tracks[0] if m.type == "set_tempo")
    for track, layer in zip(read.tracks[1:], playlist.layers(), strict=True):
        now, sounding, found = 0, {}, []
        for message in track:
            now += message.time
            seconds = mido.tick2second(now, TICKS_PER_BEAT, tempo)
            if message.type == "note_on":
                sounding[message.note] = seconds, message.velocity
            elif message.type == "note_off":
                found.append((message.note, *sounding.pop(message.note), seconds))
        assert not sounding
        for (note, start, velocity, stop), (_, event) in zip(found, layer, strict=True):
            assert note == 36 + NAMES.index(event.source)
            assert start == pytest.approx(event.onset_sample / RATE, abs=3e-4)
            assert stop == pytest.approx(event.end_sample / RATE, abs=3e-4)
            assert 40 * np.log10(velocity / 100) == pytest.approx(event.gain_db, abs=0.2)


def test_the_number_of_units_is_that_in_the_file(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    short = Playlist((PlaylistEvent("a.wav", 0, 100, 0), playlist.events[3]), RATE)
    assert export_playlist(short, tmp_path / "a.edl", "edl", store=store) == 1
    assert (tmp_path / "a.edl").read_text().count("FROM CLIP NAME") == 1
    assert export_playlist(short, tmp_path / "a.csv", "csv", store=store) == 2


def test_many_files_share_notes(export: Callable[..., tuple[bytes, list[str]]]) -> None:
    events = tuple(PlaylistEvent(f"{i:03}.wav", 0, 4, 4 * i) for i in range(100))
    data, notes = export("midi", Playlist(events, RATE))
    assert notes == ["100 files share 92 notes; text events distinguish them"]
    assert data.startswith(b"MThd")


def test_decision_list(
    export: Callable[..., tuple[bytes, list[str]]], playlist: Playlist, tmp_path: Path
) -> None:
    _, notes = export("edl")
    with (tmp_path / "out" / "song.x").open(encoding="utf-8") as file:
        read = pycmx.parse_cmx3600(file)
    assert read.title == "song"
    edits = [edit for event in read.events for edit in event.edits]
    assert [e.record_in for e in edits] == ["00:00:00:00", "00:00:00:01", "00:00:00:02",
                                           "00:00:00:01", "00:00:00:06"]  # fmt: skip
    assert [e.record_out for e in edits][:3] == ["00:00:00:01", "00:00:00:02", "00:00:00:06"]
    assert edits[3].source_in == "00:00:00:00"  # .011 s: an octave up, twice as much is read
    assert [e.clip_name for e in edits][::2] == ["a.wav", "ü/c.wav", "a.wav"]
    assert all(edit.channels.audio for edit in edits)
    assert notes == []
    short = Playlist((PlaylistEvent("a.wav", 0, 100, 0), playlist.events[3]), RATE)
    assert export("edl", short)[1] == [
        "1 of 2 units fall within one frame of 1/30 s and are left out of the EDL"
    ]


def values(element: Any, name: str) -> list[Any]:
    """Return the values after a keyword in an element of a project."""
    return next(list(part)[1:] for part in element if part[0] == name)


def items(data: bytes) -> list[list[Any]]:
    """Return the items of each track of a project."""
    project = rpp.loads(data.decode())
    return [track.findall("ITEM") for track in project.findall("TRACK")]


def test_project_sounds_as_rendered(
    export: Callable[..., tuple[bytes, list[str]]],
    playlist: Playlist,
    store: DescriptorStore,
    tmp_path: Path,
) -> None:
    """Items played by their own numbers, without fades, add up to what `render` writes."""
    playlist = replace(playlist, events=(*playlist.events[:3], playlist.events[4]))
    cut = playlist.with_crossfade(0)
    render_to_file(cut, tmp_path / "r.wav", store=store, rendering=RenderConfig(subtype="FLOAT"))
    mix = np.zeros((2, cut.n_samples))
    for item in (item for track in items(export("reaper", cut)[0]) for item in track):
        first, length, offset = (
            round(RATE * float(values(item, name)[0])) for name in ("POSITION", "LENGTH", "SOFFS")
        )
        name = values(item.find("SOURCE"), "FILE")[0].replace("d one", "d\tone")
        sound = audio.read(tmp_path / "out" / name)
        piece = sound[:, offset : offset + length] * float(values(item, "VOLPAN")[0])
        if values(item, "CHANMODE")[0] == "4":
            piece = piece[[1, 1]]
        mix[:, first : first + length] += piece
    np.testing.assert_allclose(audio.read(tmp_path / "r.wav"), mix, atol=2e-6)


def test_the_decoder_of_a_source_is_that_of_its_content(
    tmp_path: Path, store: DescriptorStore, export: Callable[..., tuple[bytes, list[str]]]
) -> None:
    """Whatever the name says; Reaper plays silence with another decoder."""
    kinds = {"WAV": "PCM_16", "FLAC": "PCM_16", "MP3": "MPEG_LAYER_III", "AIFF": "PCM_16"}
    sounds = [*kinds.items(), ("OGG", "VORBIS"), ("OGG", "OPUS")]
    noise = 0.1 * np.random.default_rng(0).standard_normal(48000)
    events = []
    for number, (container, subtype) in enumerate(sounds):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, noise, 48000, subtype, format=container)
        events.append(PlaylistEvent(path.name, 1000, 2000, 2000 * number, store.digest(path)))
    data, _ = export("reaper", Playlist(tuple(events), 48000, {"corpus": str(tmp_path)}))
    found = [item.find("SOURCE").attrib[0] for item in items(data)[0]]
    assert found == ["WAVE", "FLAC", "MP3", "WAVE", "VORBIS", "OPUS"]


def test_the_master_volume_is_the_gain_of_the_wav(
    export: Callable[..., tuple[bytes, list[str]]],
    playlist: Playlist,
    store: DescriptorStore,
    tmp_path: Path,
) -> None:
    for gain_db in (0.0, 30.0):
        events = tuple(replace(event, gain_db=gain_db) for event in playlist.events)
        louder = replace(playlist, events=events)
        rendered = render_to_file(louder, tmp_path / f"{gain_db}.wav", store=store)
        master = values(rpp.loads(export("reaper", louder)[0].decode()), "MASTER_VOLUME")
        assert 20 * np.log10(float(master[0])) == pytest.approx(rendered.gain_db, abs=1e-5)
    assert rendered.gain_db < -6


def test_items_overlap_by_their_fades_where_rendering_puts_them(
    export: Callable[..., tuple[bytes, list[str]]], playlist: Playlist, store: DescriptorStore
) -> None:
    tracks = items(export("reaper")[0])
    assert [len(track) for track in tracks] == [3, 2]
    with open_mixer(playlist, store=store) as mixer:
        exact = {span.index: span for span in mixer.spans}
    assert any(span.shift for span in exact.values())
    for index, item in enumerate(tracks[0]):
        span = exact[index]
        before = 512 if index == 0 else 0  # what lies before the file
        start = span.first + span.event.start_sample - span.event.onset_sample + span.shift + before
        assert float(values(item, "POSITION")[0]) * RATE == pytest.approx(span.first + before)
        assert float(values(item, "SOFFS")[0]) * RATE == pytest.approx(start, abs=1e-3)
        assert float(values(item, "FADEIN")[1]) * RATE == pytest.approx(
            span.fade_in.n_samples, abs=1e-3
        )
    ends = [float(values(i, "POSITION")[0]) + float(values(i, "LENGTH")[0]) for i in tracks[0]]
    assert ends[0] - float(values(tracks[0][1], "POSITION")[0]) == pytest.approx(0.01, abs=1e-4)
    transposed = tracks[1][0]
    assert float(values(transposed, "PLAYRATE")[0]) == 2
    assert float(values(transposed, "SOFFS")[0]) * RATE == pytest.approx(3500 - 3000, abs=1e-3)


def test_unsupported_channel_selections_are_reported(
    export: Callable[..., tuple[bytes, list[str]]], playlist: Playlist
) -> None:
    event = replace(playlist.events[0], channels=(0, 0))
    assert export("reaper", replace(playlist, events=(event,)))[1] == [
        "1 units play all channels: Reaper items do not support their selection"
    ]


def test_every_format_is_bytes_on_request_only(
    export: Callable[..., tuple[bytes, list[str]]], playlist: Playlist
) -> None:
    for format in (name for name, format in FORMATS.items() if format.extension):
        assert export(format)[0] == export(format)[0]
    with pytest.raises(ConfigurationError, match="format='aaf' must be one of dawproject, reaper"):
        export("aaf")
    gone = replace(playlist, roots={"corpus": "/nowhere"})
    assert export("csv", gone)[0]
    with pytest.raises(DescError, match=r"event 1: source 'a.wav': there is no file"):
        export("reaper", gone)


def test_moved_files_are_found_by_content(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = RenderConfig(subtype="FLOAT")
    render_to_file(playlist, tmp_path / "before.wav", store=store, rendering=config)
    new = tmp_path / "elsewhere"
    (new / "deep").mkdir(parents=True)
    (tmp_path / "in" / NAMES[0]).rename(new / "deep" / "renamed.wav")
    (tmp_path / "in" / NAMES[1]).rename(new / NAMES[1])
    with caplog.at_level(logging.INFO, "desc"):
        found = relocated(playlist, new, store=store)
    assert f"2 of 2 moved or changed files were found in {new}" in caplog.messages
    assert [e.source for e in found.events] == [
        "deep/renamed.wav", NAMES[1], NAMES[2], NAMES[2], "deep/renamed.wav"
    ]  # fmt: skip
    render_to_file(found, tmp_path / "after.wav", store=store, rendering=config)
    # Not the bytes: a WAV of floats holds the time it was written at.
    before, after = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("before", "after"))
    np.testing.assert_array_equal(after, before)
    assert relocated(found, new, store=store) == found  # everything is in its place
    (tmp_path / "in" / NAMES[2]).unlink()
    with pytest.raises(DescError, match=r"1 of 3 moved files; the first: ü/c.wav"):
        relocated(playlist, new, store=store)


def test_a_replaced_file_gives_way_to_the_one_it_replaced(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path, make_wav: MakeWav
) -> None:
    (tmp_path / "in" / "a.wav").rename(tmp_path / "old.wav")
    make_wav("in/a.wav", np.zeros((2, 30000)))
    assert relocated(playlist, tmp_path, store=store).events[0].source == "old.wav"
    (tmp_path / "old.wav").unlink()
    assert relocated(playlist, tmp_path, store=store).events[0].source == "a.wav"


def test_the_command(
    playlist: Playlist, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    playlist.save(tmp_path / "p.json")
    (tmp_path / "in").rename(tmp_path / "moved")
    words = ["export-playlist", str(tmp_path / "p.json"), "--output_path", str(tmp_path / "s.rpp")]
    words += ["--format", "reaper", "--cache_dir", str(tmp_path / "cache")]
    assert main(words) == 1
    assert "there is no file" in capsys.readouterr().err
    assert not (tmp_path / "s.rpp").exists()
    assert main([*words, "--relocate", str(tmp_path / "moved")]) == 0
    assert capsys.readouterr().out.strip() == f"{tmp_path / 's.rpp'} (5 units)"
    assert 'FILE "moved/a.wav"' in (tmp_path / "s.rpp").read_text()
    assert main([*words, "--relocate", str(tmp_path / "moved")]) == 1
    assert "exists; choose another name" in capsys.readouterr().err
    words = ["render", str(tmp_path / "p.json"), "--output_path", str(tmp_path / "s.wav")]
    words += ["--relocate", str(tmp_path / "moved"), "--cache_dir", str(tmp_path / "cache")]
    assert main(words) == 0
    assert audio.probe(tmp_path / "s.wav").n_samples == playlist.n_samples


@pytest.mark.parametrize("command", ["render", "export-playlist"])
@pytest.mark.parametrize("read", ["a.wav", "playlist.json", "link.wav"])
def test_a_file_that_is_read_is_never_replaced(
    command: str, read: str, playlist: Playlist, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds, saved = Path(playlist.roots["corpus"]), tmp_path / "playlist.json"
    playlist.save(saved)
    (tmp_path / "link.wav").symlink_to(sounds / "a.wav")
    output = sounds / read if read == "a.wav" else tmp_path / read
    before = output.read_bytes()
    words = [command, str(saved), "--output_path", str(output), "--overwrite"]
    words += ["--format", "csv"] if command == "export-playlist" else []
    assert main([*words, "--cache_dir", str(tmp_path / "cache")]) == 2
    message = capsys.readouterr().err
    assert str(output) in message
    assert "must be another file" in message
    assert output.read_bytes() == before

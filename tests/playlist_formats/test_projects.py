"""Projects of audio editors, played by readers of their own, against the rendered sound."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rpp
import soundfile

from desc.concatenation import Playlist, PlaylistEvent, render
from desc.errors import ConfigurationError
from desc.playlist_formats import ExportConfig, export_playlist
from desc.playlist_formats.alternatives import Candidates
from desc.storage import DescriptorStore
from tests.playlist_formats.conftest import RATE, MakeWav, Sound, level_db


def test_stems_add_up_to_the_mix(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    high = replace(playlist.events[4], transpose_semitones=5.0)
    playlist = replace(playlist, events=(*playlist.events[:4], high))
    assert export_playlist(playlist, tmp_path / "stems", "stems", store=store) == 5
    mix = render(playlist, store=store).samples
    found = sorted(
        path.relative_to(tmp_path / "stems") for path in tmp_path.rglob("stems/**/*.wav")
    )
    layers, sources = ["layer 0.wav", "layer 1.wav"], ["a.wav", "b/c.wav"]
    assert found == [Path("layers", n) for n in layers] + [Path("sources", n) for n in sources]
    for folder, names in (("layers", layers), ("sources", sources)):
        stems = [soundfile.read(tmp_path / "stems" / folder / name)[0] for name in names]
        assert all(level_db(stem) > -50 for stem in stems)
        assert level_db(sum(stems) - mix) - level_db(mix) < -120


@dataclass(frozen=True)
class Clip:
    """A clip as a project describes it, in seconds."""

    position: float
    length: float
    offset: float
    gain: Callable[[Sound], Sound]
    path: str
    speed: float = 1.0


def played(clips: list[Clip], read: Callable[[str], Sound], n_samples: int) -> Sound:
    """Return the sum of clips, (n, 2)."""
    mix = np.zeros((n_samples + RATE, 2))
    for clip in clips:
        first, length, offset = (
            round(seconds * RATE) for seconds in (clip.position, clip.length, clip.offset)
        )
        piece = read(clip.path)[offset : offset + length]
        if clip.speed != 1:
            piece = interpolated(
                read(clip.path), RATE * clip.offset + np.arange(length) * clip.speed
            )
        gains = clip.gain(np.arange(len(piece)) / RATE)
        mix[first : first + len(piece)] += gains[:, None] * piece
    return mix[:n_samples]


def interpolated(sound: Sound, places: Sound) -> Sound:
    """Return a sound (n, C) between its samples, by windowed sinc functions."""
    near = np.floor(places).astype(int)[:, None] + np.arange(-63, 65)
    distance = places[:, None] - near
    weights = np.sinc(distance) * np.cos(np.pi / 2 * np.clip(distance / 65, -1, 1)) ** 2
    values = sound[np.clip(near, 0, len(sound) - 1)]
    return np.einsum("nk,nkc->nc", weights, values)


def faded(length: float, fade_in: float, fade_out: float, gain: float) -> Callable[[Sound], Sound]:
    """Return fades of equal power, a frequent shape."""

    def at(times: Sound) -> Sound:
        middle = times + 0.5 / RATE
        rise = np.minimum(1, middle / fade_in) if fade_in else 1.0
        fall = np.minimum(1, (length - middle) / fade_out) if fade_out else 1.0
        return gain * np.sin(np.pi / 2 * rise) * np.sin(np.pi / 2 * fall)

    return at


def curved(
    gain: Callable[[Sound], Sound], points: list[tuple[float, float]]
) -> Callable[[Sound], Sound]:
    """Return a gain times a curve of straight lines."""
    times, factors = np.array(points).T
    return lambda t: gain(t) * np.interp(t, times, factors)


def dawproject_clips(path: Path) -> tuple[list[Clip], float]:
    """Return the clips of a DAWproject, as its reference describes them, and the master's gain."""
    with zipfile.ZipFile(path) as archive:
        project = ET.fromstring(archive.read("project.xml"))
    found = []
    for element in project.iterfind("Arrangement/Lanes/Lanes/Clips/Clip"):
        value = {k: float(v) for k, v in element.attrib.items() if k != "name" and "Unit" not in k}
        early = max(-value["fadeInTime"], 0.0)  # a crossfade begins before the clip
        position, start = value["time"] - early, value["playStart"] - early
        length = value["duration"] + early
        points = [
            (float(p.get("time", "")) - start, float(p.get("value", "")))
            for p in element.iter("RealPoint")
        ]
        fade = early or value["fadeInTime"], value["fadeOutTime"]
        gain = curved(faded(length, *fade, 1.0), points or [(0.0, 1.0)])
        file, warps = next(element.iter("File")), list(element.iter("Warp"))
        ends = [[float(warp.get(k, "")) for k in ("time", "contentTime")] for warp in warps]
        speed = ends[1][1] / ends[1][0] if ends else 1.0
        path_of = file.get("path", "")
        found.append(Clip(position, length, start * speed, gain, path_of, speed))
    return found, float(project.find("Structure/Track[@id='master']/Channel/Volume").get("value"))


def reaper_clips(path: Path) -> tuple[list[Clip], float]:
    """Return the items of a Reaper project, and the master's gain."""
    project = rpp.loads(path.read_text(encoding="utf-8"))

    def values(element: Any, name: str) -> list[float | str]:
        return next(list(part)[1:] for part in element if part[0] == name)

    found = []
    for item in (item for track in project.findall("TRACK") for item in track.findall("ITEM")):
        position, length, offset = (
            float(values(item, name)[0]) for name in ("POSITION", "LENGTH", "SOFFS")
        )
        fades = [float(values(item, name)[1]) for name in ("FADEIN", "FADEOUT")]
        volume = float(values(item, "VOLPAN")[0])
        speed = float(values(item, "PLAYRATE")[0])
        gain = faded(length, *fades, volume)
        envelope = item.find("VOLENV")
        if envelope is not None:
            points = [[float(n) for n in part[1:3]] for part in envelope if part[0] == "PT"]
            # Its times run at the take's speed.
            gain = curved(gain, [(time / speed, factor) for time, factor in points])
        name = values(item.find("SOURCE"), "FILE")[0]
        found.append(Clip(position, length, offset, gain, name, speed))
    return found, float(values(project, "MASTER_VOLUME")[0])


def reader(path: Path) -> Callable[[str], Sound]:
    """Return a reader of the media of a project: in the ZIP, or relative to the project."""

    def read(name: str) -> Sound:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if name in archive.namelist():
                    return soundfile.read(io.BytesIO(archive.read(name)))[0]
        return soundfile.read(path.parent / name)[0]

    return read


PLAYERS = {"dawproject": dawproject_clips, "reaper": reaper_clips}


@pytest.mark.parametrize("media", ["collect", "reference"])
@pytest.mark.parametrize("format", PLAYERS)
def test_a_project_with_curves_nulls_against_the_rendering(
    format: str, media: str, playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    path = tmp_path / "projects" / f"song.{format}"
    settings = ExportConfig(media=media, fades="curves")
    assert export_playlist(playlist, path, format, store=store, settings=settings) == 5
    clips, master = PLAYERS[format](path)
    mix = master * played(clips, reader(path), playlist.n_samples)
    rendered = render(playlist, store=store).samples
    rendered = rendered / max(1, np.abs(rendered).max())
    residual = level_db(mix - rendered) - level_db(rendered)
    assert residual < -90


@pytest.mark.parametrize("format", PLAYERS)
def test_transposed_clips_null_as_well(
    format: str, make_wav: MakeWav, store: DescriptorStore, tmp_path: Path
) -> None:
    """By sinc interpolation: a program's own resampler may differ by more."""
    times = np.arange(2 * RATE) / RATE
    chord = sum(0.2 * np.sin(2 * np.pi * f * times) for f in (220.0, 1330.0, 4000.0))
    folder = make_wav("in/chord.wav", np.stack([chord, chord])).parent
    events = (
        PlaylistEvent("chord.wav", 9000, 5001, 0, transpose_semitones=3.3),
        PlaylistEvent("chord.wav", 40000, 6000, 5001, transpose_semitones=-2.0, gain_db=-3.0),
    )
    playlist = Playlist(events, RATE, {"corpus": str(folder)}).with_crossfade(20)
    path = tmp_path / f"song.{format}"
    settings = ExportConfig(fades="curves")
    export_playlist(playlist, path, format, store=store, settings=settings)
    clips, master = PLAYERS[format](path)
    mix = master * played(clips, reader(path), playlist.n_samples)
    rendered = render(playlist, store=store).samples
    assert level_db(mix - rendered) - level_db(rendered) < -90


@pytest.mark.parametrize("format", PLAYERS)
def test_a_project_with_handles_differs_in_its_fades_only(
    format: str, playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    path = tmp_path / f"song.{format}"
    export_playlist(playlist, path, format, store=store)
    clips, master = PLAYERS[format](path)
    mix = master * played(clips, reader(path), playlist.n_samples)
    rendered = render(playlist, store=store).samples
    difference = np.abs(mix - rendered / max(1, np.abs(rendered).max())).max(1)
    assert difference[np.abs(np.arange(len(mix)) - 5000) < 3000].max() < 1e-6
    assert level_db(mix - rendered) - level_db(rendered) < -20


def write_matches(path: Path, n_frames: int, places: list[tuple[str, int]]) -> Path:
    """Write matches whose candidates are the same places in every frame, and return the path."""
    columns = {
        "_id": [[source for source, _ in places]] * n_frames,
        "_sample": [[sample for _, sample in places]] * n_frames,
        "_distance": [[0.0] * len(places)] * n_frames,
        "_speed": [[2.0 if source == "b/c.wav" else 1.0 for source, _ in places]] * n_frames,
    }
    content = {"_candidates": columns, "_meta": {"hop_length": 1024}}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_alternatives_play_the_next_best_places(playlist: Playlist, tmp_path: Path) -> None:
    places = [("a.wav", 3880), ("a.wav", 30000), ("a.wav", 30300), ("b/c.wav", 20000)]
    candidates = Candidates.load(write_matches(tmp_path / "m.json", 30, places))
    found = candidates.alternatives(playlist, 0, 8)
    # The unit's middle is sample 4500, in frame 4, whose middle is 4608: 108 later.
    assert [(e.source, e.start_sample, e.transpose_semitones) for e in found] == [
        ("a.wav", 30000 - 108 - 4500, 0.0), ("b/c.wav", 20000 - 216 - 4500, 12.0)
    ]  # fmt: skip
    assert {(e.onset_sample, e.n_samples, e.fade_out_ms) for e in found} == {(0, 9000, 20)}
    assert [e.digest for e in found] == [playlist.events[i].digest for i in (0, 1)]
    assert len(candidates.alternatives(playlist, 0, 1)) == 1
    assert candidates.alternatives(playlist, 4, 8) == []  # a second layer


def test_alternatives_are_takes_and_muted_tracks(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    places = [("a.wav", 30000), ("b/c.wav", 1000), ("gone.wav", 0)]
    matches = write_matches(tmp_path / "matches.json", 30, places)
    settings = ExportConfig(alternatives=3, fades="curves")
    for format in PLAYERS:
        path = tmp_path / f"song.{format}"
        options: Any = {"store": store, "settings": settings}
        export_playlist(playlist, path, format, matches=matches, **options)
        with pytest.raises(ConfigurationError, match="matches"):
            export_playlist(playlist, path, format, **options)
    project = rpp.loads((tmp_path / "song.reaper").read_text())
    items = project.find("TRACK").findall("ITEM")
    starts = [[float(part[1]) for part in item if part[0] == "SOFFS"] for item in items]
    # Without the place that is played; before the beginning of its file a take is silent.
    assert [len(takes) for takes in starts] == [3, 3, 3, 3]
    assert starts[0][2] < 0
    clips, _ = dawproject_clips(tmp_path / "song.dawproject")
    assert len(clips) == 5 + 8
    with zipfile.ZipFile(tmp_path / "song.dawproject") as archive:
        tracks = ET.fromstring(archive.read("project.xml")).findall("Structure/Track")
    muted = [t.get("name") for t in tracks if t.find("Channel/Mute").get("value") == "true"]
    assert muted == ["alternative 1 a", "alternative 1 b", "alternative 2 a", "alternative 2 b"]
    one = tmp_path / "one.json"
    one.write_text('{"_id": [], "_meta": {"hop_length": 1024}}')
    with pytest.raises(ConfigurationError, match=r"one\.json: lists one row .* --neighbours 8"):
        export_playlist(playlist, path, format, matches=one, **options)


def test_alternatives_have_the_gain_of_their_unit_and_no_curve(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    louder = replace(playlist.events[2], gain_db=-6.0)
    playlist = replace(playlist, events=(louder,))
    assert louder.gain_curve
    matches = write_matches(tmp_path / "m.json", 30, [("a.wav", 30000)])
    settings = ExportConfig(alternatives=1)
    path = tmp_path / "song.rpp"
    export_playlist(playlist, path, "reaper", store=store, matches=matches, settings=settings)
    [item] = rpp.loads(path.read_text()).find("TRACK").findall("ITEM")
    [volume] = [float(part[1]) for part in item if part[0] == "VOLPAN"]
    assert 20 * np.log10(volume) == pytest.approx(-6, abs=1e-4)
    assert len(item.findall("VOLENV")) == 1, "of the unit alone"


def test_long_fades_of_units_with_a_curve_null_as_well(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    playlist = replace(playlist, events=playlist.events[1:3]).with_crossfade(90)
    for format, read_clips in PLAYERS.items():
        path = tmp_path / f"song.{format}"
        settings = ExportConfig(fades="curves")
        export_playlist(playlist, path, format, store=store, settings=settings)
        clips, master = read_clips(path)
        mix = master * played(clips, reader(path), playlist.n_samples)
        rendered = render(playlist, store=store).samples
        assert level_db(mix - rendered) - level_db(rendered) < -90


def test_beats_are_markers(make_wav: MakeWav, store: DescriptorStore, tmp_path: Path) -> None:
    """Clicks every half second from .25 s on; noise has no pulse, and no markers."""
    clicks = np.zeros((2, 6 * RATE))
    for start in range(RATE // 4, 6 * RATE, RATE // 2):
        clicks[:, start : start + 2000] = np.exp(-np.arange(2000) / 300) * (-1) ** np.arange(2000)
    folder = make_wav("in/clicks.wav", 0.5 * clicks).parent
    playlist = Playlist((PlaylistEvent("clicks.wav", 0, 6 * RATE, 0),), RATE, {"corpus": folder})
    export_playlist(playlist, tmp_path / "s.dawproject", "dawproject", store=store)
    with zipfile.ZipFile(tmp_path / "s.dawproject") as archive:
        project = ET.fromstring(archive.read("project.xml"))
    tempo = float(project.find("Transport/Tempo").get("value"))
    assert tempo == pytest.approx(120, abs=0.5)
    beats = [float(marker.get("time", "")) for marker in project.iter("Marker")]
    assert len(beats) >= 10
    distance = (np.array(beats) - 0.25 + 0.25) % 0.5 - 0.25
    assert np.abs(distance).max() < 0.03
    export_playlist(playlist, tmp_path / "s.rpp", "reaper", store=store)
    assert (tmp_path / "s.rpp").read_text().count("MARKER") == len(beats)

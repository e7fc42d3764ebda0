"""DAWprojects, edited or of other programs, read back into playlists."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from desc.concatenation import Playlist, render
from desc.configuration import RenderConfig
from desc.errors import ConfigurationError
from desc.playlist_formats import ExportConfig, export_playlist, read_playlist
from desc.storage import DescriptorStore
from tests.playlist_formats.conftest import RATE, MakeWav, level_db


@pytest.mark.parametrize("knows_original", [True, False])
@pytest.mark.parametrize("media", ["collect", "reference"])
def test_an_exported_project_is_read_as_it_was(
    media: str, knows_original: bool, playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "song.dawproject"
    high = replace(playlist.events[4], transpose_semitones=5.0)
    playlist = replace(playlist, events=(*playlist.events[:4], high))
    export_playlist(playlist, path, "dawproject", store=store, settings=ExportConfig(media=media))
    read = read_playlist(path, playlist if knows_original else None)
    assert [len(layer) for layer in read.layers()] == [4, 1]
    unpacked = media == "collect" and not knows_original
    assert (tmp_path / "out" / "song media").is_dir() == unpacked
    if knows_original:
        assert {e.source for e in read.events} == {e.source for e in playlist.events}
    config = RenderConfig(align_ms=0)
    again = render(read, store=store, rendering=config).samples
    rendered = render(playlist, store=store).samples
    assert level_db(again - rendered) - level_db(rendered) < -90


def test_gain_curves_of_clips_are_read(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    """With `fades="curves"` the fades are part of them, and clips lie on two tracks in turn."""
    path = tmp_path / "song.dawproject"
    settings = ExportConfig(fades="curves")
    export_playlist(playlist, path, "dawproject", store=store, settings=settings)
    read = read_playlist(path, playlist)
    assert [len(layer) for layer in read.layers()] == [2, 2, 1]
    assert all(event.gain_curve for event in read.events)
    gains = [event.gain_db for layer in read.layers() for _, event in layer]
    assert gains == pytest.approx([0, 3, -6, 3, 0], abs=0.01)
    again = render(read, store=store, rendering=RenderConfig(align_ms=0)).samples
    rendered = render(playlist, store=store).samples
    assert level_db(again - rendered) - level_db(rendered) < -70


def with_points(points: str) -> Callable[[ET.Element], None]:
    """Return a change that puts a gain curve beside the audio of the first clip."""

    def change(project: ET.Element) -> None:
        clip = next(project.iter("Clip"))
        [audio] = list(clip)
        clip.remove(audio)
        lanes = ET.SubElement(clip, "Lanes", timeUnit="seconds")
        lanes.append(audio)
        start = float(clip.get("playStart", ""))
        curve = ET.SubElement(lanes, "Points", unit="linear")
        ET.SubElement(curve, "Target", expression="gain")
        for text in points.split():
            time, value, interpolation = text.split(",")
            at = {"time": str(start + float(time)), "value": value}
            ET.SubElement(curve, "RealPoint", at | {"interpolation": interpolation})

    return change


HALF_DB = 20 * float(np.log10(0.5))


@pytest.mark.parametrize(
    ("points", "gain_db", "curve"),
    [
        ("0,2,linear .1,1,linear", -HALF_DB, [(0, 0.0), (4410, HALF_DB)]),
        ("0,1,hold .1,.5,linear", 0.0, [(0, 0.0), (4409, 0.0), (4410, HALF_DB)]),
        ("0,1,linear .1,1,linear .1,.5,linear", 0.0, [(0, 0.0), (4409, 0.0), (4410, HALF_DB)]),
        (".1,.5,linear 0,1,linear", 0.0, [(0, 0.0), (4410, HALF_DB)]),
        ("0,.5,linear .1,.5,linear", HALF_DB, []),
        ("0,0,linear .1,0,linear", -200.0, []),
        ("0,1,linear .1,0,linear", 0.0, [(0, 0.0), (4410, -200.0)]),
        ("0,1e9,linear", 60.0, []),
    ],
)
def test_points_of_a_gain_become_a_gain_and_a_curve(
    *,
    points: str,
    gain_db: float,
    curve: list[tuple[int, float]],
    playlist: Playlist,
    store: DescriptorStore,
    tmp_path: Path,
) -> None:
    plain = replace(playlist, events=playlist.events[4:])  # without fades beyond its ends
    export_playlist(plain, tmp_path / "one.dawproject", "dawproject", store=store)
    edit(tmp_path / "one.dawproject", with_points(points))
    [event] = read_playlist(tmp_path / "one.dawproject", plain).events
    assert event.gain_db == pytest.approx(gain_db, abs=1e-4)
    assert [sample for sample, _ in event.gain_curve] == [sample for sample, _ in curve]
    found = [gain for _, gain in event.gain_curve]
    assert found == pytest.approx([gain for _, gain in curve], abs=1e-4)


def test_a_gain_in_percent_is_a_hundredth_and_other_units_are_refused(
    playlist: Playlist, exported: Path
) -> None:
    def unit(name: str) -> Callable[[ET.Element], None]:
        def change(project: ET.Element) -> None:
            points = next(project.iter("Points"))
            points.set("unit", name)
            next(points.iter("RealPoint")).set("value", "50")

        return change

    gains = [event.gain_db for event in read_playlist(exported, playlist).events]
    edit(exported, unit("percent"))
    changed = [event.gain_db for event in read_playlist(exported, playlist).events]
    assert changed == pytest.approx([gains[0], HALF_DB, *gains[2:]], abs=0.01)
    edit(exported, unit("hertz"))
    with pytest.raises(ConfigurationError, match="gain: unit='hertz' must be one of linear"):
        read_playlist(exported, playlist)


def edit(path: Path, change: Callable[[ET.Element], None]) -> None:
    """Change the XML of a project."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    project = ET.fromstring(content["project.xml"])
    change(project)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (content | {"project.xml": ET.tostring(project)}).items():
            archive.writestr(name, data)


@pytest.fixture
def exported(playlist: Playlist, store: DescriptorStore, tmp_path: Path) -> Path:
    path = tmp_path / "song.dawproject"
    export_playlist(playlist, path, "dawproject", store=store)
    return path


def test_a_format_that_is_only_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "song.rpp").write_text("<REAPER_PROJECT>")
    with pytest.raises(ConfigurationError, match=r"song\.rpp: .* reaper cannot be read back"):
        read_playlist(tmp_path / "song.rpp")


def test_clips_moved_trimmed_gained_and_deleted(playlist: Playlist, exported: Path) -> None:
    before = read_playlist(exported, playlist).events

    def change(project: ET.Element) -> None:
        first, second = project.findall("Arrangement/Lanes/Lanes/Clips")
        clips = first.findall("Clip")
        clips[0].set("enable", "false")  # muted
        first.remove(clips[2])
        clips[3].set("time", "2.0")  # moved to where nothing joins it
        clips[3].set("fadeInTime", "0.01")
        trimmed = second[0]  # its first 1000 samples
        for key, sign in (("time", 1), ("playStart", 1), ("duration", -1)):
            trimmed.set(key, str(float(trimmed.get(key, "")) + sign * 1000 / RATE))
        second[0].set("fadeInTime", "0")
        project.find("Structure/Track[@name='layer 1']/Channel/Volume").set("value", "0.5")

    edit(exported, change)
    second, fourth, other = read_playlist(exported, playlist).events
    assert second.source == "b/c.wav"
    # Without its neighbour the clip after it ends with its whole fade.
    assert second.end_sample == before[1].end_sample + before[1].fade_out_ms / 1000 * RATE / 2
    assert fourth.onset_sample == 2 * RATE
    assert (fourth.gain_db, fourth.fade_in_ms) == (pytest.approx(3.0), 10.0)
    assert (other.start_sample, other.onset_sample) == (21000, 2000)
    assert (other.n_samples, other.gain_db) == (13000, pytest.approx(-6.02, abs=0.01))


@pytest.mark.parametrize(
    ("tag", "value", "gain_db"), [("Volume", "0.5", -6.02), ("Mute", "true", None)]
)
def test_a_group_sets_the_level_of_its_tracks(
    tag: str, value: str, gain_db: float | None, playlist: Playlist, exported: Path
) -> None:
    before = [event.gain_db for event in read_playlist(exported, playlist).events]

    def group(project: ET.Element) -> None:
        structure = project.find("Structure")
        tracks = list(structure)
        for track in tracks:
            structure.remove(track)
        around = ET.SubElement(structure, "Track", id="group")
        ET.SubElement(ET.SubElement(around, "Channel"), tag, value=value, unit="linear")
        around.extend(tracks)

    edit(exported, group)
    if gain_db is None:
        with pytest.raises(ConfigurationError, match="no audio clip on a track that sounds"):
            read_playlist(exported, playlist)
        return
    after = [event.gain_db for event in read_playlist(exported, playlist).events]
    assert after == pytest.approx([gain + gain_db for gain in before], abs=0.01)


def test_a_project_in_beats_with_nested_clips_is_read(tmp_path: Path, make_wav: MakeWav) -> None:
    """As Bitwig Studio writes it: 60 beats a minute, the sound an octave up."""
    make_wav("audio/a.wav", np.zeros((2, 5 * RATE)))
    warps = """<Warps contentTimeUnit="seconds" timeUnit="beats"><Audio algorithm="repitch"
        channels="2" duration="5" sampleRate="44100"><File path="audio/a.wav" external="true"/>
        </Audio><Warp time="0" contentTime="0"/><Warp time="2.5" contentTime="5"/></Warps>"""
    inner = f"""<Clip time="0.5" duration="2" playStart="0.25" contentTimeUnit="beats"
        fadeTimeUnit="beats" fadeInTime="0.1">{warps}</Clip>"""
    text = f"""<Project version="1.0"><Transport><Tempo unit="bpm" value="60"/></Transport>
        <Structure><Track id="t"><Channel><Volume unit="linear" value="1"/></Channel></Track>
        </Structure><Arrangement><Lanes timeUnit="beats"><Lanes track="t"><Clips>
        <Clip time="3" duration="1.5" playStart="0"><Clips>{inner}</Clips></Clip>
        </Clips></Lanes></Lanes></Arrangement></Project>"""
    with zipfile.ZipFile(tmp_path / "x.dawproject", "w") as archive:
        archive.writestr("project.xml", text)
    (event,) = read_playlist(tmp_path / "x.dawproject").events
    assert (event.root, event.source) == ("project", "audio/a.wav")
    assert (event.onset_sample, event.n_samples) == (round(3.5 * RATE), RATE)
    assert event.transpose_semitones == 12
    assert event.start_sample + event.n_samples / 2 == (0.25 + 0.5) * 2 * RATE
    assert event.fade_in_ms == pytest.approx(100)


def set_attribute(place: str, key: str, value: str) -> Callable[[ET.Element], None]:
    return lambda project: project.find(place).set(key, value)  # type: ignore[union-attr]


CLIP = "Arrangement/Lanes/Lanes/Clips/Clip"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_attribute(CLIP, "time", "x"), r"the clip 'a.wav @ .*': time='x' must be a number"),
        (set_attribute(CLIP, "loopEnd", "0.01"), "the clip 'a.wav .*' loops"),
        (set_attribute(f"{CLIP}//File", "path", "no.wav"), "its file 'no.wav' is missing"),
        (set_attribute(f"{CLIP}[2]", "time", "0.06"), "lies within .*the clip 'a.wav"),
        (set_attribute("Transport/Tempo", "value", "fast"), "the tempo='fast' must be a number"),
        (set_attribute("Transport/Tempo", "value", "0"), "the tempo=0.0 must be above 0"),
        (set_attribute(CLIP, "time", "nan"), "time='nan' must be a number"),
        (set_attribute(CLIP, "playStart", "1e15"), "the clip 'a.wav .*': start_sample"),
        (set_attribute("Structure/Track/Channel/Volume", "value", "?"), "volume .*'layer 0'='\\?'"),
        (lambda project: project.clear(), "contains no audio clip"),
    ],
)
def test_what_cannot_be_read_is_named(
    change: Callable[[ET.Element], None], message: str, playlist: Playlist, exported: Path
) -> None:
    edit(exported, change)
    with pytest.raises(ConfigurationError, match=f"song.dawproject: .*{message}"):
        read_playlist(exported, playlist)


def test_other_files_are_no_projects(tmp_path: Path) -> None:
    path = tmp_path / "x.dawproject"
    path.write_bytes(b"no zip")
    with pytest.raises(ConfigurationError, match="cannot be read as a DAWproject"):
        read_playlist(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(ConfigurationError, match=r"contains no project\.xml"):
        read_playlist(path)

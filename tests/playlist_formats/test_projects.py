"""Projects of audio editors, played by readers of their own, against the rendered sound."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
import rpp
import soundfile

from desc.concatenation import Playlist, PlaylistEvent, render
from desc.playlist_formats import ExportConfig, export_playlist
from desc.storage import DescriptorStore

RATE = 44100
MakeWav = Callable[..., Path]
Sound = npt.NDArray[np.float64]


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def playlist(make_wav: MakeWav, store: DescriptorStore, rng: np.random.Generator) -> Playlist:
    """Units of two files in two layers, with gains, joins of all kinds and a gap."""
    noise = 0.1 * rng.standard_normal((2, 60000))
    slow = np.cumsum(noise, axis=1)[:, ::-1] * 0.02  # correlated with itself a little later
    paths = [make_wav("in/a.wav", noise), make_wav("in/b/c.wav", slow)]
    a, b = (store.digest(path) for path in paths)
    events = (
        PlaylistEvent("a.wav", -512, 9000, 0, a),
        PlaylistEvent("b/c.wav", 4608, 4096, 9000, b, gain_db=-6.0),
        PlaylistEvent("b/c.wav", 9900, 7168, 13096, b),
        PlaylistEvent("a.wav", 10000, 9120, 20264, a, gain_db=3.0),
        PlaylistEvent("a.wav", 20000, 14000, 1000, a, layer=1, fade_in_ms=50, fade_out_ms=30),
    )
    joined = Playlist(events[:4], RATE, {"corpus": str(paths[0].parent)}).with_crossfade(20)
    return replace(joined, events=(*joined.events, events[4]))


@dataclass(frozen=True)
class Clip:
    """A clip as a project describes it, in seconds."""

    position: float
    length: float
    offset: float
    gain: Callable[[Sound], Sound]
    path: str


def played(clips: list[Clip], read: Callable[[str], Sound], n_samples: int) -> Sound:
    """Return the sum of clips at their files' own speed, (n, 2)."""
    mix = np.zeros((n_samples + RATE, 2))
    for clip in clips:
        first, length, offset = (
            round(seconds * RATE) for seconds in (clip.position, clip.length, clip.offset)
        )
        piece = read(clip.path)[offset : offset + length]
        gains = clip.gain(np.arange(len(piece)) / RATE)
        mix[first : first + len(piece)] += gains[:, None] * piece
    return mix[:n_samples]


def faded(length: float, fade_in: float, fade_out: float, gain: float) -> Callable[[Sound], Sound]:
    """Return fades of equal power, a frequent shape."""

    def at(times: Sound) -> Sound:
        middle = times + 0.5 / RATE
        rise = np.minimum(1, middle / fade_in) if fade_in else 1.0
        fall = np.minimum(1, (length - middle) / fade_out) if fade_out else 1.0
        return gain * np.sin(np.pi / 2 * rise) * np.sin(np.pi / 2 * fall)

    return at


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
        if len(points) > 1:
            times, gains = np.array(points).T
            gain: Any = lambda t, times=times, gains=gains: np.interp(t, times, gains)  # noqa: E731
        else:
            gain = faded(length, *fade, points[0][1] if points else 1.0)
        file = next(element.iter("File"))
        found.append(Clip(position, length, start, gain, file.get("path", "")))
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
        gain: Any = faded(length, *fades, volume)
        envelope = item.find("VOLENV")
        if envelope is not None:
            points = [[float(n) for n in part[1:3]] for part in envelope if part[0] == "PT"]
            times, gains = np.array(points).T
            gain = lambda t, times=times, gains=gains: np.interp(t, times, gains)  # noqa: E731
        found.append(Clip(position, length, offset, gain, values(item.find("SOURCE"), "FILE")[0]))
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


def level_db(sound: Sound) -> float:
    return float(10 * np.log10(np.mean(sound**2)))


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

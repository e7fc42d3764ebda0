"""A DAWproject as a playlist, edited or not."""

from __future__ import annotations

import logging
import math
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

from desc.audio import content_digest, stream_digest
from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.playlist import LEAST_GAIN_DB, MAX_FADE_MS, MOST_GAIN_DB
from desc.configuration import check
from desc.errors import ConfigurationError
from desc.files import replacing
from desc.playlist_formats.dawproject_clips import TEMPO, AudioClip, ClipReader, factor, finite
from desc.playlist_formats.pieces import as_playlist

logger = logging.getLogger(__name__)

PROJECT_ROOT = "project"
"""The root of files that no playlist names: the folder of the project."""
_LARGEST_XML = 1 << 28


def read(path: Path, original: Playlist | None) -> Playlist:
    """Return the clips of a DAWproject as a playlist: a layer per track that is not muted.

    Read are position, length, offset, fades, gain, gain curve and speed of the clips, and the
    volumes of their tracks. Overlaps are crossfades. Effects, panning, other automation and notes
    are not, and a line says so. Files in the ZIP are those of the original with the same content;
    others are unpacked into a folder `NAME media` beside the project.

    Parameters
    ----------
    path : path
        The project.
    original : Playlist, optional
        The playlist that was exported: names the files, and gives the sample rate; by default that
        is the highest of the files.

    Raises
    ------
    ConfigurationError
        If it is no DAWproject, has no audio clip, or a clip cannot be played; the message names it.
    """
    with _opened(path) as archive:
        project = _project(path, archive)
        files = _Files(path, archive, original)
        try:
            return _playlist(path, project, files, original)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from error


def _playlist(
    path: Path, project: ET.Element, files: _Files, original: Playlist | None
) -> Playlist:
    reader, tracks = ClipReader(_tempo(project)), _tracks(project.find("Structure"))
    lanes = project.find("Arrangement/Lanes")
    clips = [] if lanes is None else list(reader.clips(lanes))
    clips = [clip for clip in clips if tracks.get(clip.track, 1.0) > 0]
    if not clips:
        raise ConfigurationError("it contains no audio clip on a track that sounds")
    _note_unread(path, project, reader, clips)
    highest = max(clip.sample_rate for clip in clips) or 44100
    rate = original.sample_rate if original else highest
    layers: dict[str, list[tuple[str, PlaylistEvent]]] = {}
    for clip in clips:
        name = f"the clip {clip.name!r}"
        try:
            event = _event(clip, rate, tracks.get(clip.track, 1.0), files)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from error
        layers.setdefault(clip.track, []).append((name, event))
    return as_playlist(list(layers.values()), rate, files.roots)


def _project(path: Path, archive: zipfile.ZipFile) -> ET.Element:
    try:
        if archive.getinfo("project.xml").file_size > _LARGEST_XML:
            raise ConfigurationError(f"{path}: project.xml is larger than 256 MB")
        return ET.fromstring(archive.read("project.xml"))
    except KeyError:
        raise ConfigurationError(f"{path}: contains no project.xml: no DAWproject") from None
    except ET.ParseError as error:
        raise ConfigurationError(f"{path}: project.xml is damaged: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path}: cannot be read as a DAWproject: {reason}") from error


def _tempo(project: ET.Element) -> float:
    points = project.findall("Arrangement/TempoAutomation/RealPoint")
    if len({point.get("value") for point in points}) > 1:
        raise ConfigurationError("the tempo changes; only a constant one can be read")
    elements = points[:1] or project.findall("Transport/Tempo")
    text = elements[0].get("value", "") if elements else str(TEMPO)
    value = finite(text, "the tempo")
    check(value > 0, "the tempo", value, "be above 0")
    return value


def _tracks(
    structure: ET.Element | None, group: float = 1.0, found: dict[str, float] | None = None
) -> dict[str, float]:
    """Return the volume of each track by its key, that of its groups included; 0 if muted."""
    found = {} if found is None else found
    for track in [] if structure is None else structure.iterfind("Track"):
        mute, volume = track.find("Channel/Mute"), track.find("Channel/Volume")
        value = group
        if volume is not None:
            what = f"the volume of the track {track.get('name')!r}"
            value *= factor(volume.get("value", "1"), volume.get("unit", "linear"), what)
        if mute is not None and mute.get("value") == "true":
            value = 0.0
        found[track.get("id", "")] = value
        _tracks(track, value, found)
    return found


def _note_unread(
    path: Path, project: ET.Element, reader: ClipReader, clips: list[AudioClip]
) -> None:
    """Log what the project holds and a playlist does not."""
    left_out = [f"{count} {tag}" for tag, count in reader.ignored.items() if tag != "markers"]
    n_devices = len(project.findall("Structure//Devices/*"))
    left_out += [f"{n_devices} effects"] if n_devices else []
    if left_out:
        logger.warning("%s: not read: %s", path, ", ".join(left_out))
    n_stretched = sum(clip.is_stretched for clip in clips)
    if n_stretched:
        logger.warning(
            "%s: %d clips are stretched at the same pitch; they change their pitch instead",
            path,
            n_stretched,
        )


@dataclass
class _Files:
    """The files of a project, as roots and sources of a playlist."""

    path: Path
    archive: zipfile.ZipFile
    original: Playlist | None
    roots: dict[str, str] = field(default_factory=dict)
    _found: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.roots |= self.original.roots if self.original else {}
        events = self.original.events if self.original else ()
        self._known = {e.digest: (e.root, e.source, e.digest) for e in events if e.digest}

    def find(self, clip: AudioClip) -> tuple[str, str, str]:
        """Return root, source and digest of a clip's file."""
        if clip.path not in self._found:
            place = self._external(clip) if clip.is_external else self._unpacked(clip)
            self._found[clip.path] = place
        return self._found[clip.path]

    def _external(self, clip: AudioClip) -> tuple[str, str, str]:
        place = Path(os.path.abspath(self.path.parent / clip.path))
        if not place.is_file():
            raise ConfigurationError(f"there is no file {place}")
        digest = content_digest(place)
        return self._known.get(digest) or self._own(place, digest)

    def _unpacked(self, clip: AudioClip) -> tuple[str, str, str]:
        if clip.path not in self.archive.namelist():
            raise ConfigurationError(f"its file {clip.path!r} is missing")
        with self.archive.open(clip.path) as packed:
            digest = stream_digest(packed)
        if digest in self._known:
            return self._known[digest]
        packed_path = PurePosixPath(clip.path.replace("\\", "/").replace(":", "_"))
        parts = [part for part in packed_path.parts if part not in {"/", ".."}]
        place = self.path.parent.absolute() / f"{self.path.stem} media" / Path(*parts)
        if not place.is_file() or content_digest(place) != digest:
            with (
                self.archive.open(clip.path) as packed,
                replacing(place) as temporary,
                temporary.open("wb") as file,
            ):
                shutil.copyfileobj(packed, file, 1 << 20)
        return self._own(place, digest)

    def _own(self, place: Path, digest: str) -> tuple[str, str, str]:
        folder = self.path.parent.absolute()
        self.roots[PROJECT_ROOT] = folder.as_posix()
        return PROJECT_ROOT, Path(os.path.relpath(place, folder)).as_posix(), digest


def _event(clip: AudioClip, rate: int, volume: float, files: _Files) -> PlaylistEvent:
    root, source, digest = files.find(clip)
    first, stop = round(clip.start_s * rate), round(clip.end_s * rate)
    n_samples = max(stop - first, 1)
    middle = (first + n_samples / 2) / rate - clip.start_s
    centre = (clip.file_start_s + middle * clip.speed) * rate
    return PlaylistEvent(
        source,
        round(centre - n_samples / 2),
        n_samples,
        first,
        digest,
        fade_in_ms=min(round(1000 * clip.fade_in_s, 6), MAX_FADE_MS),
        fade_out_ms=min(round(1000 * clip.fade_out_s, 6), MAX_FADE_MS),
        gain_db=_db(clip.gain * volume),
        gain_curve=_curve([(round(t * rate) - first, gain) for t, gain in clip.gain_curve]),
        transpose_semitones=round(12 * math.log2(clip.speed), 4),
        root=root,
    )


def _db(gain: float) -> float:
    """Return a factor in dB, as far as an event may have it."""
    gain_db = 20 * math.log10(gain) if gain > 0 else LEAST_GAIN_DB
    return round(min(max(gain_db, LEAST_GAIN_DB), MOST_GAIN_DB), 6)


def _curve(points: list[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Return points of sample and factor as a gain curve; a step takes one sample."""
    found: list[tuple[int, float]] = []
    for sample, gain in points:
        before = found.pop()[1] if found and found[-1][0] == sample else None
        if before is not None and (not found or found[-1][0] < sample - 1):
            found.append((sample - 1, before))
        found.append((sample, _db(gain)))
    return tuple(found)

"""A DAWproject: a ZIP with the tracks, clips, fades and gains as XML, and the sound files.

The format is version 1.0 of https://github.com/bitwig/dawproject. Times are in seconds, so the
tempo moves nothing.
"""

from __future__ import annotations

import logging
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from desc import __version__
from desc.audio import AudioInfo, probe
from desc.concatenation.beats import tempo_of
from desc.errors import AudioError
from desc.files import replacing
from desc.playlist_formats.arrangement import Arrangement, Clip
from desc.playlist_formats.media import collected_names, relative_path

logger = logging.getLogger(__name__)

MEDIA_FOLDER = "audio"
PROJECT, METADATA = "project.xml", "metadata.xml"
TEMPO = 120.0
MASTER = "master"
ALTERNATIVE = "alternative"
_MADE = (1980, 1, 1, 0, 0, 0)
"""The earliest time of a file in a ZIP, so that equal projects have equal bytes."""


def write(arrangement: Arrangement, path: Path) -> int:
    """Write a project with a track per layer and a clip per unit; return the number of clips.

    Clips meet at the end of each crossfade, and the fade-in of the second begins before it, as the
    format describes crossfades (a negative `fadeInTime`). With `fades="curves"` the clips of a
    layer lie on two tracks in turn, overlap, and have gain curves instead of fades. Alternatives
    lie on muted tracks.
    """
    files = {name: probe(name) for name in sorted(arrangement.files())}
    collects = arrangement.settings.media == "collect"
    if collects:
        names = {k: f"{MEDIA_FOLDER}/{v}" for k, v in collected_names(arrangement).items()}
    else:
        names = {name: relative_path(name, path.parent) for name in files}
    project = _project(arrangement, files, names, external=not collects)
    metadata = ET.Element("MetaData")
    ET.SubElement(metadata, "Title").text = arrangement.title
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in ((METADATA, metadata), (PROJECT, project)):
            ET.indent(content)
            data = ET.tostring(content, encoding="utf-8", xml_declaration=True)
            archive.writestr(zipfile.ZipInfo(name, _MADE), data, zipfile.ZIP_DEFLATED)
        for name in files if collects else ():
            _copy(name, names[name], archive)
    strange = [e for e in arrangement.playlist.events if e.channels is not None]
    if strange:
        logger.warning(
            "%d units play all channels: a DAWproject does not support their selection",
            len(strange),
        )
    return len(arrangement.spans)


def _copy(source: str, name: str, archive: zipfile.ZipFile) -> None:
    try:
        with (
            open(source, "rb") as file,
            archive.open(zipfile.ZipInfo(name, _MADE), "w", force_zip64=True) as copy,
        ):
            shutil.copyfileobj(file, copy, 1 << 20)
    except OSError as error:
        raise AudioError(f"{source}: cannot be copied: {error.strerror or error}") from error


def _project(
    arrangement: Arrangement,
    files: Mapping[str, AudioInfo],
    names: Mapping[str, str],
    *,
    external: bool,
) -> ET.Element:
    root = ET.Element("Project", version="1.0")
    ET.SubElement(root, "Application", name="desc", version=__version__)
    transport = ET.SubElement(root, "Transport")
    tempo = _number(tempo_of(arrangement.beats_s, TEMPO))
    ET.SubElement(transport, "Tempo", unit="bpm", value=tempo, name="Tempo")
    ET.SubElement(transport, "TimeSignature", denominator="4", numerator="4")
    structure = ET.SubElement(root, "Structure")
    timeline = ET.SubElement(root, "Arrangement", id="arrangement")
    lanes = ET.SubElement(timeline, "Lanes", timeUnit="seconds", id="lanes")
    for number, (title, clips) in enumerate(_tracks(arrangement)):
        _add_track(structure, title, f"track{number}", 1.0, muted=ALTERNATIVE in title)
        lane = ET.SubElement(lanes, "Lanes", track=f"track{number}", id=f"lane{number}")
        content = ET.SubElement(lane, "Clips", id=f"clips{number}")
        for clip in clips:
            path = arrangement.path(clip.event)
            file = ET.Element("File", path=names[path], external=str(external).lower())
            content.append(_clip(clip, arrangement, files[path], file))
    _add_track(structure, "master", MASTER, arrangement.gain, muted=False)
    if arrangement.beats_s:
        markers = ET.SubElement(timeline, "Markers", timeUnit="seconds", id="beats")
        for number, beat in enumerate(arrangement.beats_s, 1):
            ET.SubElement(markers, "Marker", time=_number(beat), name=f"beat {number}")
    return root


def _tracks(arrangement: Arrangement) -> list[tuple[str, list[Clip]]]:
    """Return titles and clips of the tracks."""
    layers = [(f"layer {number}", arrangement.clips(number)) for number in arrangement.layers]
    others = [arrangement.other_clips(clip) for _, clips in layers for clip in clips]
    for rank in range(arrangement.settings.alternatives):
        clips = [found[rank] for found in others if len(found) > rank]
        layers += [(f"{ALTERNATIVE} {rank + 1}", clips)] if clips else []
    if arrangement.settings.fades == "handles":
        return layers
    halves = [(f"{title} {'ab'[i]}", clips[i::2]) for title, clips in layers for i in range(2)]
    return [(title, clips) for title, clips in halves if clips]


def _add_track(structure: ET.Element, name: str, key: str, gain: float, *, muted: bool) -> None:
    track = ET.SubElement(structure, "Track", contentType="audio", loaded="true", id=key, name=name)
    channel = ET.SubElement(track, "Channel", audioChannels="2", id=f"{key}-channel")
    if key == MASTER:
        channel.set("role", "master")
    else:
        channel.set("role", "regular")
        channel.set("destination", f"{MASTER}-channel")
    ET.SubElement(channel, "Mute", value=str(muted).lower())
    ET.SubElement(channel, "Volume", unit="linear", value=_number(gain), min="0", max="2")


def _clip(clip: Clip, arrangement: Arrangement, info: AudioInfo, file: ET.Element) -> ET.Element:
    curves = arrangement.settings.fades == "curves"
    joined = bool(clip.span.fade_in.overhang) and not curves
    later = clip.fade_in_s if joined else 0.0
    times = {
        "time": clip.position_s + later,
        "duration": clip.length_s - later,
        "playStart": clip.offset_s / clip.speed + later,
        "fadeInTime": 0.0 if curves else -later or clip.fade_in_s,
        "fadeOutTime": 0.0 if curves else clip.fade_out_s,
    }
    units = {"contentTimeUnit": "seconds", "fadeTimeUnit": "seconds"}
    attributes = units | {name: _number(value) for name, value in times.items()}
    element = ET.Element("Clip", attributes, name=arrangement.label(clip.event))
    sound = ET.Element(
        "Audio",
        timeUnit="seconds",
        channels=str(info.n_channels),
        duration=_number(info.duration_s),
        sampleRate=str(info.sample_rate),
    )
    sound.append(file)
    if clip.speed != 1:
        sound.set("algorithm", "repitch")
        sound = _warped(sound, clip, info)
    if not curves and clip.gain == 1 and not clip.event.gain_curve:
        element.append(sound)
        return element
    lanes = ET.SubElement(element, "Lanes", timeUnit="seconds")
    lanes.append(sound)
    drawn = curves or clip.event.gain_curve
    points = clip.curve(fades=curves) if drawn else [(0.0, clip.gain)]
    begin = times["playStart"] - later
    lanes.append(_gains([(begin + time, gain) for time, gain in points]))
    return element


def _warped(sound: ET.Element, clip: Clip, info: AudioInfo) -> ET.Element:
    """Return a sound at the speed of a clip, as two points of a straight line."""
    warps = ET.Element("Warps", timeUnit="seconds", contentTimeUnit="seconds")
    warps.append(sound)
    ET.SubElement(warps, "Warp", time="0", contentTime="0")
    length = info.duration_s or clip.offset_s + clip.length_s * clip.speed
    ET.SubElement(warps, "Warp", time=_number(length / clip.speed), contentTime=_number(length))
    return warps


def _gains(points: list[tuple[float, float]]) -> ET.Element:
    """Return a gain curve, in the time of the clip's content."""
    curve = ET.Element("Points", unit="linear")
    ET.SubElement(curve, "Target", expression="gain")
    for time, gain in points:
        values = {"time": _number(time), "value": _number(gain), "interpolation": "linear"}
        ET.SubElement(curve, "RealPoint", values)
    return curve


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")

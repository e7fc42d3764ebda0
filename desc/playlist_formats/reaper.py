"""A Reaper project: a track per layer, an item per unit, with fades and source offsets."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from desc.audio import probe
from desc.concatenation.beats import tempo_of
from desc.concatenation.joins import Fade
from desc.files import replacing, write_text
from desc.playlist_formats.arrangement import Arrangement, Clip, one_line
from desc.playlist_formats.media import collected_names, relative_path

logger = logging.getLogger(__name__)

LINEAR, EQUAL_POWER = 0, 1
"""Numbers of Reaper's fade shapes."""
SOURCE_TYPES = {"FFMPEG": "VIDEO", "FLAC": "FLAC", "MP3": "MP3", "OPUS": "OPUS", "VORBIS": "VORBIS"}
"""Reaper's decoders by libsndfile's names of container and sample format; all others are WAVE."""
FIRST_CHANNEL = 3
"""Channel mode of an item that plays the first channel alone; the next ones follow."""
SWAPPED = 1


def write(arrangement: Arrangement, path: Path) -> int:
    """Write an .rpp project in which every unit lies where rendering plays it.

    An item spans its unit and the halves of the fades beyond it. A fade is equal-power or linear,
    whichever is nearer to the one adapted to the two sounds; with `fades="curves"` it is a volume
    envelope of the take, equal to that of rendering. A gain curve is such an envelope, too.
    Alternatives are further takes. Collected files lie in a folder beside the project, named after
    it.
    """
    names = _media(arrangement, path)
    rate = arrangement.playlist.sample_rate
    lines = ['<REAPER_PROJECT 0.1 "6.0" 0', "  AUTOXFADE 0", f"  SAMPLERATE {rate} 0 0"]
    if arrangement.beats_s:
        lines.append(f"  TEMPO {tempo_of(arrangement.beats_s, 120):.6f} 4 4")
    for number, beat in enumerate(arrangement.beats_s, 1):
        lines.append(f"  MARKER {number} {beat:.6f} {_quoted(f'beat {number}')} 0")
    lines.append(f"  MASTER_VOLUME {arrangement.gain:.9f} 0 -1 -1 1")
    for number in arrangement.layers:
        lines += ["  <TRACK", f"    NAME {_quoted(f'layer {number}')}"]
        for clip in arrangement.clips(number):
            lines += _item(clip, arrangement, names)
        lines.append("  >")
    lines.append(">")
    strange = [e for e in arrangement.playlist.events if _channel_mode(e.channels) is None]
    if strange:
        logger.warning(
            "%d units play all channels: Reaper items do not support their selection",
            len(strange),
        )
    write_text(path, "\n".join(lines) + "\n")
    return len(arrangement.spans)


def _media(arrangement: Arrangement, path: Path) -> dict[str, str]:
    """Return each file's path as the project names it; copy the files that are collected."""
    if arrangement.settings.media == "reference":
        return {name: relative_path(name, path.parent) for name in arrangement.files()}
    folder = f"{path.stem} media"
    names = {k: f"{folder}/{name}" for k, name in collected_names(arrangement).items()}
    for source, name in names.items():
        with replacing(path.parent / name) as temporary:
            shutil.copyfile(source, temporary)
    return names


def _item(clip: Clip, arrangement: Arrangement, names: Mapping[str, str]) -> list[str]:
    curves = arrangement.settings.fades == "curves"
    fade_in, fade_out = (0.0, 0.0) if curves else (clip.fade_in_s, clip.fade_out_s)
    lines = [
        "    <ITEM",
        f"      POSITION {clip.position_s:.9f}",
        f"      LENGTH {clip.length_s:.9f}",
        "      LOOP 0",
        f"      FADEIN {_shape(clip.span.fade_in)} {fade_in:.9f} 0 1 0 0 0",
        f"      FADEOUT {_shape(clip.span.fade_out)} {fade_out:.9f} 0 1 0 0 0",
        f"      VOLPAN {1 if curves else clip.gain:.9f} 0 1 -1",
        *_take(clip, clip.position_s, arrangement, names),
    ]
    for other in arrangement.other_clips(clip):
        lines += ["      TAKE", *_take(other, clip.position_s, arrangement, names)]
    return [*lines, "    >"]


def _take(
    clip: Clip, begin_s: float, arrangement: Arrangement, names: Mapping[str, str]
) -> list[str]:
    """Return a take of an item that begins at `begin_s`; its file may begin later."""
    event, path = clip.event, arrangement.path(clip.event)
    late = clip.position_s - begin_s
    curves = arrangement.settings.fades == "curves"
    return [
        f"      NAME {_quoted(arrangement.label(event))}",
        f"      SOFFS {clip.offset_s - late * clip.speed:.9f}",
        f"      PLAYRATE {clip.speed:.9f} 0 0 -1 0 0.0025",
        f"      CHANMODE {_channel_mode(event.channels) or 0}",
        f"      <SOURCE {_source_type(path)}",
        f"        FILE {_quoted(names[path])}",
        "      >",
        *(_envelope(clip, late, fades=curves) if curves or event.gain_curve else ()),
    ]


def _envelope(clip: Clip, late: float, *, fades: bool) -> list[str]:
    """Return the volume envelope of a take; its times run at the take's speed.

    Without the fades it is without the gain of the unit, which is that of the item.
    """
    item = 1.0 if fades else clip.gain
    points = [(clip.speed * (time + late), gain / item) for time, gain in clip.curve(fades=fades)]
    lines = [f"        PT {time:.9f} {gain:.9f} {LINEAR}" for time, gain in points]
    return ["      <VOLENV", "        ACT 1 -1", *lines, "      >"]


@lru_cache(maxsize=1024)
def _source_type(path: str) -> str:
    """Return the decoder of a file, by its content: Reaper does not look for itself."""
    info = probe(path)
    return SOURCE_TYPES.get(info.format) or SOURCE_TYPES.get(info.subtype, "WAVE")


def _shape(fade: Fade) -> int:
    return LINEAR if fade.law == "linear" or fade.correlation > 0.5 else EQUAL_POWER


def _channel_mode(channels: tuple[int, ...] | None) -> int | None:
    """Return Reaper's channel mode, or None where there is none."""
    if channels is None or channels == (0, 1):
        return 0
    if channels == (1, 0):
        return SWAPPED
    return FIRST_CHANNEL + channels[0] if len(channels) == 1 else None


def _quoted(text: str) -> str:
    """Return a text in whichever quotes it does not hold; backquotes become plain ones."""
    text = one_line(text)
    for quote in ('"', "'"):
        if quote not in text:
            return quote + text + quote
    return "`" + text.replace("`", "'") + "`"

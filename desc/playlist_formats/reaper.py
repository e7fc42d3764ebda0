"""A Reaper project: a track per layer, an item per unit, with fades and source offsets."""

from __future__ import annotations

import logging
from functools import lru_cache

from desc.audio import probe
from desc.concatenation.joins import Fade, Span
from desc.playlist_formats.arrangement import Arrangement, one_line

logger = logging.getLogger(__name__)

LINEAR, EQUAL_POWER = 0, 1
"""Numbers of Reaper's fade shapes."""
SOURCE_TYPES = {"FFMPEG": "VIDEO", "FLAC": "FLAC", "MP3": "MP3", "OPUS": "OPUS", "VORBIS": "VORBIS"}
"""Reaper's decoders by libsndfile's names of container and sample format; all others are WAVE."""
FIRST_CHANNEL = 3
"""Channel mode of an item that plays the first channel alone; the next ones follow."""
SWAPPED = 1


def project(arrangement: Arrangement) -> bytes:
    """Return an .rpp project in which every unit lies where rendering plays it.

    An item spans its unit and the halves of the fades beyond it. A fade is equal-power or linear,
    whichever is nearer to the one adapted to the two sounds. Samples before the beginning of a file
    are left out.
    """
    rate = arrangement.playlist.sample_rate
    lines = ['<REAPER_PROJECT 0.1 "6.0" 0', "  AUTOXFADE 0", f"  SAMPLERATE {rate} 0 0"]
    lines.append(f"  MASTER_VOLUME {arrangement.gain:.9f} 0 -1 -1 1")
    for layer in arrangement.playlist.layers():
        number = layer[0][1].layer
        lines += ["  <TRACK", f"    NAME {_quoted(f'layer {number}')}"]
        for span in arrangement.spans:
            if span.event.layer == number:
                lines += _item(span, arrangement)
        lines.append("  >")
    lines.append(">")
    strange = [e for e in arrangement.playlist.events if _channel_mode(e.channels) is None]
    if strange:
        logger.warning(
            "%d units play all channels: Reaper items do not support their selection",
            len(strange),
        )
    return ("\n".join(lines) + "\n").encode()


def _item(span: Span, arrangement: Arrangement) -> list[str]:
    event, seconds = span.event, arrangement.seconds
    ratio = 2 ** (event.transpose_semitones / 12)
    centre = event.start_sample + event.n_samples / 2 + ratio * span.shift
    offset = centre - ratio * (event.onset_sample + event.n_samples / 2 - span.first)
    before = max(-offset / ratio, -span.first, 0)  # before the file or the project begins
    position, length = span.first + before, span.stop - span.first - before
    fade_in = max(span.fade_in.n_samples - before, 0)
    path = arrangement.path(event)
    return [
        "    <ITEM",
        f"      POSITION {seconds(position):.9f}",
        f"      LENGTH {seconds(max(length, 1)):.9f}",
        "      LOOP 0",
        f"      FADEIN {_shape(span.fade_in)} {seconds(fade_in):.9f} 0 1 0 0 0",
        f"      FADEOUT {_shape(span.fade_out)} {seconds(span.fade_out.n_samples):.9f} 0 1 0 0 0",
        f"      NAME {_quoted(arrangement.label(event))}",
        f"      VOLPAN {10 ** (event.gain_db / 20):.9f} 0 1 -1",
        f"      SOFFS {seconds(offset + before * ratio):.9f}",
        f"      PLAYRATE {ratio:.9f} 0 0 -1 0 0.0025",
        f"      CHANMODE {_channel_mode(event.channels) or 0}",
        f"      <SOURCE {_source_type(path)}",
        f"        FILE {_quoted(path)}",
        "      >",
        "    >",
    ]


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

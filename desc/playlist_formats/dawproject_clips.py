"""The audio clips of a DAWproject's arrangement, nested timelines resolved."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree import ElementTree as ET

import numpy as np

from desc.errors import ConfigurationError

TEMPO = 120.0
"""Beats per minute of a project without a tempo."""
STEADY = 1e-3
"""Largest change of speed inside a clip, relative."""
NEAR_S = 1e-6
FACTORS = {"linear": 1.0, "percent": 0.01}
"""Units of a gain as factors."""
Curve = tuple[tuple[float, float], ...]
"""Points of a gain: time and factor."""


@dataclass(frozen=True)
class AudioClip:
    """A clip of a sound file. Times are in seconds.

    Attributes
    ----------
    name : str
        Its name, or that of its file.
    track : str
        Key of its track.
    start_s, end_s : float
        Extent in the project.
    file_start_s : float
        Where the file is at `start_s`.
    speed : float
        Seconds of the file in a second.
    is_stretched : bool
        Whether the program keeps the pitch at this speed.
    fade_in_s, fade_out_s : float
        Lengths of its fades.
    gain : float
        Factor.
    gain_curve : tuple of (float, float)
        Times in the project, and further factors, linear from one to the next.
    path : str
        The file, as the project names it.
    is_external : bool
        Whether the file lies outside the ZIP.
    sample_rate : int
        Of the file.
    """

    name: str
    track: str
    start_s: float
    end_s: float
    file_start_s: float
    speed: float
    is_stretched: bool
    fade_in_s: float
    fade_out_s: float
    gain: float
    gain_curve: Curve
    path: str
    is_external: bool
    sample_rate: int


@dataclass(frozen=True)
class _Place:
    """Position of a nested timeline in the project.

    Attributes
    ----------
    origin_s : float
        Time of the project at which the timeline's own begins.
    start_s, end_s : float
        What is heard of it, in the time of the project.
    unit : str
        Unit of its times, `beats` or `seconds`.
    track, name : str
        Its track, and the clip around it.
    fade_in_s, fade_out_s, gain : float
        Of the clips around it.
    gain_curve : tuple of (float, float)
        As in `AudioClip`.
    """

    origin_s: float = 0.0
    start_s: float = 0.0
    end_s: float = math.inf
    unit: str = "beats"
    track: str = ""
    name: str = ""
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    gain: float = 1.0
    gain_curve: Curve = ()


class ClipReader:
    """Reads the audio clips of a project with a constant tempo.

    Attributes
    ----------
    tempo : float
        Beats per minute.
    ignored : dict of str to int
        Kinds of timelines that hold no audio, with their number.
    """

    def __init__(self, tempo: float) -> None:
        self.tempo = tempo
        self.ignored: dict[str, int] = {}

    def clips(self, timeline: ET.Element) -> Iterator[AudioClip]:
        """Yield the audio clips of an arrangement's lanes.

        Raises
        ------
        ConfigurationError
            If a clip loops, changes its speed, or lacks a number; the message names it.
        """
        yield from self._timeline(timeline, _Place())

    def _timeline(self, element: ET.Element, place: _Place) -> Iterator[AudioClip]:
        place = replace(
            place,
            unit=element.get("timeUnit", place.unit),
            track=element.get("track", place.track),
        )
        if element.tag == "Lanes":
            place = self._with_curves(element, place)
            for child in element:
                yield from self._timeline(child, place)
        elif element.tag == "Clips":
            for clip in element:
                if clip.get("enable", "true") == "true":
                    yield from self._clip(clip, place)
        elif element.tag == "Warps":
            yield self._warped(element, place)
        elif element.tag == "Audio":
            yield _sound(element, place, place.origin_s, 1.0)
        elif element.tag != "Points":
            self.ignored[element.tag] = self.ignored.get(element.tag, 0) + 1

    def _clip(self, clip: ET.Element, place: _Place) -> Iterator[AudioClip]:
        """Yield the audio of a clip: its content from `playStart` on."""
        content_unit = clip.get("contentTimeUnit", place.unit)
        fade_unit = clip.get("fadeTimeUnit", place.unit)
        name = clip.get("name") or place.name
        time = place.origin_s + self._time(clip, "time", place.unit, name)
        play_start = self._time(clip, "playStart", content_unit, name, 0.0)
        play_stop = self._time(clip, "playStop", content_unit, name, math.inf)
        length = self._time(clip, "duration", place.unit, name, play_stop - play_start)
        loop_end = self._time(clip, "loopEnd", content_unit, name, math.inf)
        if play_start + length > loop_end + NEAR_S:
            raise ConfigurationError(f"the clip {name!r} loops; unroll it (bounce or consolidate)")
        fade_in = self._time(clip, "fadeInTime", fade_unit, name, 0.0)
        early = max(-fade_in, 0.0)  # a crossfade begins before the clip
        inner = replace(
            place,
            origin_s=time - play_start,
            start_s=max(place.start_s, time - early),
            end_s=min(place.end_s, time + length),
            unit=content_unit,
            name=name,
            fade_in_s=abs(fade_in) or place.fade_in_s,
            fade_out_s=self._time(clip, "fadeOutTime", fade_unit, name, 0.0) or place.fade_out_s,
        )
        if inner.start_s < inner.end_s:
            for content in clip:
                yield from self._timeline(content, inner)

    def _time(
        self, element: ET.Element, key: str, unit: str, name: str, otherwise: float | None = None
    ) -> float:
        """Return a time in seconds."""
        text = element.get(key)
        if text is None and otherwise is not None:
            return otherwise
        value = finite(text, f"the clip {name!r}: {key}")
        return value * 60 / self.tempo if unit == "beats" else value

    def _with_curves(self, lanes: ET.Element, place: _Place) -> _Place:
        """Return a place with the gains and gain curves that lie beside its audio."""
        for curve in lanes.findall("Points"):
            target = curve.find("Target")
            if target is None or target.get("expression") != "gain":
                continue
            points = self._points(curve, place)
            highest = max((gain for _, gain in points), default=1.0)
            place = replace(place, gain=place.gain * highest)
            if any(gain != highest for _, gain in points):
                found = tuple((time, gain / highest) for time, gain in points)
                place = replace(place, gain_curve=_product(place.gain_curve, found))
        return place

    def _points(self, curve: ET.Element, place: _Place) -> list[tuple[float, float]]:
        """Return the points of a gain curve; a step is two at the same time."""
        unit, what = curve.get("unit", "linear"), f"the clip {place.name!r}: gain"
        read = [
            (
                place.origin_s + self._time(point, "time", place.unit, place.name),
                factor(point.get("value"), unit, what),
                point.get("interpolation") == "hold",
            )
            for point in curve.findall("RealPoint")
        ]
        read.sort(key=lambda point: point[0])
        points: list[tuple[float, float]] = []
        held = None
        for time, gain, holds in read:
            points += [(time, held)] if held is not None else []
            points.append((time, gain))
            held = gain if holds else None
        return points

    def _warped(self, warps: ET.Element, place: _Place) -> AudioClip:
        """Return the audio of two or more points of a straight line."""
        audio = warps.find("Audio")
        if audio is None:
            raise ConfigurationError(f"the clip {place.name!r} warps something that is no audio")
        unit = warps.get("contentTimeUnit", "seconds")
        points = [
            (self._time(p, "time", place.unit, place.name), self._time(p, "contentTime", unit, ""))
            for p in warps.findall("Warp")
        ]
        if len(points) < 2 or points[-1][0] <= points[0][0]:
            raise ConfigurationError(f"the clip {place.name!r} needs two warp points in order")
        (first, begin), (last, end) = points[0], points[-1]
        speed = (end - begin) / (last - first)
        off = max(abs(begin + speed * (time - first) - inside) for time, inside in points)
        if speed <= 0 or off > STEADY * (end - begin):
            raise ConfigurationError(
                f"the clip {place.name!r} changes its speed inside; bounce it in its program"
            )
        return _sound(audio, place, place.origin_s + first - begin / speed, speed)


def _product(one: Curve, other: Curve) -> Curve:
    """Return the product of two gain curves, at the points of both."""
    if not one:
        return other
    times = sorted({time for time, _ in (*one, *other)})
    gains = np.interp(times, *np.array(one).T) * np.interp(times, *np.array(other).T)
    return tuple(zip(times, gains.tolist(), strict=True))


def finite(text: str | None, what: str) -> float:
    """Return the number of a text; the error names what it is."""
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigurationError(f"{what}={text!r} must be a number")
    return value


def factor(text: str | None, unit: str, what: str) -> float:
    """Return a gain as a factor, from one in `linear` units, in `percent` or in `decibel`."""
    if unit == "decibel":
        return 0.0 if text == "-inf" else float(10 ** (min(finite(text, what), 200) / 20))
    if unit not in FACTORS:
        raise ConfigurationError(
            f"{what}: unit={unit!r} must be one of {', '.join((*FACTORS, 'decibel'))}"
        )
    return max(FACTORS[unit] * finite(text, what), 0.0)


def _sound(audio: ET.Element, place: _Place, origin_s: float, speed: float) -> AudioClip:
    """Return the clip of an audio element whose file begins at `origin_s` in the project."""
    file = audio.find("File")
    path = "" if file is None else file.get("path", "")
    if file is None or not path:
        raise ConfigurationError(f"the clip {place.name!r} names no file")
    speed = 1.0 if abs(speed - 1) < NEAR_S else speed
    end_s = place.end_s
    if math.isinf(end_s):  # the clip gives no length: to the end of the file
        length = finite(audio.get("duration"), f"the clip {place.name!r}: duration")
        end_s = origin_s + length / speed
    return AudioClip(
        place.name or path,
        place.track,
        place.start_s,
        end_s,
        (place.start_s - origin_s) * speed,
        speed,
        speed != 1 and audio.get("algorithm") not in {"repitch", "resample"},
        place.fade_in_s,
        place.fade_out_s,
        place.gain,
        place.gain_curve,
        path,
        file.get("external", "false") == "true",
        int(audio.get("sampleRate", "0")) if audio.get("sampleRate", "0").isdigit() else 0,
    )

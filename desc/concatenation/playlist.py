"""`Playlist` and its `PlaylistEvent`s: which piece of which file plays when. Editable JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from desc.configuration import (
    RenderConfig,
    as_tuples,
    check,
    check_integer,
    check_number,
    to_dict,
)
from desc.dataframes import dataframe
from desc.errors import ConfigurationError
from desc.files import read_json, write_text

if TYPE_CHECKING:
    import pandas as pd

CORPUS, RECORDING = "corpus", "recording"
MAX_FADE_MS = 10000.0
LEAST_GAIN_DB, MOST_GAIN_DB = -200.0, 60.0
LARGEST = 1 << 48
"""Largest number of a sample, 200 years at 44.1 kHz."""


@dataclass(frozen=True)
class PlaylistEvent:
    """One piece of a file, played once.

    Attributes
    ----------
    source : str
        Path of the file relative to its root, with forward slashes.
    start_sample : int
        First sample played; samples outside the file are zeros.
    n_samples : int
        Length in the result. n_samples·2^(transpose_semitones/12) samples of the file are read,
        about the same centre.
    onset_sample : int
        Its start in the result.
    digest : str
        Digest of the file's content; empty: any content.
    fade_in_ms, fade_out_ms : float
        Length of the fades. Between adjacent events the fade is centred on their boundary, and at
        most as long as the shorter one; at a free end it lies inside the event. Events that
        continue each other in their file have none.
    gain_db : float
        Gain in dB.
    gain_curve : tuple of (int, float)
        Changes of the gain within the event: points of a sample, counted from the onset, and dB on
        top of `gain_db`. The factor changes linearly from point to point, and is held before the
        first and after the last. Empty: none.
    transpose_semitones : float
        Change of pitch by playback speed, −72 to 72.
    layer : int
        Events of a layer do not overlap; layers are added.
    channels : tuple of int or None
        Channels of the file to use, counted from 0; None: all.
    root : str
        The key, in the playlist's `roots`, of the folder that `source` is relative to.
    """

    source: str
    start_sample: int
    n_samples: int
    onset_sample: int
    digest: str = ""
    fade_in_ms: float = 0.0
    fade_out_ms: float = 0.0
    gain_db: float = 0.0
    gain_curve: tuple[tuple[int, float], ...] = ()
    transpose_semitones: float = 0.0
    layer: int = 0
    channels: tuple[int, ...] | None = None
    root: str = CORPUS

    def __post_init__(self) -> None:
        for name in ("source", "root"):
            value = getattr(self, name)
            check(isinstance(value, str) and value != "", name, value, "be a text, not empty")
        check(isinstance(self.digest, str), "digest", self.digest, "be a text")
        check_integer("start_sample", self.start_sample, -LARGEST, LARGEST)
        check_integer("n_samples", self.n_samples, 1, LARGEST)
        for name in ("onset_sample", "layer"):
            check_integer(name, getattr(self, name), 0, LARGEST)
        for name in ("fade_in_ms", "fade_out_ms"):
            check_number(name, getattr(self, name), 0.0, MAX_FADE_MS)
        check_number("gain_db", self.gain_db, LEAST_GAIN_DB, MOST_GAIN_DB)
        self._check_curve()
        check_number("transpose_semitones", self.transpose_semitones, -72.0, 72.0)
        if self.channels is not None:
            numbers = isinstance(self.channels, tuple) and len(self.channels) > 0
            check(numbers, "channels", self.channels, "be null or a list of channel numbers")
            for channel in self.channels:
                check_integer("channels", channel, 0)

    def _check_curve(self) -> None:
        rule = "be a list of pairs, sample and dB, in order of the samples"
        check(isinstance(self.gain_curve, tuple), "gain_curve", self.gain_curve, rule)
        last = -LARGEST - 1
        for pair in self.gain_curve:
            check(isinstance(pair, tuple) and len(pair) == 2, "gain_curve", pair, rule)
            sample, gain_db = pair
            check_integer("gain_curve", sample, -LARGEST, LARGEST)
            check_number("gain_curve", gain_db, LEAST_GAIN_DB, MOST_GAIN_DB)
            check(last < sample, "gain_curve", pair, rule)
            last = sample

    def gains(self, samples: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the factors of `gain_db` and `gain_curve` (n,) at samples (n,) from the onset on.

        Fades are not included.
        """
        gain = 10 ** (self.gain_db / 20)
        if not self.gain_curve:
            return np.full(len(samples), gain)
        places, curve_db = np.array(self.gain_curve).T
        return gain * np.interp(samples, places, 10 ** (curve_db / 20))

    @property
    def end_sample(self) -> int:
        """First sample of the result after the event."""
        return self.onset_sample + self.n_samples

    def continues(self, other: PlaylistEvent) -> bool:
        """Whether the event continues another one in the same file."""
        if self.digest and other.digest:
            same_file = self.digest == other.digest
        else:
            same_file = (self.root, self.source) == (other.root, other.source)
        return (
            same_file
            and self.start_sample == other.start_sample + other.n_samples
            and self.transpose_semitones == other.transpose_semitones == 0
            and self.channels == other.channels
        )

    def retimed(self, onset_sample: int, end_sample: int, moved: int = 0) -> PlaylistEvent:
        """Return the event with another extent in the result.

        Its content lies `moved` samples later in the result than before; where an end moved by
        another number, more or less of the file is played. The gain curve moves with the content.
        """
        n_samples = end_sample - onset_sample
        ratio = 2 ** (self.transpose_semitones / 12)
        # The file is read about the same centre, which trimming moves.
        later = (onset_sample + end_sample - self.onset_sample - self.end_sample) / 2 - moved
        centre = self.start_sample + self.n_samples / 2 + ratio * later
        shift = self.onset_sample + moved - onset_sample
        return replace(
            self,
            start_sample=round(centre - n_samples / 2),
            n_samples=n_samples,
            onset_sample=onset_sample,
            gain_curve=tuple((sample + shift, gain_db) for sample, gain_db in self.gain_curve),
        )


EVENT_KEYS = tuple(field.name for field in fields(PlaylistEvent))
FORMAT, VERSION = "desc playlist", 1


@dataclass(frozen=True)
class Playlist:
    """Events that play pieces of files, in any order.

    Attributes
    ----------
    events : tuple of PlaylistEvent
        At least one.
    sample_rate : int
        Rate of all sample numbers in Hz, whatever the rates of the files.
    roots : mapping of str to str
        Folders of the sources: `corpus`, and `recording` if the end of a recording precedes its
        continuation.
    """

    events: tuple[PlaylistEvent, ...]
    sample_rate: int
    roots: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_integer("sample_rate", self.sample_rate, 1000, 1_000_000)
        check(len(self.events) > 0, "events", [], "contain at least one event")
        for layer in self.layers():
            for (_, before), (index, event) in pairwise(layer):
                _check_event(
                    index,
                    event.onset_sample >= before.end_sample,
                    f"onset_sample={event.onset_sample} must be at least {before.end_sample}, the "
                    f"end of the event before it; events of a layer (here {event.layer}) do not "
                    "overlap",
                )

    def __repr__(self) -> str:
        seconds = self.n_samples / self.sample_rate
        return (
            f"Playlist({len(self.events)} events of {len({e.source for e in self.events})} files, "
            f"{seconds:.2f} s at {self.sample_rate} Hz)"
        )

    def to_dataframe(self) -> pd.DataFrame:
        """Return the events as a pandas DataFrame, a row per event.

        Raises
        ------
        DescError
            If pandas is not installed.
        """
        return dataframe([asdict(event) for event in self.events])

    @property
    def n_samples(self) -> int:
        """Length of the result at `sample_rate`."""
        return max(event.end_sample for event in self.events)

    def layers(self) -> list[list[tuple[int, PlaylistEvent]]]:
        """Return the events of each layer with their index, ordered by onset."""
        layers: dict[int, list[tuple[int, PlaylistEvent]]] = {}
        for index, event in enumerate(self.events):
            layers.setdefault(event.layer, []).append((index, event))
        return [
            sorted(layers[key], key=lambda item: item[1].onset_sample) for key in sorted(layers)
        ]

    def with_crossfade(self, crossfade_ms: float) -> Playlist:
        """Return the playlist with this crossfade between adjacent events, no fades elsewhere."""
        events = [replace(event, fade_in_ms=0.0, fade_out_ms=0.0) for event in self.events]
        for layer in self.layers():
            for (left, before), (right, event) in pairwise(layer):
                if before.end_sample == event.onset_sample:
                    events[left] = replace(events[left], fade_out_ms=crossfade_ms)
                    events[right] = replace(events[right], fade_in_ms=crossfade_ms)
        return replace(self, events=tuple(events))

    def resolved_roots(
        self, source_root: str | Path | None, recording_root: str | Path | None
    ) -> dict[str, str | Path]:
        """Return the folders of the sources; given ones replace the playlist's own."""
        given = {CORPUS: source_root, RECORDING: recording_root}
        return {**self.roots, **{key: path for key, path in given.items() if path is not None}}

    def after_recording(
        self,
        source: str,
        digest: str,
        root: str | Path,
        *,
        context_end_frame: int,
        hop_length: int,
        rendering: RenderConfig,
    ) -> Playlist:
        """Return the playlist after the end of a recording.

        The recording is cut at (t + 1)·hop − hop/2, the start of the first predicted frame, and
        joined with the ordinary crossfade.

        Parameters
        ----------
        source, digest : str
            The recording: its path relative to `root`, and its digest.
        root : path
            Folder of the recording.
        context_end_frame : int
            t, the last frame of the context.
        hop_length : int
            Samples between two frames.
        rendering : RenderConfig
            `with_recording_s` is the length wanted (shorter if the recording is; 0: the playlist is
            returned unchanged), `crossfade_ms` the length of the crossfade.
        """
        cut = (context_end_frame + 1) * hop_length - hop_length // 2
        n_samples = min(round(rendering.with_recording_s * self.sample_rate), cut)
        if n_samples <= 0:
            return self
        fade = rendering.crossfade_ms
        first = PlaylistEvent(
            source, cut - n_samples, n_samples, 0, digest, fade_out_ms=fade, root=RECORDING
        )
        later = tuple(
            replace(
                event,
                onset_sample=event.onset_sample + n_samples,
                fade_in_ms=fade if event.onset_sample == 0 else event.fade_in_ms,
            )
            for event in self.events
        )
        roots = {**self.roots, RECORDING: Path(os.path.abspath(root)).as_posix()}
        return replace(self, events=(first, *later), roots=roots)

    def to_dict(self) -> dict[str, Any]:
        """Return the playlist as plain JSON values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "sample_rate": self.sample_rate,
            "roots": dict(self.roots),
            "events": [to_dict(event) for event in self.events],
        }

    @classmethod
    def from_dict(cls, values: Any) -> Playlist:
        """Build a playlist from `to_dict`'s result, edited or not.

        An event without `onset_sample` follows the previous event of its layer. Every key except
        source, start_sample and n_samples may be left out.

        Raises
        ------
        ConfigurationError
            Naming the event (counted from 0), the key, its value and the rule.
        """
        check(isinstance(values, dict), "playlist", values, "be an object")
        known = ("format", "version", "sample_rate", "roots", "events")
        unknown = sorted(set(values) - set(known))
        if unknown:
            names = ", ".join(known)
            raise ConfigurationError(
                f"a playlist has no key {', '.join(unknown)}; its keys are {names}"
            )
        check(values.get("format") == FORMAT, "format", values.get("format"), f"be {FORMAT!r}")
        check(values.get("version") == VERSION, "version", values.get("version"), f"be {VERSION}")
        roots = values.get("roots", {})
        texts = isinstance(roots, dict) and all(isinstance(path, str) for path in roots.values())
        check(texts, "roots", roots, "be an object of folders")
        events = values.get("events")
        check(isinstance(events, list), "events", events, "be a list")
        ends: dict[Any, int] = {}
        read = tuple(_read_event(index, event, ends) for index, event in enumerate(events or ()))
        return cls(read, values.get("sample_rate"), roots)

    def save(self, path: str | Path) -> None:
        """Write the playlist as JSON, one event a line."""
        head = {key: value for key, value in self.to_dict().items() if key != "events"}
        lines = [f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in head.items()]
        events = [f"  {json.dumps(to_dict(event), ensure_ascii=False)}" for event in self.events]
        lines.append(' "events": [\n' + ",\n".join(events) + "\n ]")
        write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")

    @classmethod
    def load(cls, path: str | Path) -> Playlist:
        """Read what `save` wrote, edited or not.

        Raises
        ------
        ConfigurationError
            If the file cannot be read or breaks a rule; the message names file and place.
        """
        content = read_json(path, ConfigurationError)
        try:
            return cls.from_dict(content)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from error


def _read_event(index: int, values: Any, ends: dict[Any, int]) -> PlaylistEvent:
    """Read one event; `ends` holds where the last event of each layer ends."""
    _check_event(index, isinstance(values, dict), f"{values!r} must be an object")
    for name in ("source", "start_sample", "n_samples"):
        _check_event(index, name in values, f"{name} is missing")
    layer = values.get("layer", 0)
    if values.get("onset_sample") is None:
        hashable = isinstance(layer, int)  # anything else is refused below, by name
        values = {**values, "onset_sample": ends.get(layer, 0) if hashable else 0}
    unknown, known = sorted(values.keys() - EVENT_KEYS), ", ".join(EVENT_KEYS)
    message = f"an event has no setting {', '.join(unknown)}; it has {known}"
    _check_event(index, not unknown, message)
    arguments: dict[str, Any] = {key: as_tuples(value) for key, value in values.items()}
    try:
        event = PlaylistEvent(**arguments)
    except ConfigurationError as error:
        raise ConfigurationError(f"event {index + 1}: {error}") from error
    ends[event.layer] = event.end_sample
    return event


def _check_event(index: int, condition: bool, message: str) -> None:
    if not condition:
        raise ConfigurationError(f"event {index + 1}: {message}")

"""Alternatives of units: other places of the corpus near to what was predicted there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from desc.concatenation import Playlist, PlaylistEvent
from desc.concatenation.playlist import CORPUS, RECORDING
from desc.errors import ConfigurationError
from desc.files import read_json


@dataclass(frozen=True)
class Candidates:
    """The nearest rows of the corpus for each frame of a continuation, from `matches.json`.

    Attributes
    ----------
    sources : list of lists of str, (T, K)
        Files, the nearest row first.
    samples : list of lists of int, (T, K)
        Centres of the rows, in samples of the recordings.
    speeds : list of lists of float, (T, K)
        Speeds at which they are played.
    hop_length : int
        Samples between two frames.
    """

    sources: list[list[str]]
    samples: list[list[int]]
    speeds: list[list[float]]
    hop_length: int

    @classmethod
    def load(cls, path: str | Path) -> Candidates:
        """Read `matches.json`.

        Raises
        ------
        ConfigurationError
            If the file cannot be read, or lists one row per frame.
        """
        content: dict[str, Any] = read_json(path, ConfigurationError)
        try:
            found = content["_candidates"]
            samples = found["_sample"]
            speeds = found.get("_speed") or [[1.0] * len(frame) for frame in samples]
            return cls(found["_id"], samples, speeds, content["_meta"]["hop_length"])
        except (KeyError, TypeError, AttributeError):
            raise ConfigurationError(
                f"{path}: lists one row per frame and no alternatives; predict with --neighbours 8"
            ) from None

    def alternatives(self, playlist: Playlist, index: int, n: int) -> list[PlaylistEvent]:
        """Return up to `n` other events in place of one of the first layer, the nearest first.

        They play what is near to the prediction in the middle of the event, then what is near to
        it in the frames before and after, with the event's length, gain and fades, without its gain
        curve. Places that overlap by half count as one.

        Parameters
        ----------
        playlist : Playlist
            The continuation, edited or not, with or without the recording's end before it.
        index : int
            Of the event.
        n : int
            Number of alternatives.
        """
        event = playlist.events[index]
        if event.layer or event.root == RECORDING:
            return []
        digests = {e.source: e.digest for e in playlist.events if e.root == CORPUS}
        found = [event]
        for source, start, semitones in self._places(playlist, event):
            other = replace(
                event,
                source=source,
                start_sample=start,
                transpose_semitones=semitones,
                digest=digests.get(source, ""),
                channels=None,
                gain_curve=(),
            )
            if not any(self._is_near(other, known) for known in found):
                found.append(other)
            if len(found) > n:
                break
        return found[1:]

    def _places(self, playlist: Playlist, event: PlaylistEvent) -> Iterator[tuple[str, int, float]]:
        """Yield source, start and transposition of an event's candidates, the middle first."""
        lead = sum(e.n_samples for e in playlist.events if e.root == RECORDING)
        hop, onset = self.hop_length, event.onset_sample - lead
        centre = onset + event.n_samples / 2
        first, last = math.ceil(onset / hop - 0.5), math.ceil((onset + event.n_samples) / hop - 0.5)
        frames = {math.floor(centre / hop), *range(first, last)}
        for frame in sorted(frames, key=lambda frame: abs(frame + 0.5 - centre / hop)):
            if not 0 <= frame < len(self.samples):
                continue
            # A frame's sound is the hop around its centre.
            late = (frame + 0.5) * hop - centre
            rows = zip(self.sources[frame], self.samples[frame], self.speeds[frame], strict=True)
            for source, sample, speed in rows:
                start = round(sample - late * speed - event.n_samples / 2)
                yield source, start, 12 * math.log2(speed)

    def _is_near(self, one: PlaylistEvent, other: PlaylistEvent) -> bool:
        near = max(self.hop_length, one.n_samples / 2) * 2 ** (one.transpose_semitones / 12)
        return one.source == other.source and abs(one.start_sample - other.start_sample) <= near

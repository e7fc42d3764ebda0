"""`LiveRoom`: the page of a stream that plays: its units on the map, its levels, its settings."""

from __future__ import annotations

import cmath
import json
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from desc.concatenation.playlist import PlaylistEvent
from desc.configuration import LiveConfig, from_dict, to_dict
from desc.live import Stream, StreamEvent
from desc.live.engine import Figures
from desc.studio.atlas import Atlas
from desc.studio.controls import live_controls
from desc.studio.map_room import MAP_SCRIPTS, local_page, map_answer
from desc.studio.server import HTML, Answer, Request

EVENT_S = 0.05
"""Time between two events of the page."""
N_TRAIL = 24
"""Units begun last that are shown."""
LEVELS_DB = -120.0, 120.0
"""Range of the levels that are shown."""


class LiveRoom:
    """The page of a stream; use it in a `with` statement, while the stream plays.

    It shows the units that play and the last 24 on a map, levels, load, underruns and the pulse. It
    changes the settings, and shows how OSC and MIDI change them.

    Parameters
    ----------
    stream : Stream
        The stream.
    atlas : Atlas
        The map of its database.
    end : callable, optional
        Called once, when the page asks for the end; without it the page cannot.
    """

    def __init__(self, stream: Stream, atlas: Atlas, end: Callable[[], None] | None = None) -> None:
        self._stream, self._atlas, self._figures, self._end = stream, atlas, Figures(), end
        self._asked_to_end = threading.Lock()  # taken once
        self._files = {file.source: i for i, file in enumerate(atlas.database.files)}
        n_frames = np.array([file.n_frames for file in atlas.database.files])
        self._last_rows = np.cumsum(n_frames) - 1
        self._first_rows = self._last_rows - n_frames + 1
        # Never changed, only replaced: the stream's thread waits for no page.
        self._trail: tuple[PlaylistEvent, ...] = ()
        self._playing: dict[int, PlaylistEvent] = {}
        self._ended = threading.Event()
        data = atlas.about() | {"controls": live_controls(), "command": "desc live"}
        data["endless"] = end is None
        title = f"{atlas.database.root.name} – desc live"
        self.page = local_page("live", title=title, scripts=f"{MAP_SCRIPTS} inputs live", data=data)

    def __enter__(self) -> LiveRoom:
        self._stream.watchers.append(self._see)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.watchers.remove(self._see)
        self._ended.set()

    def show(self, figures: Figures) -> None:
        """Show load and levels from now on."""
        self._figures = figures

    def answer(self, request: Request) -> Answer | None:
        """Return the page or what it asks for, or change a setting.

        Raises
        ------
        DescError
            If the request is wrong; nothing changes then, and the page shows the message.
        """
        if request.method == "GET":
            if request.path == "":
                return Answer(self.page, HTML)
            if request.path == "events":
                return Answer(events=self._events())
            return map_answer(self._atlas, request)
        if request.path == "set":
            self._set(request.json())
        elif request.path == "jump":
            self._stream.jump()
        elif request.path == "end" and self._end is not None:
            if self._asked_to_end.acquire(blocking=False):
                self._end()
        else:
            return None
        return Answer.of({})

    def state(self) -> dict[str, Any]:
        """Return what the page shows now, as JSON values."""
        stream, figures, pulse = self._stream, self._figures, self._stream.pulse
        if not cmath.isfinite(pulse):
            pulse = 0j
        n_samples, playing = stream.n_samples, list(self._playing.values())
        played = [max(0, n_samples - event.onset_sample) for event in playing]
        points, trail = self._points(playing, played), self._trail
        return {
            "settings": to_dict(stream.settings),
            "playing": [
                {
                    "layer": event.layer,
                    "point": point,
                    "file": event.source,
                    "start_s": event.start_sample / stream.sample_rate,
                    "length_s": length / stream.sample_rate,
                    "gain_db": event.gain_db,
                }
                for event, point, length in zip(playing, points, played, strict=True)
            ],
            "trail": [
                [point, event.layer]
                for event, point in zip(trail, self._points(trail, [0] * len(trail)), strict=True)
            ],
            "pulse": abs(pulse),
            "phase": cmath.phase(pulse) / (2 * math.pi) % 1,
            "heard_db": float(np.clip(figures.heard_db, *LEVELS_DB)),
            "played_db": float(np.clip(figures.played_db, *LEVELS_DB)),
            "load": figures.load,
            "underruns": figures.underruns,
            "skipped_s": figures.skipped_s,
            "seconds": n_samples / stream.sample_rate,
        }

    def _see(self, one: StreamEvent) -> None:
        event, playing = one.event, self._playing
        if not one.is_over:
            self._playing = playing | {event.layer: event}
            if not one.is_joined:
                self._trail = (*self._trail[1 - N_TRAIL :], event)
        elif event.layer in playing and playing[event.layer].onset_sample == event.onset_sample:
            self._playing = {layer: own for layer, own in playing.items() if layer != event.layer}

    def _points(self, events: Sequence[PlaylistEvent], played: Sequence[int]) -> list[int]:
        """Return the point of the map nearest to each unit after so many samples.

        It is one of the unit's file, if the map has any.
        """
        if not events:
            return []
        hop = self._atlas.database.config.hop_length
        files = np.array([self._files[event.source] for event in events])
        starts = np.array([event.start_sample for event in events]) + np.array(played)
        rows = self._first_rows[files] + np.rint((starts + hop // 2) / hop).astype(np.int64)
        rows = np.clip(rows, self._first_rows[files], self._last_rows[files])
        shown, file_index = self._atlas.rows, self._atlas.database.file_index
        after = np.minimum(np.searchsorted(shown, rows), len(shown) - 1)
        before = np.maximum(after - 1, 0)
        # Points of a file have adjacent rows: if it has any, one of these two is its nearest.
        from_before, from_after = (
            np.abs(shown[points] - rows) + len(file_index) * (file_index[shown[points]] != files)
            for points in (before, after)
        )
        found: list[int] = np.where(from_before < from_after, before, after).tolist()
        return found

    def _set(self, values: dict[str, Any]) -> None:
        """Change settings; null is the default of a setting."""
        defaults = to_dict(LiveConfig())
        given = {k: defaults.get(k) if value is None else value for k, value in values.items()}
        config = from_dict(LiveConfig, given)
        self._stream.set(**{name: getattr(config, name) for name in given})

    def _events(self) -> Iterator[bytes]:
        """Yield the state as server-sent events, twenty times a second, until the end."""
        while not self._ended.wait(EVENT_S):
            yield f"data: {json.dumps(self.state(), allow_nan=False)}\n\n".encode()

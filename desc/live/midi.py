"""`MidiControl`: settings of a stream by MIDI, its units as notes, and the pulse of a clock."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from desc.configuration import MODES, STYLES
from desc.errors import ConfigurationError
from desc.live.events import StreamEvent
from desc.live.stream import Stream
from desc.playlist_formats.midi import FULL_VELOCITY, HIGHEST_NOTE, LOWEST_NOTE

logger = logging.getLogger(__name__)

CONTROLLERS: dict[int, tuple[str, Callable[[float], Any]]] = {
    1: ("temperature", lambda x: 2 * x),
    7: ("level_db", lambda x: -60 + 66 * x),
    16: ("continuity", lambda x: 10 * x),
    17: ("style", lambda x: tuple(STYLES)[min(2, int(3 * x))]),
    18: ("layers", lambda x: 1 + min(3, int(4 * x))),
}
"""Controllers: the setting of each, and its value for a position of 0 to 1."""
CLOCKS = 24
"""Clock messages in a beat."""
HEARD_CLOCKS = 48
"""Clock messages through whose times a line is laid: each time is that of a block."""
GAP_S = 1.0
"""Time without a clock message after which the tempo is measured anew."""


class MidiControl:
    """Takes MIDI messages, and plays a note for each unit; use it in a `with` statement.

    A note begins a new unit, a controller sets what `CONTROLLERS` says, a program change the mode
    (0 listen, 1 continue, 2 follow, 3 duet). Clock messages give the pulse, with a beat at `start`;
    `stop` ends it. Each unit is a note: the number tells the file, the channel the layer. What
    still sounds at the end is ended.

    Parameters
    ----------
    stream : Stream
        The stream.
    send : callable, optional
        Sends a mido message.
    """

    def __init__(self, stream: Stream, send: Callable[[Any], None] | None = None) -> None:
        self._stream, self._send = stream, send
        files = sorted({file.source for file in stream.database.files})
        n_notes = HIGHEST_NOTE - LOWEST_NOTE + 1
        self._notes = {source: LOWEST_NOTE + i % n_notes for i, source in enumerate(files)}
        self._clocks: deque[float] = deque(maxlen=HEARD_CLOCKS + 1)
        self._n_clocks = 0
        self._sounding: dict[int, int] = {}

    def __enter__(self) -> MidiControl:
        self._stream.watchers.append(self._tell)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.watchers.remove(self._tell)
        with suppress(Exception):  # of a port that is gone
            for channel, note in list(self._sounding.items()):
                self._note("note_off", note, channel, 0)

    def receive(self, message: Any, sample: float | None = None) -> None:
        """Take a mido message; others than those above have no effect.

        Parameters
        ----------
        message : mido.Message
        sample : float, optional
            Sample of the stream at which it came; by default now.
        """
        at = self._stream.n_samples if sample is None else sample
        if message.type == "note_on" and message.velocity:
            self._stream.jump()
        elif message.type == "control_change" and message.control in CONTROLLERS:
            name, value_of = CONTROLLERS[message.control]
            self._stream.set(**{name: value_of(message.value / 127)})
        elif message.type == "program_change" and message.program < len(MODES):
            self._stream.set(mode=MODES[message.program])
        elif message.type in ("start", "stop"):
            self._clocks.clear()
            self._n_clocks = 0
            self._stream.set_pulse(None)
        elif message.type == "clock":
            self._clock(at)

    def _clock(self, at: float) -> None:
        if self._clocks and at - self._clocks[-1] > GAP_S * self._stream.sample_rate:
            self._clocks.clear()
        self._clocks.append(at)
        since_beat = self._n_clocks % CLOCKS
        self._n_clocks += 1
        n = len(self._clocks)
        if n > CLOCKS // 2:
            period, first = np.polyfit(np.arange(n), self._clocks, 1)
            if period > 0:
                self._stream.set_pulse(CLOCKS * period, first + (n - 1 - since_beat) * period)

    def _tell(self, one: StreamEvent) -> None:
        if one.is_joined:
            return
        event = one.event
        velocity = min(127, max(1, round(FULL_VELOCITY * 10 ** (event.gain_db / 40))))
        kind = "note_off" if one.is_over else "note_on"
        note, channel = self._notes[event.source], event.layer % 16
        self._note(kind, note, channel, velocity)

    def _note(self, kind: str, note: int, channel: int, velocity: int) -> None:
        if self._send is None:
            return
        from mido import Message

        if kind == "note_on":
            self._sounding[channel] = note
        else:
            self._sounding.pop(channel, None)
        self._send(Message(kind, note=note, velocity=velocity, channel=channel))


def open_port(name: str, kind: str, receive: Callable[[Any], None] | None = None) -> Any:
    """Return a MIDI port by its name, or part of it; `close` ends it.

    Parameters
    ----------
    name : str
        The name; `virtual` makes a port that other programs can find.
    kind : str
        input or output.
    receive : callable, optional
        Called with each message of an input.

    Raises
    ------
    ConfigurationError
        If there is no such port, or no MIDI on this machine.
    """
    import mido

    try:
        opened: Callable[..., Any] = mido.open_input if kind == "input" else mido.open_output
        given: dict[str, Any] = {"callback": receive} if kind == "input" else {}
        if name == "virtual":
            return opened("desc", virtual=True, **given)
        names = mido.get_input_names() if kind == "input" else mido.get_output_names()
        found = [one for one in names if name in one]
        if not found:
            listed = ", ".join(names) or "none"
            raise ConfigurationError(
                f"midi {kind} {name!r} must be part of a port's name: {listed}"
            )
        return opened(found[0], **given)
    except (ImportError, OSError, RuntimeError, SystemError) as error:
        raise ConfigurationError(f"midi {kind} {name!r} cannot be opened: {error}") from error

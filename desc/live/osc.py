"""`OscControl`: settings of a stream by OSC, and its units as they are played."""

from __future__ import annotations

import logging
import math
import socket
import threading
import typing
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from desc.configuration import LiveConfig, check
from desc.errors import ConfigurationError
from desc.live.engine import Figures
from desc.live.events import StreamEvent
from desc.live.stream import Stream

if TYPE_CHECKING:
    from pythonosc.udp_client import SimpleUDPClient

logger = logging.getLogger(__name__)

PREFIX = "/desc/"
LARGEST_PACKET = 1 << 16
LONGEST_REASON = 200
"""Characters of a reason that is sent."""
HINTS = typing.get_type_hints(LiveConfig)


class OscControl:
    """Receives settings by UDP, and sends what is played; use it in a `with` statement.

    Each field of `LiveConfig` has an address, `/desc/<field> value`; without a value it gets its
    default. `/desc/jump` begins a new unit, `/desc/pulse bpm [phase]` gives the pulse (0: none;
    phase: beats since the last one), `/desc/ask` sends all settings. What is no packet, no address
    or no value is counted, said once and told to the receiver as `/desc/error`.

    Sent are `/desc/unit/begin` and `/desc/unit/end` (file, position s, length s, gain dB, layer,
    onset s), `/desc/figures` (load, level heard dB, level played dB, underruns), and, asked for,
    each setting.

    Parameters
    ----------
    stream : Stream
        The stream.
    port : int
        Port that is listened on; 0: any, see `port`.
    host : str
        Address that is listened on.
    send_to : tuple of str and int, optional
        Address and port that messages are sent to; None: none are.

    Attributes
    ----------
    port : int
        Port that is listened on.
    n_refused : int
        Packets and messages without effect.

    Raises
    ------
    ConfigurationError
        If an address cannot be listened on, or sent to.
    """

    def __init__(
        self,
        stream: Stream,
        port: int = 0,
        host: str = "127.0.0.1",
        send_to: tuple[str, int] | None = None,
    ) -> None:
        self._stream, self.n_refused = stream, 0
        self._client = None if send_to is None else _client(*send_to)
        self._cannot_send = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise ConfigurationError(
                f"osc_port={port} on {host} cannot be used: {error}; 0 takes any free port, -1 none"
            ) from error
        self.port = int(self._socket.getsockname()[1])
        self._socket.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="desc osc", daemon=True)

    def __enter__(self) -> OscControl:
        self._stream.watchers.append(self._tell)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()
        self._stream.watchers.remove(self._tell)

    def send(self, address: str, *values: Any) -> None:
        """Send a message; one that cannot be sent is left out."""
        if self._client is None:
            return
        try:
            self._client.send_message(PREFIX + address, list(values))
        except Exception as error:  # of the network, of a value that has no place in OSC
            if not self._cannot_send:
                logger.warning("OSC: %s%s cannot be sent: %s", PREFIX, address, error)
            self._cannot_send = True

    def send_figures(self, figures: Figures) -> None:
        """Send load, levels and underruns."""
        levels = max(figures.heard_db, -200.0), max(figures.played_db, -200.0)
        self.send("figures", figures.load, *levels, figures.underruns)

    def receive(self, packet: bytes) -> None:
        """Take a packet; whatever it holds, no error is raised."""
        from pythonosc.osc_packet import OscPacket

        try:
            messages = [timed.message for timed in OscPacket(packet).messages]
        except Exception as error:  # of a parser of bytes from anywhere
            self._refuse(f"a packet of {len(packet)} bytes is no OSC: {error}")
            return
        for message in messages:
            try:
                self._take(message.address, list(message.params))
            except Exception as error:  # of values from anywhere
                self._refuse(f"{message.address[:80]!r}: {error}")

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                packet = self._socket.recv(LARGEST_PACKET)
            except TimeoutError:
                continue
            except OSError as error:  # Windows: what was sent before met a closed port
                logger.debug("OSC: %s", error)
                continue
            self.receive(packet)

    def _take(self, address: str, values: list[Any]) -> None:
        check(address.startswith(PREFIX), "address", address[:80], f"begin with {PREFIX}")
        name = address.removeprefix(PREFIX)
        if name == "jump":
            self._stream.jump()
        elif name == "ask":
            for field in fields(LiveConfig):
                value = getattr(self._stream.settings, field.name)
                self.send(field.name, *(value if isinstance(value, tuple) else [value]))
        elif name == "pulse":
            check(1 <= len(values) <= 2, "pulse", values[:8], "be a tempo, or a tempo and a phase")
            self._set_pulse(*map(float, values))
        else:
            self._stream.set(**{name: setting_of(name, values)})

    def _set_pulse(self, tempo: float, phase: float = 0.0) -> None:
        if not tempo:
            self._stream.set_pulse(None)
            return
        check(20 <= tempo <= 400, "pulse", tempo, "be 0, or from 20 to 400 beats per minute")
        check(math.isfinite(phase), "pulse", phase, "have a finite phase")
        period = 60 / tempo * self._stream.sample_rate
        self._stream.set_pulse(period, self._stream.n_samples - phase % 1 * period)

    def _tell(self, one: StreamEvent) -> None:
        if one.is_joined:
            return
        event, rate = one.event, self._stream.sample_rate
        what = event.source, event.start_sample / rate, event.n_samples / rate
        more = event.gain_db, event.layer, event.onset_sample / rate
        self.send("unit/end" if one.is_over else "unit/begin", *what, *more)

    def _refuse(self, reason: str) -> None:
        self.n_refused += 1
        reason = reason[:LONGEST_REASON]
        if self.n_refused == 1:
            logger.warning("OSC: refused: %s; more are counted", reason)
        self.send("error", reason)


def _client(host: str, port: int) -> SimpleUDPClient:
    """Return a sender, whose host is looked up once."""
    from pythonosc.udp_client import SimpleUDPClient

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4]
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"osc_send={host}:{port} cannot be found: {error}") from error
    return SimpleUDPClient(str(found[0]), port)


def setting_of(name: str, values: list[Any]) -> Any:
    """Return a setting as `LiveConfig` has it, from values of a message; none: its default.

    Raises
    ------
    ConfigurationError
        If there is no such setting, or another number of values.
    """
    if name not in HINTS:
        raise ConfigurationError(f"there is no setting {name[:80]!r}; there are {', '.join(HINTS)}")
    if not values:
        return LiveConfig.__dataclass_fields__[name].default
    if typing.get_origin(HINTS[name]) is tuple:
        return tuple(values)
    check(len(values) == 1, name, values[:8], "be one value")
    value = values[0]
    whole = isinstance(value, float) and value.is_integer()
    if whole and HINTS[name] in (int, int | None):
        return int(value)
    return value

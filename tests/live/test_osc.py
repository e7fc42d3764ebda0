"""OSC: a client on the loopback plays a scene; hostile packets have no effect."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket
from pythonosc.udp_client import SimpleUDPClient

from desc.configuration import LiveConfig
from desc.errors import ConfigurationError
from desc.live import Stream
from desc.live.engine import Figures
from desc.live.osc import OscControl
from tests.live.conftest import HOP, Stage


@pytest.fixture
def stream(stage: Stage) -> Iterator[Stream]:
    predictor = stage.predictor()
    with Stream(predictor, stage.matcher(predictor), store=stage.store, mode="listen") as stream:
        yield stream


def message(address: str, *values: object) -> bytes:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)  # type: ignore[arg-type]
    return builder.build().dgram


def received(receiver: socket.socket) -> list[tuple[str, list[object]]]:
    """All messages that have arrived."""
    found = []
    while True:
        try:
            packet = receiver.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            return found
        found += [(t.message.address, t.message.params) for t in OscPacket(packet).messages]


def test_a_client_plays_a_scene(stage: Stage, stream: Stream) -> None:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(0.05)
    player = iter(np.split(stage.player, len(stage.player) // HOP))

    def play(n_frames: int) -> np.ndarray:
        return np.concatenate([stream.process(next(player)) for _ in range(n_frames)])

    with OscControl(stream, send_to=receiver.getsockname()) as osc:
        client = SimpleUDPClient("127.0.0.1", osc.port)

        def say(name: str, *values: object) -> None:
            client.send_message(f"/desc/{name}", values)
            client.send_message("/desc/ask", [])
            for _ in range(200):  # of 50 ms at least
                if any(address == "/desc/files" for address, _ in received(receiver)):
                    return  # the settings come back: the message before has been taken
            raise AssertionError("no answer")

        assert not play(50).any()
        say("mode", "duet")
        assert play(20).any()
        say("level_db", -100.0)
        play(2)
        assert abs(play(5)).max() < 1e-4
        for name, value in (("level_db", 0), ("layers", 2), ("style", "granular"), ("seed", 4.0)):
            say(name, value)
        say("files", "a.wav", "b.wav")
        received(receiver)
        play(40)
        units = [(a, v) for a, v in received(receiver) if a.startswith("/desc/unit")]
        assert stream.settings == LiveConfig(
            mode="duet", layers=2, style="granular", files=("a.wav", "b.wav"), seed=4
        )
        begun = [v for address, v in units if address == "/desc/unit/begin"]
        assert {v[0] for v in begun[3:]} == {"a.wav", "b.wav"}
        assert {v[4] for v in begun} == {0, 1}
        ended = [v for address, v in units if address == "/desc/unit/end"]
        assert all(v[2] > 0.02 for v in ended), "lengths in seconds"
        say("layers")
        assert stream.process(next(player)) is not None
        assert stream.settings.layers is None, "without a value it is the default"
        osc.send_figures(Figures(load=0.25))
        assert ("/desc/figures", [0.25, -200.0, -200.0, 0]) in received(receiver)
    receiver.close()


def test_what_cannot_be_taken_is_counted_and_changes_nothing(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    with OscControl(stream) as osc:
        wrong = [
            message("/other/mode", "duet"),
            message("/desc/mode", "dream"),
            message("/desc/mode", "duet", "follow"),
            message("/desc/temperature", float("nan")),
            message("/desc/temperature", "hot"),
            message("/desc/layers", 2.5),
            message("/desc/files", 3),
            message("/desc/__class__", 1),
            message("/desc/pulse", 1e9),
            message("/desc/pulse", "x"),
            message("/desc/pulse", 120.0, float("inf")),
            message("/desc/pulse", 120.0, float("nan")),
            message("/desc/pulse"),
            message("/desc/pulse", 120.0, 0.0, 1.0),
            message("/desc/seed", 1e30),
            b"",
            b"/desc/mode",
            b"#bundle\0" + b"\xff" * 40,
        ]
        for packet in wrong:
            osc.receive(packet)
        assert osc.n_refused == len(wrong)
        bundle = OscBundleBuilder(0)  # type: ignore[arg-type]
        for value in (0.5, 1.5):
            builder = OscMessageBuilder("/desc/temperature")
            builder.add_arg(value)
            bundle.add_content(builder.build())
        osc.receive(bundle.build().dgram)
        osc.receive(message("/desc/pulse", 120.0, 0.5))
        assert osc.n_refused == len(wrong)
    stream.process(None, HOP)
    assert stream.settings == LiveConfig(mode="listen", temperature=1.5)
    assert caplog.text.count("refused") == 1


def test_random_and_damaged_packets_are_survived(stage: Stage, stream: Stream) -> None:
    rng = np.random.default_rng(0)
    whole = [
        message("/desc/temperature", 0.5),
        message("/desc/files", "a.wav", "b"),
        message("/desc/mode", "follow"),
    ]
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("127.0.0.1", 0))
    client.settimeout(10)

    def wait(osc: OscControl) -> None:
        """Until the packets before have been taken."""
        client.sendto(message("/desc/ask"), ("127.0.0.1", osc.port))
        while OscPacket(client.recv(1 << 16)).messages[0].message.address != "/desc/files":
            pass

    with OscControl(stream, send_to=client.getsockname()) as osc:
        for k in range(600):
            packet = bytearray(whole[rng.integers(3)])
            for place in rng.integers(0, len(packet), rng.integers(1, 5)):
                packet[place] = rng.integers(256)
            cut = packet[: rng.integers(1, len(packet) + 1)]
            for one in (bytes(cut), rng.bytes(int(rng.integers(0, 200)))):
                client.sendto(one, ("127.0.0.1", osc.port))
            if k % 50 == 0:
                wait(osc)
        nested = b"#bundle\0" + bytes(8)
        for _ in range(1000):
            nested = b"#bundle\0" + bytes(8) + len(nested).to_bytes(4, "big") + nested
        client.sendto(nested, ("127.0.0.1", osc.port))
        client.sendto(message("/desc/mode", "m" * 30000), ("127.0.0.1", osc.port))
        client.sendto(message("/desc/seed", 3_000_000_000), ("127.0.0.1", osc.port))
        wait(osc)
        assert osc.n_refused > 100
        for one in (message("/desc/files"), message("/desc/mode", "follow")):
            client.sendto(one, ("127.0.0.1", osc.port))
        wait(osc)
        sound = stream.process(stage.player[: 20 * HOP])
    client.close()
    assert np.isfinite(sound).all()
    assert sound.any()
    assert stream.settings.mode == "follow"


def test_a_receiver_that_cannot_be_found_is_said(stream: Stream) -> None:
    with pytest.raises(ConfigurationError, match="osc_send=no host:9 cannot be found"):
        OscControl(stream, send_to=("no host", 9))


def test_a_port_in_use_is_said(stream: Stream) -> None:
    with (
        OscControl(stream) as osc,
        pytest.raises(ConfigurationError, match=f"osc_port={osc.port} on 127.0.0.1 cannot be used"),
    ):
        OscControl(stream, osc.port)


def test_the_patches_use_addresses_that_there_are(stream: Stream) -> None:
    examples = Path(__file__).parents[2] / "examples"
    own = {"jump", "pulse", "ask"}
    supercollider = (examples / "live.scd").read_text("utf-8")
    sent = set(re.findall(r"sendMsg\('/desc/(\w+)'", supercollider))
    pure_data = (examples / "live.pd").read_text("utf-8")
    sent |= set(re.findall(r"oscformat desc (\w+);", pure_data))
    assert {"mode", "style", "temperature", "jump"} <= sent
    assert sent <= own | set(LiveConfig.__dataclass_fields__)
    told = set(re.findall(r"\}, '/desc/([\w/]+)'\)", supercollider))
    assert told == {"unit/begin", "unit/end", "figures", "error"}
    lines = pure_data.replace("\n", " ").split(";")
    objects = [line for line in lines if re.match(r"\s*#X (?!connect)", line)]
    ends = re.findall(r"#X connect (\d+) \d+ (\d+) \d+", pure_data)
    assert max(int(n) for pair in ends for n in pair) < len(objects)
    for first, second in ends:  # a format goes to the sender, a value to a format
        if "oscformat" in objects[int(first)]:
            assert "list prepend send" in objects[int(second)]

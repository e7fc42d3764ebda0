"""MIDI: notes, controllers, programs and the clock, as mido messages."""

from __future__ import annotations

from collections.abc import Iterator

import mido
import numpy as np
import pytest

from desc.errors import ConfigurationError
from desc.live import Stream, StreamEvent
from desc.live.midi import MidiControl, open_port
from tests.live.conftest import HOP, Stage


@pytest.fixture
def stream(stage: Stage) -> Iterator[Stream]:
    predictor = stage.predictor()
    with Stream(predictor, stage.matcher(predictor), store=stage.store) as stream:
        yield stream


def parsed(*data: int) -> mido.Message:
    """A message from its bytes, as they come over a cable."""
    parser = mido.Parser()
    parser.feed(bytes(data))
    return parser.get_message()


def test_bytes_of_a_keyboard_set_the_stream(stage: Stage, stream: Stream) -> None:
    events: list[StreamEvent] = []
    stream.watchers.append(events.append)
    with MidiControl(stream) as midi:
        stream.process(stage.player[: 20 * HOP])
        for data in ((0xB0, 1, 127), (0xB3, 7, 0), (0xB0, 17, 127), (0xB0, 18, 64), (0xB0, 99, 5)):
            midi.receive(parsed(*data))
        stream.process(stage.player[20 * HOP : 21 * HOP])
        settings = stream.settings
        assert (settings.temperature, settings.level_db) == (2.0, -60.0)
        assert (settings.style, settings.layers) == ("loops", 3)
        events.clear()
        midi.receive(parsed(0x90, 60, 0))  # a note that ends
        stream.process(stage.player[21 * HOP : 22 * HOP])
        assert not events
        midi.receive(parsed(0x90, 60, 100))
        stream.process(stage.player[22 * HOP : 23 * HOP])
        assert [one.event.layer for one in events if not one.is_over] == [0, 1, 2]
        midi.receive(parsed(0xC0, 0))
        stream.process(stage.player[23 * HOP : 24 * HOP])
        assert stream.settings.mode == "listen"


def test_units_are_notes(stage: Stage, stream: Stream) -> None:
    sent: list[mido.Message] = []
    with MidiControl(stream, sent.append):
        stream.process(stage.player)
        stream.finish()
    on = [m.note for m in sent if m.type == "note_on"]
    assert on == [m.note for m in sent if m.type == "note_off"]
    assert len(on) > 3
    assert set(on) <= {36, 37, 38}


def test_a_level_is_no_note_and_what_sounds_at_the_end_is_ended(
    stage: Stage, stream: Stream
) -> None:
    sent: list[mido.Message] = []
    with MidiControl(stream, sent.append):
        stream.set(continuity=100.0)
        stream.process(stage.player[: 12 * HOP])
        assert [m.type for m in sent] == ["note_on"]
        stream.set(level_db=-6.0)
        stream.process(stage.player[12 * HOP : 14 * HOP])
        assert len(sent) == 1
    assert [m.type for m in sent] == ["note_on", "note_off"]
    assert sent[0].note == sent[1].note


def test_a_clock_gives_the_pulse(stage: Stage, stream: Stream) -> None:
    with MidiControl(stream) as midi:
        midi.receive(mido.Message("start"), 0)
        for k in range(49):  # two beats of 120 per minute
            midi.receive(mido.Message("clock"), 100 + k * 22050 / 24)
        stream.process(stage.player[: 10 * HOP])
        at = 2 * np.pi * (10 * HOP - 100 - 2 * 22050) / 22050
        assert stream.pulse == pytest.approx(np.exp(1j * at), abs=1e-4)
        midi.receive(mido.Message("stop"))
        stream.process(stage.player[10 * HOP : 11 * HOP])
        assert abs(stream.pulse - np.exp(1j * (at + 2 * np.pi * HOP / 22050))) > 0.01


def test_a_clock_in_blocks_and_with_a_gap_gives_the_pulse(stage: Stage, stream: Stream) -> None:
    period = 44100 * 60 / 113
    with MidiControl(stream) as midi:
        midi.receive(mido.Message("start"))
        for k in range(96):  # four beats, of which the first is long ago, up to sample 0
            at = (k - 96) * period / 24 - (1e6 if k < 24 else 0)
            midi.receive(mido.Message("clock"), 1024 * np.floor(at / 1024))  # of the block before
        stream.process(stage.player[: 10 * HOP])
    expected = np.exp(2j * np.pi * (10 * HOP + 512) / period)
    assert stream.pulse == pytest.approx(expected, abs=0.1)


def test_a_port_that_is_not_there_is_said() -> None:
    with pytest.raises(ConfigurationError, match="midi input 'no such port'"):
        open_port("no such port", "input", print)


def test_a_virtual_port_is_opened_where_there_is_midi() -> None:
    try:
        port = open_port("virtual", "output")
    except ConfigurationError as error:
        pytest.skip(str(error))
    port.send(mido.Message("note_on", note=60))
    port.close()


def test_messages_of_a_port_reach_the_stream(
    stage: Stage, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loopback in place of the system's MIDI."""
    given: dict[str, object] = {}
    monkeypatch.setattr(mido, "get_input_names", lambda: ["Through 14:0", "Keys 20:0"])
    monkeypatch.setattr(mido, "open_input", lambda name, **more: given.update(name=name, **more))
    with MidiControl(stream) as midi:
        open_port("Keys", "input", midi.receive)
        assert given["name"] == "Keys 20:0"
        given["callback"](parsed(0xB0, 7, 127))  # type: ignore[operator]
        stream.process(stage.player[:HOP])
    assert stream.settings.level_db == 6.0

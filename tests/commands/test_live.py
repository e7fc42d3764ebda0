"""`desc live` from file to file, and on a sound card that is not there."""

from __future__ import annotations

import re
import signal
import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from desc.commands.live_display import line
from desc.commands.main import main
from desc.errors import DescError
from desc.live import Stream
from desc.live.engine import Figures
from desc.live.recording import FILES
from desc.matching import Matcher
from desc.playlist_formats import export_playlist
from tests.small_run import SmallRun


def live(run: SmallRun, *options: str) -> int:
    words = ["live", "--run_id", run.run_id, "--audio_db_dir", str(run.root / "training")]
    return main([*words, "--osc_port", "0", "--jobs", "1", *run.options, *options])


@pytest.mark.parametrize(("mode", "duration_s"), [("follow", 1.5), ("continue", 9.0)])
def test_it_plays_along_with_a_file(
    small_run: SmallRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    mode: str,
    duration_s: float,
) -> None:
    name, after_s = ("y.wav", "1") if mode == "continue" else ("short.wav", "0.5")
    output, song = tmp_path / "out.wav", small_run.root / "held_out" / name
    options = "--input", str(song), "--output", str(output), "--mode", mode, "--after_s", after_s
    assert live(small_run, *options, "--record_dir", str(tmp_path / "set")) == 0
    sound, rate = soundfile.read(output)
    ending_s = 0.075  # two hops and the latency, in which the last unit fades
    assert len(sound) / rate == pytest.approx(duration_s + ending_s, abs=0.05)
    if mode == "follow":
        assert np.abs(sound[rate // 2 : rate]).max() > 0.001
        assert not sound[-rate // 4 :].any()
    else:
        assert not sound[: 8 * rate].any()
        assert np.abs(sound[-rate // 2 :]).max() > 0.001
    printed = capsys.readouterr()
    assert f"→ {output} (" in printed.out
    assert f"recorded → {tmp_path / 'set'}" in printed.out
    assert "OSC is received on 127.0.0.1:" in printed.err
    names = {path.name for path in (tmp_path / "set").iterdir()}
    assert names == {"live.wav", "live.dawproject", "playlist.json"}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--output", "x.wav"), "output must be given with input"),
        (("--after_s", "3"), "after_s must be given with input"),
        (("--neighbours", "3"), "unknown option --neighbours"),
        (("--input", "x.wav"), "input must be given with output or record_dir"),
        (("--osc_send", "9000"), "osc_send='9000' must be HOST:PORT"),
        (("--osc_port", "-5"), "osc_port=-5 must be"),
        (("--osc_send", "no host:9"), "osc_send=no host:9 cannot be found"),
        (("--input", "x.wav", "--output", "./x.wav"), "must be another file than input"),
        (("--block_size", "3"), "block_size=3 must be an integer of at least 16"),
        (("--crossfade_ms", "40", "--input", __file__, "--output", "y.wav"), "crossfade_ms=40.0"),
        (("--subtype", "PCM_16"), "subtype must be given with output"),
        (("--page_port", "99999"), "page_port=99999 must be an integer of at least 0"),
        (("--midi_in", "no such port"), "midi input 'no such port'"),
        (("--osc_port", "-1", "--osc_send", "h:9"), "osc_send must be given with osc_port"),
        (("--input", "x", "--output", "y.wav", "--device", "1"), "device and input do not go"),
        (("--selection", "beam"), "unknown option --selection"),
        (("--with_recording_s", "3"), "unknown option --with_recording_s"),
    ],
)
def test_wrong_options_are_refused(
    small_run: SmallRun,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    rule: str,
) -> None:
    assert live(small_run, *options) == 2
    assert rule in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_refused_at_once(
    small_run: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.wav").write_bytes(b"old")
    for name, rule in (("old.wav", "exists; choose another name"), ("x.xyz", "'.xyz' cannot hold")):
        assert live(small_run, "--input", "x.wav", "--output", str(tmp_path / name)) == 1
        assert rule in capsys.readouterr().err
    assert (tmp_path / "old.wav").read_bytes() == b"old"


@pytest.mark.parametrize(("name", "fault"), [("x.wav", "no such file"), ("", "must be a file")])
def test_an_input_that_is_no_file_is_said_at_once(
    name: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--run_id", "none", "--audio_db_dir", str(tmp_path), "--input", str(tmp_path / name)]
    assert main(["live", *words, "--output", str(tmp_path.parent / "y.wav")]) == 1
    assert f"{tmp_path / name}: {fault}" in capsys.readouterr().err


def interrupt_block_30(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Press Ctrl-C so many times as a stream begins its block 30."""
    process, calls = Stream.process, []

    def interrupted(stream: Stream, *block: Any) -> Any:
        calls.append(block)
        for _ in range(times if len(calls) == 30 else 0):
            signal.raise_signal(signal.SIGINT)
        return process(stream, *block)

    monkeypatch.setattr(Stream, "process", interrupted)


def test_after_ctrl_c_what_was_played_is_kept(
    small_run: SmallRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted_again(*given: Any, **more: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return export_playlist(*given, **more)

    interrupt_block_30(monkeypatch, times=1)
    monkeypatch.setattr("desc.live.recording.export_playlist", interrupted_again)
    song, output = small_run.root / "held_out" / "y.wav", tmp_path / "out.flac"
    options = "--input", str(song), "--output", str(output), "--record_dir", str(tmp_path / "set")
    assert live(small_run, *options) == 0
    sound, _ = soundfile.read(output)
    assert 30 * 1024 < len(sound) < 36 * 1024
    assert abs(sound).max() > 0.001
    assert not sound[-200:].any(), "the last unit has ended"
    printed = capsys.readouterr()
    assert "ended" in printed.err
    assert f"recorded → {tmp_path / 'set'}" in printed.out
    assert {path.name for path in (tmp_path / "set").iterdir()} == set(FILES)


def test_after_a_second_ctrl_c_the_file_is_kept(
    small_run: SmallRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt_block_30(monkeypatch, times=2)
    song, output = small_run.root / "held_out" / "y.wav", tmp_path / "out.wav"
    options = "--input", str(song), "--output", str(output), "--record_dir", str(tmp_path / "set")
    assert live(small_run, *options) == 0
    assert soundfile.info(output).frames == 29 * 1024
    assert {path.name for path in (tmp_path / "set").iterdir()} == set(FILES)
    assert f"recorded → {tmp_path / 'set'}" in capsys.readouterr().out


def test_a_file_too_short_to_be_continued_is_refused(
    small_run: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "x.wav", np.full(8000, 0.1), 44100)
    options = "--input", str(tmp_path / "x.wav"), "--output", str(tmp_path / "y.wav")
    assert live(small_run, *options, "--mode", "continue") == 1
    assert "x.wav: must have 9 complete frames to be continued" in capsys.readouterr().err
    assert not (tmp_path / "y.wav").exists()


def test_it_has_a_page(
    small_run: SmallRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[Figures] = []
    opened: list[str] = []
    monkeypatch.setattr("desc.studio.LiveRoom.show", lambda room, figures: shown.append(figures))
    monkeypatch.setattr("webbrowser.open", opened.append)
    song, output = small_run.root / "held_out" / "short.wav", tmp_path / "out.wav"
    options = "--input", str(song), "--output", str(output)
    assert live(small_run, *options, "--page_port", "0") == 0
    address = capsys.readouterr().out.splitlines()[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
    assert shown
    assert opened == []
    assert live(small_run, *options, "--overwrite", "--open_browser") == 0
    assert opened == [capsys.readouterr().out.splitlines()[0]]


def test_results_among_the_sounds_are_refused(
    small_run: SmallRun, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = str(small_run.root / "training" / "new.wav")
    assert live(small_run, "--input", "x.wav", "--output", inside) == 2
    assert f"output={inside!r} must lie outside audio_db_dir" in capsys.readouterr().err


def test_options_of_selection_are_heard(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def stream(predictor: object, matcher: Matcher, **more: Any) -> None:
        given.update(more, selection=matcher.selection)
        raise DescError("enough")

    monkeypatch.setattr("desc.live.Stream", stream)
    options = "--beat_weight", "0", "--slow_weight", ".5", "--max_unit_s", "9", "--layers", "2"
    assert live(small_run, *options) == 1
    assert given["style"] is given["continuity"] is given["layers"] is None
    selection = given["selection"]
    assert (selection.beat_weight, selection.slow_weight) == (0, 0.5)
    assert (selection.max_unit_s, selection.layers) == (9, 2)


class Card:
    """A module like sounddevice, whose device is lost after some blocks, and comes back once."""

    PortAudioError = type("PortAudioError", (Exception,), {})

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.n_initialised = 0
        self.heard: list[np.ndarray] = []
        card = self

        class Stream:
            def __init__(self, **given: Any) -> None:
                if given["samplerate"] != 44100:
                    raise card.PortAudioError("Invalid sample rate")
                self.given, self.active, self.closed = given, False, False
                card.opened.append(self)

            def start(self) -> None:
                self.active = True
                self.thread = threading.Thread(target=self.play)
                self.thread.start()

            def play(self) -> None:
                for n in (1024, 1024, 512, 2048):  # the size of blocks may change
                    out = np.full((n, self.given["channels"][1]), 9, np.float32)
                    heard = np.zeros((n, 1), np.float32)
                    self.given["callback"](heard, out, n, None, None)
                    card.heard.append(out)
                self.active = False

            def abort(self) -> None:
                self.thread.join()

            def close(self) -> None:
                self.closed = True

        self.Stream = Stream

    def _terminate(self) -> None:
        pass

    def _initialize(self) -> None:
        self.n_initialised += 1

    def query_devices(self, device: object, kind: str) -> dict[str, int]:
        if device == "none":
            raise ValueError("No output device matching 'none'")
        if len(self.opened) > 1:
            signal.raise_signal(signal.SIGINT)
            raise ValueError("No output device")
        return {"max_output_channels": 2}


def test_a_device_that_is_lost_is_opened_again(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = Card()
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    monkeypatch.setattr("desc.live.device.RETRY_S", 0.01)
    monkeypatch.setattr("desc.live.device.WATCH_S", 0.01)
    assert live(small_run) == 0
    assert len(card.opened) == 2
    assert all(stream.closed for stream in card.opened)
    assert len(card.heard) == 8
    assert all(np.isfinite(out).all() and abs(out).max() < 1.5 for out in card.heard)
    printed = capsys.readouterr().err
    assert card.n_initialised == 2, "before each attempt to open it again"
    assert "the sound device is lost" in printed
    assert "the sound device is back" in printed


def test_an_error_of_the_stream_ends_it_with_status_1(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*given: object) -> None:
        raise RuntimeError("no music")

    card = Card()
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    monkeypatch.setattr("desc.live.Stream.process", broken)
    assert live(small_run) == 1
    printed = capsys.readouterr().err
    assert "the stream has ended: no music" in printed
    assert "Traceback" not in printed
    assert card.opened[0].closed


def test_ctrl_c_ends_a_stream_that_hangs(
    small_run: SmallRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gate, finished = threading.Event(), []
    for name, value in (("device.RETRY_S", 0.01), ("device.WATCH_S", 0.01), ("engine.END_S", 0.05)):
        monkeypatch.setattr(f"desc.live.{name}", value)
    monkeypatch.setitem(sys.modules, "sounddevice", Card())
    monkeypatch.setattr(Stream, "process", lambda *_: gate.wait())
    monkeypatch.setattr(Stream, "finish", lambda *_: finished.append(1))
    assert live(small_run, "--record_dir", str(tmp_path / "set")) == 1
    assert "a block takes longer than" in capsys.readouterr().err
    assert not finished, "another thread is in the stream"
    gate.set()


def test_a_device_that_cannot_be_used_is_said(
    small_run: SmallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = types.ModuleType("sounddevice")
    module.__dict__.update({name: getattr(Card(), name) for name in ("PortAudioError", "Stream")})
    module.__dict__["query_devices"] = Card().query_devices
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    assert live(small_run, "--device", "none") == 2
    assert "device='none' is not there: No output device" in capsys.readouterr().err
    module.__dict__["query_devices"] = lambda *_: Card().query_devices("none", "output")
    assert live(small_run) == 1
    assert "no sound device was found (No output device" in capsys.readouterr().err


def test_the_display_is_one_line() -> None:
    figures = Figures(load=0.314, heard_db=-20.0, played_db=-np.inf, underruns=2)
    assert line("duet", figures, 0.9 + 0.1j, "a.wav 3.0 s +1.0 dB") == (
        "duet in ▮▮▮▮▮▮▮▮▯▯▯▯ out ▯▯▯▯▯▯▯▯▯▯▯▯ ● load  31% late 2 a.wav 3.0 s +1.0 dB"
    )

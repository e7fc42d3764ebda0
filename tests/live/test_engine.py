"""The audio thread: its delay, underruns, overload, blocks of other sizes; and a recording."""

from __future__ import annotations

import io
import signal
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.commands.main import main
from desc.concatenation import Playlist
from desc.errors import OutputError
from desc.live import Stream
from desc.live.engine import Engine, Figures, level_db, play_through
from desc.live.recording import FILES, LiveRecorder
from tests.live.conftest import HOP, Stage


class Echo:
    """A stream that returns what it hears, when it is let."""

    sample_rate, n_channels = 44100, 1

    def __init__(self, *, open: bool = True) -> None:
        self.gate, self.n_done = threading.Semaphore(1 << 20 if open else 0), 0
        self.begun, self.done = threading.Semaphore(0), threading.Semaphore(0)

    def made(self, played: np.ndarray) -> None:
        self.done.release()

    def process(self, block: np.ndarray | None, n_samples: int) -> np.ndarray:
        self.begun.release()
        self.gate.acquire()
        self.n_done += n_samples
        block = np.zeros(n_samples, np.float32) if block is None else block
        return block[:, None] if block.ndim == 1 else block


def block(value: float, n: int = 256) -> np.ndarray:
    return np.full(n, value, np.float32)


def test_what_is_ready_comes_after_the_delay() -> None:
    echo = Echo()
    with Engine(echo, 256, echo.made) as engine:  # type: ignore[arg-type]
        got = []
        for k in range(20):
            got.append(engine.exchange(block(k), 256))
            echo.done.acquire()
    values = [float(b[-1, 0]) for b in got]
    assert values == [0, 0, *range(18)]
    assert engine.figures.underruns == 0


def test_an_underrun_is_silence_after_a_fade_and_the_delay_stays() -> None:
    echo = Echo(open=False)
    with Engine(echo, 256, echo.made) as engine:  # type: ignore[arg-type]
        for _ in range(4):
            echo.gate.release()
            engine.exchange(block(1), 256)
            echo.done.acquire()
        for _ in range(2):  # made before
            assert engine.exchange(block(1), 256)[:, 0].tolist() == [1.0] * 256
        late = engine.exchange(block(1), 256)[:, 0]
        assert late[0] == 1
        assert (np.diff(late[:64]) < 0).all()
        assert not late[64:].any()
        assert not engine.exchange(block(2), 256).any()
        assert engine.figures.underruns == 2
        echo.gate.release(100)
        for _ in range(4):
            echo.done.acquire()
        engine.exchange(block(1), 256)  # the first that is ready again
        assert engine.exchange(block(1), 256)[-1, 0] == 2, "what was late is left out"


def test_overload_is_said_and_the_queue_does_not_grow(caplog: pytest.LogCaptureFixture) -> None:
    echo = Echo(open=False)
    with Engine(echo, 256, echo.made) as engine:  # type: ignore[arg-type]
        for _ in range(400):  # 2.3 s
            engine.exchange(block(0.5), 256)
        assert engine.figures.underruns > 390
        echo.gate.release(1000)
        # Each block is either made or left out.
        while echo.n_done + 44100 * engine.figures.skipped_s < 400 * 256 - 1:
            assert echo.done.acquire(timeout=10)
    assert engine.figures.skipped_s > 0
    assert "overload" in caplog.text


def test_after_a_long_stall_it_plays_again() -> None:
    echo, n = Echo(open=False), 8192
    kept: list[np.ndarray] = []
    with Engine(echo, n, kept.append) as engine:  # type: ignore[arg-type]

        def wait(n_blocks: int) -> None:
            """Until each block is either made or left out."""
            for _ in range(2000):
                if len(kept) * n + 44100 * engine.figures.skipped_s > n_blocks * n - 1:
                    return
                time.sleep(0.005)
            raise AssertionError("blocks are missing")

        for _ in range(30):  # 5.6 s
            engine.exchange(block(1, n), n)
        echo.gate.release(1000)
        wait(30)
        late = engine.figures.underruns
        for k in range(4):
            assert engine.exchange(block(1, n), n)[-1, 0] == 1
            wait(31 + k)
    assert engine.figures.skipped_s > 4
    assert engine.figures.underruns == late


def test_the_delay_is_a_block_or_two_short_ones() -> None:
    for n, n_late in ((2048, 1), (1024, 1), (512, 2), (64, 2)):
        echo, got = Echo(), []
        with Engine(echo, n, echo.made) as engine:  # type: ignore[arg-type]
            for _ in range(4):
                got.append(engine.exchange(block(1, n), n)[-1, 0])
                echo.done.acquire()
        assert got == [0] * n_late + [1] * (4 - n_late)


def test_a_second_ctrl_c_does_not_leave_the_stream_to_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    join, calls = threading.Thread.join, []

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        calls.append(timeout)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        join(thread, timeout)

    echo = Echo(open=False)
    with Engine(echo, 256, echo.made) as engine:  # type: ignore[arg-type]
        engine.exchange(block(1), 256)
        assert echo.begun.acquire(timeout=10)
        monkeypatch.setattr("desc.live.engine.END_S", 0.1)
        monkeypatch.setattr(threading.Thread, "join", interrupted)
    assert isinstance(engine.failure, TimeoutError), "it is known that the stream is in use"
    echo.gate.release()


def test_sound_is_not_kept_while_the_stream_hangs() -> None:
    echo, kept = Echo(open=False), []
    with Engine(echo, 16, echo.made) as engine:  # type: ignore[arg-type]
        engine.exchange(block(1, 16), 16)
        assert echo.begun.acquire(timeout=10)
        for _ in range(4000):  # 1.5 s
            heard = block(1, 16)
            kept.append(weakref.ref(heard))
            engine.exchange(heard, 16)
        del heard
        alive = [ref() is not None for ref in kept]
        n_kept = sum(alive)
        assert 44100 <= 16 * n_kept <= 44100 + 32, "the last second"
        assert all(alive[-n_kept:])
        echo.gate.release(1 << 20)


def test_a_stream_that_hangs_does_not_keep_it_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desc.live.engine.END_S", 0.05)
    echo = Echo(open=False)
    with Engine(echo, 256) as engine:  # type: ignore[arg-type]
        engine.exchange(block(1), 256)
        assert echo.begun.acquire(timeout=10)
    assert "a block takes longer than" in str(engine.failure)
    echo.gate.release(1)


def test_larger_blocks_make_the_delay_longer() -> None:
    echo = Echo()
    with Engine(echo, 64, echo.made) as engine:  # type: ignore[arg-type]
        got = []
        for n in (64, 64, 1024, 1024, 1024, 1024, 1024):
            got.append(engine.exchange(block(1, n), n))
            echo.done.acquire()
    assert [len(b) for b in got] == [64, 64, 1024, 1024, 1024, 1024, 1024]
    assert got[-1].all()
    assert engine.figures.underruns == 1


def test_an_error_in_the_stream_ends_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Echo):
        def process(self, block: np.ndarray, n_samples: int) -> np.ndarray:
            raise RuntimeError("no")

    with Engine(Broken(), 256) as engine:  # type: ignore[arg-type]
        engine.exchange(block(1), 256)
        for _ in range(2000):
            if engine.failure is not None:
                break
            time.sleep(0.005)
        assert not engine.exchange(block(1), 256).any()
    assert "the stream has ended: no" in caplog.text


def test_a_recording_is_what_was_heard_and_renders_to_it(stage: Stage, tmp_path: Path) -> None:
    predictor = stage.predictor()
    matcher = stage.matcher(predictor, layers=2)
    with Stream(predictor, matcher, store=stage.store) as stream:
        with LiveRecorder(stream, tmp_path, stage.store) as recorder:
            heard = []
            blocks = np.array_split(stage.player[: 90 * HOP], 70)
            for k, played in enumerate(play_through(stream, blocks, Figures(), HOP)):
                recorder.write(played)
                heard.append(played)
                if k == 40:
                    stream.set(level_db=-3.0, style="granular")
        latency = stream.latency
    whole = np.concatenate(heard)[latency:]
    kept, rate = soundfile.read(tmp_path / "live.wav", dtype="float32")
    assert rate == 44100
    np.testing.assert_array_equal(kept[: len(whole)], whole)
    words = [
        "render",
        str(tmp_path / "playlist.json"),
        "--output_path",
        str(tmp_path / "again.wav"),
    ]
    words += [
        "--subtype",
        "FLOAT",
        "--channels",
        "stereo",
        "--cache_dir",
        str(stage.store.cache_dir),
    ]
    assert main(words) == 0
    again, _ = soundfile.read(tmp_path / "again.wav", dtype="float32")
    assert len(again) <= len(kept)
    np.testing.assert_array_equal(kept[: len(again)], again)
    assert not kept[len(again) :].any()
    assert (tmp_path / "live.dawproject").stat().st_size > 500


def test_a_recording_that_cannot_grow_ends_and_the_music_goes_on(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    predictor = stage.predictor()
    with (
        Stream(predictor, stage.matcher(predictor), store=stage.store) as stream,
        LiveRecorder(stream, tmp_path, stage.store) as recorder,
    ):
        recorder.write(stream.process(stage.player[: 12 * HOP]))
        monkeypatch.setattr("desc.audio.writer.sample_bytes", lambda _: 1 << 40)
        for first in (12, 16):
            played = stream.process(stage.player[first * HOP : (first + 4) * HOP])
            recorder.write(played)
        assert played.any()
    assert soundfile.info(tmp_path / "live.wav").frames == 12 * HOP - stream.latency
    assert caplog.text.count("live.wav ends after 0.3 s") == 1
    assert (tmp_path / "playlist.json").exists()


def test_an_earlier_recording_is_kept_unless_it_is_to_be_replaced(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    predictor = stage.predictor()

    def record(*, n_hops: int, mode: str = "follow", overwrite: bool = False) -> None:
        with (
            Stream(predictor, stage.matcher(predictor), store=stage.store, mode=mode) as stream,
            LiveRecorder(stream, tmp_path, stage.store, overwrite=overwrite) as recorder,
        ):
            recorder.write(stream.process(stage.player[: n_hops * HOP]))

    record(n_hops=12)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    with pytest.raises(OutputError, match="holds a recording"):
        record(n_hops=14)
    assert before == {name: (tmp_path / name).read_bytes() for name in FILES}
    record(n_hops=14, overwrite=True)
    assert soundfile.info(tmp_path / "live.wav").frames > 14 * HOP
    assert (tmp_path / "playlist.json").read_bytes() != before["playlist.json"]
    record(n_hops=14, mode="listen", overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"live.wav"}
    assert "nothing was played" in caplog.text
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="must be a folder"):
        LiveRecorder(None, tmp_path / "file")  # type: ignore[arg-type]


def test_after_an_error_what_was_played_is_kept(stage: Stage, tmp_path: Path) -> None:
    predictor = stage.predictor()

    def fail() -> None:
        with (
            Stream(predictor, stage.matcher(predictor), store=stage.store) as stream,
            LiveRecorder(stream, tmp_path, stage.store) as recorder,
        ):
            stream.set(continuity=100.0)  # one unit, which plays on
            recorder.write(stream.process(stage.player[: 14 * HOP]))
            raise RuntimeError("no music")

    with pytest.raises(RuntimeError, match="no music"):
        fail()
    (event,) = Playlist.load(tmp_path / "playlist.json").events
    assert 4 * HOP < event.n_samples <= 15 * HOP
    assert soundfile.info(tmp_path / "live.wav").frames > 12 * HOP


def test_a_full_temporary_disk_cuts_the_playlist_alone(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(io.FileIO):
        def write(self, text: bytes) -> int:  # type: ignore[override]
            return super().write(text[: max(0, 1000 - self.tell())])

    path = tmp_path / "events"
    monkeypatch.setattr("desc.live.recording.TemporaryFile", lambda *_, **__: Full(path, "w+"))
    predictor = stage.predictor()
    with (
        Stream(predictor, stage.matcher(predictor), store=stage.store) as stream,
        LiveRecorder(stream, tmp_path / "set", stage.store) as recorder,
    ):
        stream.set(style="granular", continuity=0.0)
        recorder.write(stream.process(stage.player[: 60 * HOP]))
    assert "the disk of temporary files is full" in caplog.text
    assert soundfile.info(tmp_path / "set" / "live.wav").frames > 60 * HOP
    kept = Playlist.load(tmp_path / "set" / "playlist.json").events
    assert len(kept) == path.read_bytes().count(b"\n") > 0


def test_levels_are_in_decibels() -> None:
    assert level_db(np.full((10, 1), 0.1, np.float32)) == pytest.approx(-20, abs=1e-4)
    assert level_db(np.zeros((10, 1), np.float32)) == level_db(None) == -np.inf

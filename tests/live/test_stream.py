"""`Stream`: equal to the offline continuation, whatever the blocks; settings while it plays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from desc.concatenation import Playlist, render
from desc.concatenation.playlist import CORPUS
from desc.configuration import RenderConfig, Sampling
from desc.descriptors.extraction import extract
from desc.errors import ConfigurationError
from desc.live import Stream, StreamEvent
from desc.live.mixing import in_mono
from desc.matching import Matcher
from desc.models import MODELS
from desc.models.rollout import Rollout
from tests.live.conftest import CONFIG, HOP, Stage

N = 32
STEREO = RenderConfig(channels="stereo")


def heard(stream: Stream, player: np.ndarray, block: int = HOP) -> np.ndarray:
    """Our sound while the player plays."""
    blocks = [player[i : i + block] for i in range(0, len(player), block)]
    return np.concatenate([stream.process(block) for block in blocks])


def alone(stream: Stream, n_frames: int) -> np.ndarray:
    """Our sound while the player does not play."""
    return np.concatenate([stream.process(None, HOP) for _ in range(n_frames)])


def playlist_of(stage: Stage, events: list[StreamEvent]) -> Playlist:
    ended = tuple(one.event for one in events if one.is_over)
    return Playlist(ended, 44100, {CORPUS: str(stage.root)})


@pytest.mark.parametrize(
    ("name", "sampling"),
    [
        *((name, "replay") for name in MODELS),
        ("LSTM", "plain"),
        ("LSTM", "mean"),
        *(pytest.param(name, "plain", marks=pytest.mark.slow) for name in MODELS if name != "LSTM"),
    ],
)
def test_it_plays_what_the_offline_continuation_plays(
    stage: Stage, name: str, sampling: str
) -> None:
    predictor = stage.predictor(name)
    matcher = stage.matcher(predictor, continuity=0.2)
    sequence = extract(stage.player, CONFIG, sr=44100, digest="")
    prediction = predictor.predict(sequence, Sampling(sampling=sampling, seed=3), frames=N)
    match = matcher.match(prediction)
    expected = render(match.playlist, store=stage.store, rendering=STEREO).samples
    with Stream(
        predictor, matcher, store=stage.store, mode="listen", seed=3, sampling=sampling
    ) as stream:
        events: list[StreamEvent] = []
        stream.watchers.append(events.append)
        heard(stream, stage.player)
        stream.set(mode="continue")
        sound = alone(stream, N)
        stream.set(mode="listen")
        sound = np.concatenate([sound, alone(stream, 3)])
    assert {unit.first_row for unit in match.units} > {match.rows[0]}, "there are several units"
    first = len(stage.player) // HOP
    got = [one.event for one in events if one.is_over]
    moved = [replace(e, onset_sample=e.onset_sample - first * HOP) for e in got]
    assert [e.start_sample for e in moved] == [e.start_sample for e in match.playlist.events]
    assert moved[:-1] == list(match.playlist.events[:-1])
    quiet = HOP // 2  # the last unit fades a frame later than offline
    at = stream.latency
    length = N * HOP - quiet
    np.testing.assert_array_equal(sound[at : at + length], expected[:length])


def test_following_plays_what_the_player_is_matched_with(stage: Stage) -> None:
    predictor = stage.predictor()
    matcher = stage.matcher(predictor)
    # `top_db` is relative to the loudest band so far: here that of the first frame.
    player = stage.player.copy()
    away = np.exp(-np.abs(np.arange(4 * HOP) - HOP) / 300)
    player[: 4 * HOP] = 4 * away * np.random.default_rng(0).standard_normal(4 * HOP)
    sequence = extract(player, CONFIG, sr=44100, digest="")
    whole = sequence[sequence.complete]
    match = matcher.match(whole, before=whole.values[:0])
    expected = render(match.playlist, store=stage.store, rendering=STEREO).samples
    with Stream(predictor, matcher, store=stage.store, mode="follow") as stream:
        sound = np.concatenate([heard(stream, player), alone(stream, 2)])
    length = (len(whole) - 1) * HOP
    at = stream.latency + HOP  # the first frame is complete after two hops
    np.testing.assert_array_equal(sound[at : at + length], expected[:length])


@pytest.mark.parametrize("mode", ["follow", "duet", "continue"])
def test_the_sound_does_not_depend_on_the_blocks_and_the_playlist_renders_it(
    stage: Stage, mode: str
) -> None:
    predictor = stage.predictor()
    sounds = []
    for block in (HOP, 377):
        events: list[StreamEvent] = []
        matcher = stage.matcher(predictor, layers=2)
        with Stream(predictor, matcher, store=stage.store, mode="listen") as stream:
            stream.watchers.append(events.append)
            cut = 20 * HOP
            before = heard(stream, stage.player[:cut], block)
            stream.set(mode=mode)
            middle = heard(stream, stage.player[cut : 2 * cut], block)
            stream.set(level_db=-6.0, layers=1, style="granular", temperature=0.5)
            rest = heard(stream, stage.player[2 * cut : 3 * cut], block)
            stream.set(mode="listen", level_db=0.0, files=("a.wav",))
            last = heard(stream, stage.player[3 * cut : 3 * cut + 9 * HOP], block)
        sounds.append(np.concatenate([before, middle, rest, last])[stream.latency :])
    np.testing.assert_array_equal(sounds[0], sounds[1])
    assert not before.any()
    assert middle.any()
    assert not last[-HOP:].any()
    playlist = playlist_of(stage, events)
    assert len({event.layer for event in playlist.events}) == 2
    assert len({event.source for event in playlist.events}) > 1
    expected = render(playlist, store=stage.store, rendering=STEREO).samples
    np.testing.assert_array_equal(sounds[0][: len(expected)], expected)


def test_settings_are_heard_at_the_next_frame(stage: Stage) -> None:
    predictor = stage.predictor()
    with Stream(predictor, stage.matcher(predictor), store=stage.store, mode="follow") as stream:
        events: list[StreamEvent] = []
        stream.watchers.append(events.append)
        heard(stream, stage.player[: 30 * HOP])
        other = "a.wav" if events[-1].event.source != "a.wav" else "c.flac"
        events.clear()
        stream.set(files=(other,))
        heard(stream, stage.player[30 * HOP : 31 * HOP])
        stream.set(level_db=-9.0)
        heard(stream, stage.player[31 * HOP : 32 * HOP])
        stream.jump()
        heard(stream, stage.player[32 * HOP : 33 * HOP])
        begun = [one.event for one in events if not one.is_over]
    assert [event.onset_sample // HOP for event in begun] == [30, 31, 32]
    assert {event.source for event in begun} == {other}
    assert begun[1].gain_db == pytest.approx(begun[0].gain_db - 9)
    assert begun[1].start_sample == begun[0].start_sample + HOP
    assert begun[2].start_sample != begun[1].start_sample + HOP
    latest = stream.latency + HOP  # from the setting to its sound
    assert latest / 44100 <= 0.05 + HOP / 44100


def test_blocks_of_any_content_are_survived_and_other_types_refused(stage: Stage) -> None:
    predictor = stage.predictor()
    with Stream(predictor, stage.matcher(predictor), store=stage.store) as stream:
        noise = np.random.default_rng(0).standard_normal(20 * HOP).astype(np.float32)
        stream.process(1e30 * noise)
        stream.process(np.full(HOP, np.nan, np.float32))
        assert stream.process(np.empty(0, np.float32)).shape == (0, 2)
        assert stream.process(None, 0).shape == (0, 2)
        sound = stream.process(stage.player[: 20 * HOP])
        assert np.isfinite(sound).all()
        assert sound.any()
        with pytest.raises(ConfigurationError, match=r"block=\('int16', \(9,\)\) must hold floats"):
            stream.process(np.zeros(9, np.int16))  # type: ignore[arg-type]
        for length in (-1, 2.5):
            with pytest.raises(ConfigurationError, match=f"n_samples={length} must be"):
                stream.process(None, length)  # type: ignore[arg-type]
        for pulse in ((float("inf"), 0.0), (0.0, 0.0), (22050.0, float("nan"))):
            with pytest.raises(ConfigurationError, match="must be"):
                stream.set_pulse(*pulse)


def test_a_watcher_that_fails_does_not_end_the_music(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def unplugged(event: StreamEvent) -> None:
        raise OSError("no port")

    predictor = stage.predictor()
    events: list[StreamEvent] = []
    with Stream(predictor, stage.matcher(predictor), store=stage.store) as stream:
        stream.watchers += [unplugged, events.append]
        assert stream.process(stage.player[: 30 * HOP]).any()
    assert len(events) > 1
    assert caplog.text.count("unplugged: no port") == 1


def test_a_duet_goes_on_from_the_last_frame_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = Rollout.next, []

    def spied(self: Rollout, heard: torch.Tensor | None = None) -> torch.Tensor:
        calls.append((heard, step(self, heard)))
        return calls[-1][1]

    monkeypatch.setattr(Rollout, "next", spied)
    predictor = stage.predictor()
    for mode in ("continue", "duet"):
        with Stream(
            predictor, stage.matcher(predictor), store=stage.store, mode="listen"
        ) as stream:
            stream.process(stage.player[: 12 * HOP])
            stream.set(mode=mode, temperature=0.0)
            stream.process(stage.player[12 * HOP : 14 * HOP])
    (alone, first), (_, second), (begun, same), (answered, other) = calls
    assert alone is None
    assert begun is None, "the newest frame is the last one of the context"
    assert answered is not None
    assert torch.equal(first, same)
    assert not torch.equal(second, other)


def test_two_channels_are_heard_as_their_mean(stage: Stage) -> None:
    left = stage.player[:HOP]
    np.testing.assert_array_equal(in_mono(np.stack([left, -left], 1)), np.zeros(HOP))
    np.testing.assert_array_equal(in_mono(np.stack([left, left], 1)), left)


def test_setting_nothing_changes_nothing(stage: Stage) -> None:
    predictor = stage.predictor()
    with Stream(predictor, stage.matcher(predictor, continuity=9.0), store=stage.store) as stream:
        stream.process(stage.player[: 9 * HOP])
        events: list[StreamEvent] = []
        stream.watchers.append(events.append)
        stream.set()
        stream.process(stage.player[9 * HOP : 10 * HOP])
        assert not events
        stream.jump()
        stream.process(stage.player[10 * HOP : 11 * HOP])
        assert [one.is_over for one in events] == [True, False]


def test_what_cannot_be_played_live_is_refused(stage: Stage) -> None:
    predictor = stage.predictor()
    matcher = stage.matcher(predictor)
    for settings, rule in (
        ({"mode": "dream"}, "mode='dream' must be one of"),
        ({"layers": 9}, "layers=9 must be"),
        ({"level_db": float("nan")}, "level_db=nan must be"),
    ):
        with pytest.raises(ConfigurationError, match=rule):
            Stream(predictor, matcher, store=stage.store, **settings)
    long = Matcher(stage.database, rendering=RenderConfig(crossfade_ms=40.0))
    with pytest.raises(ConfigurationError, match=r"crossfade_ms=40\.0 must be at most"):
        Stream(predictor, long, store=stage.store)
    with Stream(predictor, matcher, store=stage.store, mode="listen") as stream:
        with pytest.raises(ConfigurationError, match="there is no setting loudness"):
            stream.set(loudness=3)
        with pytest.raises(ConfigurationError, match="temperature=-1 must be"):
            stream.set(temperature=-1)
        with pytest.raises(ConfigurationError, match=r"files=.'nope.'. must match a file"):
            stream.set(files=("nope*",))


def test_a_setting_is_heard_within_two_hops(stage: Stage) -> None:
    predictor, results = stage.predictor(), []
    given = 20 * HOP + 100  # the worst: just after a frame was chosen
    for level_db in (0.0, -20.0):
        with Stream(predictor, stage.matcher(predictor), store=stage.store) as stream:
            before = heard(stream, stage.player[:given])
            stream.set(level_db=level_db)
            results.append(np.concatenate([before, heard(stream, stage.player[given : 30 * HOP])]))
    first = int(np.flatnonzero((results[0] != results[1]).any(1))[0])
    assert given < first <= given + 2 * HOP


def test_it_has_as_many_layers_as_live_settings_allow(stage: Stage) -> None:
    predictor = stage.predictor()
    with pytest.raises(ConfigurationError, match="layers=5 must be"):
        Stream(predictor, stage.matcher(predictor, layers=5), store=stage.store)


@pytest.mark.parametrize("mode", ["continue", "duet"])
def test_it_begins_once_there_is_enough_to_go_on_from(stage: Stage, mode: str) -> None:
    predictor = stage.predictor()
    with Stream(predictor, stage.matcher(predictor), store=stage.store, mode=mode) as stream:
        assert not stream.process(None, 3 * HOP).any()
        assert not heard(stream, stage.player[: 8 * HOP]).any()
        assert heard(stream, stage.player[8 * HOP : 30 * HOP]).any()


def test_following_rests_in_pauses(stage: Stage) -> None:
    predictor = stage.predictor()
    with Stream(predictor, stage.matcher(predictor), store=stage.store) as stream:
        assert heard(stream, stage.player[: 20 * HOP]).any()
        silence = np.zeros(10 * HOP, np.float32)
        assert not heard(stream, silence)[6 * HOP :].any()
        assert heard(stream, stage.player[20 * HOP : 30 * HOP])[5 * HOP :].any()


def test_a_file_that_is_gone_is_silent_and_the_others_play_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    predictor = stage.predictor()
    matcher = stage.matcher(predictor, continuity=0.5)
    with Stream(predictor, matcher, store=stage.store, mode="follow") as stream:
        begun: list[StreamEvent] = []
        stream.watchers.append(begun.append)

        def gone(self: object, start: int, n: int) -> np.ndarray:
            raise OSError("no such file")

        heard(stream, stage.player[: 20 * HOP])
        monkeypatch.setattr("desc.audio.AudioReader.read", gone)
        sound = heard(stream, stage.player[20 * HOP :])
    assert "is no longer played: no such file" in caplog.text
    assert np.isfinite(sound).all()
    assert sound[-20 * HOP :].any()
    assert {one.event.source for one in begun[-3:]} == {"c.flac"}

"""Rendering: a playlist becomes sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc import audio
from desc.audio import writer
from desc.concatenation import (
    PlaylistEvent,
    mixing,
    render,
    render_to_file,
)
from desc.concatenation.mixing import to_channels
from desc.configuration import RenderConfig, SelectionConfig
from desc.database import DescriptorDatabase
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, DescError
from desc.matching import Matcher, Unit, to_playlist
from desc.progress import reporting
from desc.storage import DescriptorStore
from tests.concatenation.conftest import (
    CONFIG,
    FLOAT,
    HOP,
    RATE,
    MakeWav,
    Play,
    in_a_row,
    noise,
    playlist_of,
)


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_file_matched_with_itself_is_bit_equal_and_half_a_hop_late(
    *,
    tmp_path: Path,
    store: DescriptorStore,
    make_wav: MakeWav,
    rng: np.random.Generator,
    n_channels: int,
    subtype: str,
) -> None:
    n_samples = 20 * HOP + 300
    path = make_wav("a.wav", noise(rng, n_channels, n_samples), subtype=subtype)
    n_frames = CONFIG.n_frames(n_samples)
    values = rng.standard_normal((n_frames, CONFIG.n_columns)).astype(np.float32)
    sequence = DescriptorSequence(values, CONFIG, "a.wav", store.digest(path), n_samples)
    database = DescriptorDatabase.from_sequences([sequence], tmp_path)
    match = Matcher(database, rendering=FLOAT).match(values)
    nearest = Matcher(database, selection=SelectionConfig("nearest")).match(values)
    assert match.rows.tolist() == nearest.rows.tolist()
    render_to_file(match.playlist, tmp_path / "new.wav", store=store, rendering=FLOAT)
    result, original = audio.read(tmp_path / "new.wav"), audio.read(path)
    assert result.shape == (n_channels, n_frames * HOP)
    assert not result[:, : HOP // 2].any()
    stop = min(n_samples, n_frames * HOP - HOP // 2)
    np.testing.assert_array_equal(result[:, HOP // 2 :][:, :stop], original[:, :stop])
    assert not result[:, HOP // 2 + stop :].any()


def test_length_is_always_n_hops(
    tmp_path: Path, store: DescriptorStore, make_wav: MakeWav, rng: np.random.Generator
) -> None:
    make_wav("a.wav", noise(rng, 1, 30 * HOP))
    values = np.zeros((31, CONFIG.n_columns), np.float32)
    sequence = DescriptorSequence(values, CONFIG, "a.wav", "", 30 * HOP)
    database = DescriptorDatabase.from_sequences([sequence], tmp_path)
    rows = [0, 30, 30, 5, 6, 7, 2, 29, 30, 0, 17]
    units = tuple(Unit(row, 1, frame) for frame, row in enumerate(rows))
    for crossfade_ms in (0, 3, 10, 1000):
        config = RenderConfig(subtype="FLOAT", crossfade_ms=crossfade_ms)
        playlist = to_playlist(units, database, config)
        result = render_to_file(playlist, tmp_path / "new.wav", store=store, rendering=config)
        assert result.n_samples == len(rows) * HOP
        assert audio.probe(tmp_path / "new.wav").n_samples == len(rows) * HOP


def test_a_change_of_gain_within_a_file_is_a_straight_line(play: Play, make_wav: MakeWav) -> None:
    make_wav("a.wav", np.full(9000, 0.25, np.float32), subtype="FLOAT")
    playlist = in_a_row([("a.wav", 0, 4000), ("a.wav", 4000, 4000)])
    louder = replace(playlist.events[1], gain_db=20 * np.log10(2))
    samples, _ = play(replace(playlist, events=(playlist.events[0], louder)))
    middle = np.linspace(0.25, 0.5, 882)[1::2][:440]
    np.testing.assert_allclose(samples[0, 3780:4220], middle, atol=1e-3)
    np.testing.assert_array_equal(samples[0, :3780], 0.25)
    np.testing.assert_allclose(samples[0, 4220:], 0.5, rtol=1e-6)


@pytest.mark.parametrize("semitones", [0.0, 12.0])
def test_a_gain_curve_is_heard_from_point_to_point(
    semitones: float, play: Play, make_wav: MakeWav
) -> None:
    make_wav("a.wav", np.full(20000, 0.25, np.float32), subtype="FLOAT")
    playlist = in_a_row([("a.wav", 5000, 4000)], crossfade_ms=0)
    curve = ((1000, 20 * float(np.log10(2))), (3000, 0.0))
    [event] = playlist.events
    event = replace(event, onset_sample=500, transpose_semitones=semitones, gain_curve=curve)
    samples, _ = play(replace(playlist, events=(event,)))
    factor = np.interp(np.arange(4000), [1000, 3000], [2, 1])
    np.testing.assert_allclose(samples[0, 500:], 0.25 * factor, rtol=2e-3)
    assert not samples[0, :500].any()


def test_what_lies_outside_the_file_is_silence(play: Play, make_wav: MakeWav) -> None:
    make_wav("a.wav", np.ones(100, np.float32) / 2, subtype="FLOAT")
    samples, _ = play(in_a_row([("a.wav", -50, 300), ("a.wav", 5000, 100)], crossfade_ms=0))
    np.testing.assert_array_equal(samples[0, 50:150], 0.5)
    assert not samples[0, :50].any()
    assert not samples[0, 150:].any()


@pytest.mark.parametrize("block", [1, 100, 1024, 5000])
def test_the_result_does_not_depend_on_the_block_length(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    block: int,
) -> None:
    make_wav("a.wav", noise(rng, 2, 20_000), subtype="FLOAT")
    make_wav("b.wav", noise(rng, 1, 20_000), subtype="FLOAT")
    length = 80 if block == 1 else 900
    playlist = in_a_row(
        [("a.wav", -30, length), ("b.wav", 400, 2 * length), ("a.wav", 10_000, 3 * length)]
    )
    high = PlaylistEvent("a.wav", 300, 2 * length, 500, layer=1, transpose_semitones=7, gain_db=-2)
    playlist = replace(playlist, events=(*playlist.events, high))
    whole, _ = play(playlist)
    monkeypatch.setattr(mixing, "BLOCK_SAMPLES", block)
    np.testing.assert_array_equal(play(playlist)[0], whole)


def test_layers_are_added(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    x = noise(rng, 5000)
    make_wav("a.wav", x, subtype="FLOAT")
    samples, _ = play(
        playlist_of(
            PlaylistEvent("a.wav", 0, 1000, 0),
            PlaylistEvent("a.wav", 2000, 1000, 500, layer=1),
            PlaylistEvent("a.wav", 3000, 200, 1100, gain_db=-200 / 10),
        )
    )
    expected = np.zeros(1500, np.float32)
    expected[:1000] += x[:1000]
    expected[500:1500] += x[2000:3000]
    expected[1100:1300] += np.float32(0.1) * x[3000:3200]
    np.testing.assert_allclose(samples[0], expected, atol=1e-7)


@pytest.mark.parametrize("semitones", [12.0, -12.0, 3.5])
def test_transposition_changes_pitch_not_length_about_the_centre(
    play: Play, make_wav: MakeWav, semitones: float
) -> None:
    t = np.arange(-30_000, 30_000) / RATE
    burst = np.exp(-((t / 0.1) ** 2)) * np.cos(2 * np.pi * 500 * t)
    make_wav("a.wav", burst.astype(np.float32), subtype="FLOAT")
    event = PlaylistEvent("a.wav", 25_000, 10_000, 0, transpose_semitones=semitones)
    samples, _ = play(playlist_of(event))
    ratio = 2 ** (semitones / 12)
    t = ratio * np.arange(-5000, 5000) / RATE
    expected = np.exp(-((t / 0.1) ** 2)) * np.cos(2 * np.pi * 500 * t)
    assert samples.shape == (1, 10_000)
    # The centre is met to half a sample of the source.
    np.testing.assert_allclose(samples[0], expected, atol=2 * np.pi * 500 / RATE * ratio)
    assert np.sqrt(np.mean((samples[0] - expected) ** 2)) < 0.03


def test_transposed_neighbours_are_faded_like_others(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    make_wav("a.wav", noise(rng, 1, 400_000), subtype="FLOAT")
    playlist = in_a_row([("a.wav", int(i), 1500) for i in rng.integers(3000, 390_000, 100)])
    events = tuple(replace(event, transpose_semitones=-5) for event in playlist.events)
    samples, _ = play(replace(playlist, events=events))
    frames = samples[0].reshape(-1, 1500)
    joins = np.concatenate([frames[:-1, -220:], frames[1:, :220]], axis=1)
    assert abs(10 * np.log10(np.mean(joins**2) / np.mean(frames[:, 300:-300] ** 2))) < 0.5


def test_channels_of_the_result(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    mono, stereo = noise(rng, 1, 2000), noise(rng, 2, 2000)
    make_wav("mono.wav", mono, subtype="FLOAT")
    make_wav("stereo.wav", stereo, subtype="FLOAT")
    playlist = in_a_row([("mono.wav", 0, 1000), ("stereo.wav", 0, 1000)], crossfade_ms=0)
    both, _ = play(playlist)
    assert both.shape[0] == 2
    np.testing.assert_array_equal(both[:, :1000], np.repeat(mono[:, :1000], 2, axis=0))
    np.testing.assert_array_equal(both[:, 1000:], stereo[:, :1000])
    single, _ = play(playlist, RenderConfig(subtype="FLOAT", channels="mono"))
    assert single.shape[0] == 1
    np.testing.assert_allclose(single[0, 1000:], stereo[:, :1000].mean(0), atol=1e-8)
    alone = playlist_of(playlist.events[0])
    assert play(alone)[0].shape[0] == 1
    assert play(alone, RenderConfig(subtype="FLOAT", channels="stereo"))[0].shape[0] == 2
    right = replace(playlist.events[1], channels=(1,), onset_sample=0)
    np.testing.assert_array_equal(play(playlist_of(right))[0], stereo[1:, :1000])


def test_more_channels_become_two(rng: np.random.Generator) -> None:
    x = noise(rng, 10, 5)
    stereo = to_channels(x, 2)
    further = np.sqrt(0.5) * x[:, 2:].sum(1)
    np.testing.assert_allclose(stereo, x[:, :2] + further[:, None], rtol=1e-6)
    wide = to_channels(x[:, :2], 5)
    np.testing.assert_array_equal(wide[:, :2], x[:, :2])
    assert not wide[:, 2:].any()


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_files_of_other_rates_and_kinds_are_decoded_once(
    play: Play,
    make_wav: MakeWav,
    store: DescriptorStore,
    tmp_path: Path,
    name: str,
) -> None:
    path = make_wav(name, kind="chirp", duration_s=1.0, sample_rate=48000)
    samples, _ = play(in_a_row([(name, 10_000, 20_000)]))
    expected = audio.read(path, RATE)[:, 10_000:30_000]
    np.testing.assert_allclose(samples, expected, atol=1e-6)
    before = {file: file.stat().st_ino for file in store.cache_dir.rglob("*.npy")}
    assert len(before) == 1
    play(in_a_row([(name, 0, 100), (name, 5000, 100)]))
    assert before == {file: file.stat().st_ino for file in store.cache_dir.rglob("*.npy")}


def test_output_rate_resamples_the_finished_mix(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    make_wav("a.wav", noise(rng, 2, 60_000), subtype="FLOAT")
    playlist = in_a_row([("a.wav", 0, 20_000), ("a.wav", 30_000, 20_001)])
    native, _ = play(playlist)
    config = RenderConfig(subtype="FLOAT", output_sample_rate=48000)
    samples, result = play(playlist, config)
    np.testing.assert_allclose(samples, audio.resample(native, RATE, 48000), atol=1e-6)
    assert result.sample_rate == 48000


@pytest.mark.parametrize("held", [True, False])
def test_peaks_turn_the_whole_file_down(
    play: Play,
    make_wav: MakeWav,
    monkeypatch: pytest.MonkeyPatch,
    held: bool,
) -> None:
    if not held:
        monkeypatch.setattr(writer, "MAX_HELD_BYTES", 1)
    make_wav("a.wav", 0.8 * np.ones(4000, np.float32), subtype="FLOAT")
    make_wav("b.wav", 0.2 * np.ones(4000, np.float32), subtype="FLOAT")
    playlist = playlist_of(
        PlaylistEvent("a.wav", 0, 3000, 0),
        PlaylistEvent("a.wav", 0, 1000, 0, layer=1),
        PlaylistEvent("b.wav", 0, 1000, 3000),
    )
    samples, result = play(playlist, RenderConfig(subtype="PCM_24"))
    assert result.peak == pytest.approx(1.6)
    assert result.gain_db == pytest.approx(-20 * np.log10(1.6))
    np.testing.assert_allclose(samples[0, :1000], 1, atol=1e-6)
    np.testing.assert_allclose(samples[0, 1000:3000], 0.5, atol=1e-6)
    np.testing.assert_allclose(samples[0, 3000:], 0.125, atol=1e-6)
    loud, result = play(playlist)
    assert result.peak == pytest.approx(1.6)
    assert result.gain_db == 0
    np.testing.assert_array_equal(loud[0, :1000], np.float32(0.8) * 2)
    _, result = play(playlist_of(playlist.events[2]), RenderConfig(subtype="PCM_16"))
    assert (result.gain_db, result.peak) == (0, pytest.approx(0.2))


def test_missing_sources_are_named_with_their_event(
    tmp_path: Path, store: DescriptorStore, make_wav: MakeWav, rng: np.random.Generator
) -> None:
    make_wav("a.wav", noise(rng, 1, 4000))
    playlist = in_a_row([("a.wav", 0, 1000), ("gone/b.wav", 0, 1000)])
    with pytest.raises(DescError, match=r"event 2: source 'gone/b\.wav': there is no file"):
        render_to_file(playlist, tmp_path / "new.wav", source_root=tmp_path, store=store)
    with pytest.raises(DescError, match=r"event 1: source 'a\.wav': the folder of root='corpus'"):
        render_to_file(playlist, tmp_path / "new.wav", store=store)
    (tmp_path / "b.ogg").write_bytes(b"no sound")
    broken = in_a_row([("a.wav", 0, 1000), ("b.ogg", 0, 1000)])
    with pytest.raises(DescError, match=r"event 2: source 'b\.ogg': .*b\.ogg"):
        render_to_file(broken, tmp_path / "new.wav", source_root=tmp_path, store=store)
    assert not (tmp_path / "new.wav").exists()


def test_sources_that_changed_are_named_and_played(
    play: Play,
    store: DescriptorStore,
    make_wav: MakeWav,
    rng: np.random.Generator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = make_wav("a.wav", noise(rng, 1, 4000))
    same = PlaylistEvent("a.wav", 0, 1000, 0, digest=store.digest(path))
    other = PlaylistEvent("a.wav", 2000, 1000, 1000, digest="0" * 32)
    play(playlist_of(same))
    assert not caplog.messages
    samples, _ = play(playlist_of(same, other))
    np.testing.assert_array_equal(samples[0, 1000:], audio.read(path)[0, 2000:3000])
    (warning,) = set(caplog.messages)
    assert f"{path}, event 2" in warning


def test_channels_a_file_does_not_have_are_refused(
    tmp_path: Path, store: DescriptorStore, make_wav: MakeWav, rng: np.random.Generator
) -> None:
    make_wav("a.wav", noise(rng, 1, 4000))
    playlist = playlist_of(PlaylistEvent("a.wav", 0, 1000, 0, channels=(1,)))
    with pytest.raises(DescError, match=r"channels=\[1\] must be below 1"):
        render_to_file(playlist, tmp_path / "new.wav", source_root=tmp_path, store=store)


def test_few_files_are_open_at_a_time(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mixing, "MAX_OPEN_FILES", 2)
    open_files: set[object] = set()
    most = 0

    class Counted(audio.AudioReader):
        def __init__(self, *arguments: object) -> None:
            nonlocal most
            super().__init__(*arguments)
            open_files.add(self)
            most = max(most, len(open_files))

        def close(self) -> None:
            super().close()
            open_files.remove(self)

    monkeypatch.setattr(mixing, "AudioReader", Counted)
    names = [f"{i}.wav" for i in range(6)]
    for name in names:
        make_wav(name, noise(rng, 1, 3000))
    samples, _ = play(in_a_row([(name, 100, 500) for name in names * 3]))
    assert samples.shape == (1, 18 * 500)
    assert most <= 3  # the third is open while the first is closed
    assert not open_files


def test_progress_counts_samples(
    store: DescriptorStore, make_wav: MakeWav, rng: np.random.Generator
) -> None:
    path = make_wav("a.wav", noise(rng, 1, 4000))
    calls: list[tuple[str, int, int]] = []
    with reporting(lambda *call: calls.append(call)):
        render(in_a_row([("a.wav", 0, 3000)]), store=store, source_root=path.parent)
    assert calls == [("rendering", 3000, 3000)]


def test_an_unknown_container_is_refused_before_work(
    tmp_path: Path, store: DescriptorStore, make_wav: MakeWav, rng: np.random.Generator
) -> None:
    make_wav("a.wav", noise(rng, 1, 4000))
    playlist = in_a_row([("a.wav", 0, 100)])
    with pytest.raises(AudioError, match=r"'\.xyz' cannot hold"):
        render_to_file(playlist, tmp_path / "new.xyz", source_root=tmp_path, store=store)
    assert not list(tmp_path.glob(".*"))

"""Joins: crossfades, alignment, continuity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc.concatenation import (
    PlaylistEvent,
)
from desc.concatenation.joins import aligned_spans, begins_with_attack
from desc.configuration import RenderConfig
from desc.storage import DescriptorStore
from tests.concatenation.conftest import (
    AS_WRITTEN,
    HOP,
    RATE,
    Audio,
    MakeWav,
    Play,
    in_a_row,
    noise,
    playlist_of,
)


def test_uncorrelated_noise_keeps_its_power_through_joins(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    make_wav("a.wav", noise(rng, 1, 400_000), subtype="FLOAT")
    starts = rng.integers(1000, 390_000, 300)
    samples, _ = play(in_a_row([("a.wav", int(start), HOP) for start in starts]))
    frames = samples[0].reshape(-1, HOP)
    joins = np.concatenate([frames[:-1, -220:], frames[1:, :220]], axis=1)  # all fades together
    inside = frames[:, 300:-300]
    assert abs(10 * np.log10(np.mean(joins**2) / np.mean(inside**2))) < 0.5


def test_a_join_is_both_units_read_beyond_the_boundary(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    x = noise(rng, 50_000)
    make_wav("a.wav", x, subtype="FLOAT")
    playlist = in_a_row([("a.wav", 1000, 3000), ("a.wav", 20_000, 2000)])
    samples, _ = play(playlist, AS_WRITTEN)
    correlation = np.corrcoef(x[3488:4512], x[19_488:20_512])[0, 1]
    faded = adapted_fade(x[3780:4220], x[19_780:20_220], correlation)
    expected = np.concatenate([x[1000:3780], faded, x[20_220:22_000]])
    np.testing.assert_allclose(samples[0], expected, atol=1e-6)
    np.testing.assert_array_equal(samples[0, :2780], x[1000:3780])
    np.testing.assert_array_equal(samples[0, 3220:], x[20_220:22_000])


def adapted_fade(outgoing: Audio, incoming: Audio, correlation: float) -> Audio:
    angle = np.pi / 2 * (np.arange(len(outgoing)) + 0.5) / len(outgoing)
    correlation = round(64 * max(correlation, 0)) / 64  # in such steps, as documented
    power = 1 + 2 * correlation * np.sin(angle) * np.cos(angle)
    faded: Audio = (np.cos(angle) * outgoing + np.sin(angle) * incoming) / np.sqrt(power)
    return faded


@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_join_is_shifted_where_it_fits_and_then_is_no_join(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
    n_channels: int,
) -> None:
    x = noise(rng, n_channels, 20_000)
    late = np.concatenate([noise(rng, n_channels, 150), x], axis=1)  # the same 150 samples later
    make_wav("a.wav", x, subtype="FLOAT")
    make_wav("b.wav", late, subtype="FLOAT")
    # The third unit goes on from the second: it has its shift and no fade.
    playlist = in_a_row([("a.wav", 1000, 3000), ("b.wav", 4000, 2000), ("b.wav", 6000, 900)])
    samples, _ = play(playlist)
    np.testing.assert_array_equal(samples[:, :2780], x[:, 1000:3780])
    np.testing.assert_array_equal(samples[:, 3220:], x[:, 4220:6900])
    np.testing.assert_allclose(samples, x[:, 1000:6900], rtol=0.1, atol=1e-4)
    far = replace(playlist.events[1], start_sample=4400)  # 250 samples: beyond 5 ms
    samples, _ = play(playlist_of(playlist.events[0], far))
    assert not np.allclose(samples[:, 3220:], x[:, 4220:6000])


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_attacks_are_sudden_at_any_rate(rng: np.random.Generator, rate: int) -> None:
    time = np.arange(round(0.06 * rate)) / rate
    tone = np.sin(2 * np.pi * 500 * time)
    sounds = {
        "stroke": tone * (time > 0.03),
        "swell": tone * np.minimum(time / 0.1, 1) ** 2 + 0.05 * tone,
        "hiss": 1e-5 * rng.standard_normal(len(time)) * (time > 0.03),
    }
    heard = {name: begins_with_attack(np.float32(x[:, None]), rate) for name, x in sounds.items()}
    assert heard == {"stroke": True, "swell": False, "hiss": False}


@pytest.mark.parametrize("frequency", [110.0, 441.0, 3000.0])
def test_a_sine_continued_from_itself_keeps_its_level(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
    frequency: float,
) -> None:
    make_wav("a.wav", kind="tone", duration_s=4.0, frequency=frequency, subtype="FLOAT")
    starts = rng.integers(2000, 170_000, 60)
    samples, _ = play(in_a_row([("a.wav", int(start), 2000) for start in starts]))
    angle = 2 * np.pi * frequency / RATE * np.arange(440)
    basis = np.stack([np.cos(angle), np.sin(angle)], 1)
    levels = [
        np.hypot(*np.linalg.lstsq(basis, samples[0, join - 220 : join + 220], rcond=None)[0])
        for join in range(2000, samples.shape[1], 2000)
    ]
    # A tone of 110 Hz has a period of 9.1 ms, so that ±5 ms reach every phase.
    assert np.abs(20 * np.log10(np.array(levels) / 0.5)).max() < 0.1


def test_silence_is_not_aligned(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    x = noise(rng, 9000)
    make_wav("a.wav", x, subtype="FLOAT")
    make_wav("b.wav", np.zeros(9000, np.float32), subtype="FLOAT")
    samples, _ = play(in_a_row([("b.wav", 1000, 2000), ("a.wav", 3000, 2000)]))
    np.testing.assert_array_equal(samples[0, 2220:], x[3220:5000])


def test_no_crossfade_is_a_hard_cut(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    x = noise(rng, 50_000)
    make_wav("a.wav", x, subtype="FLOAT")
    pieces = [("a.wav", 1000, 3000), ("a.wav", 20_000, 2000), ("a.wav", 7, 9)]
    samples, _ = play(in_a_row(pieces, crossfade_ms=0))
    np.testing.assert_array_equal(
        samples[0], np.concatenate([x[1000:4000], x[20_000:22_000], x[7:16]])
    )


def test_long_fades_of_short_units_keep_the_power(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    make_wav("a.wav", noise(rng, 1, 400_000), subtype="FLOAT")
    starts = rng.integers(1000, 390_000, 200)
    pieces = [("a.wav", int(start), 500 + 37 * (i % 20)) for i, start in enumerate(starts)]
    samples, _ = play(in_a_row(pieces, crossfade_ms=1000))
    power = np.mean(samples[0, 500:-500] ** 2) / 0.01
    assert abs(10 * np.log10(power)) < 0.3


def test_units_that_continue_each_other_are_untouched(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
) -> None:
    x = noise(rng, 30_000)
    make_wav("a.wav", x, subtype="FLOAT")
    samples, _ = play(in_a_row([("a.wav", 100, 5000), ("a.wav", 5100, 1), ("a.wav", 5101, 9000)]))
    np.testing.assert_array_equal(samples[0], x[100:14_101])


def test_a_recording_is_joined_with_the_ordinary_fade(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
    tmp_path: Path,
) -> None:
    x, y = noise(rng, 40_000), noise(rng, 40_000)
    make_wav("a.wav", x, subtype="FLOAT")
    make_wav("other/me.wav", y, subtype="FLOAT")
    playlist = in_a_row([("a.wav", 5000, 4 * HOP)])
    longer = playlist.after_recording(
        "me.wav",
        "",
        tmp_path / "other",
        context_end_frame=30,
        hop_length=HOP,
        rendering=RenderConfig(with_recording_s=0.25),
    )
    samples, _ = play(longer, AS_WRITTEN)
    cut, n = 31 * HOP - HOP // 2, round(0.25 * RATE)
    assert samples.shape == (1, n + 4 * HOP)
    np.testing.assert_array_equal(samples[0, : n - 220], y[cut - n : cut - 220])
    np.testing.assert_array_equal(samples[0, n + 220 :], x[5220 : 5000 + 4 * HOP])
    correlation = np.corrcoef(y[cut - 512 : cut + 512], x[4488:5512])[0, 1]
    faded = adapted_fade(y[cut - 220 : cut + 220], x[4780:5220], correlation)
    np.testing.assert_allclose(samples[0, n - 220 : n + 220], faded, atol=1e-6)


def test_a_continuation_by_the_recording_itself_is_seamless(
    play: Play,
    make_wav: MakeWav,
    rng: np.random.Generator,
    store: DescriptorStore,
    tmp_path: Path,
) -> None:
    x = noise(rng, 40_000)
    digest = store.digest(make_wav("me.wav", x, subtype="FLOAT"))
    cut = 21 * HOP - HOP // 2
    playlist = playlist_of(PlaylistEvent("me.wav", cut, 4 * HOP, 0, digest))
    longer = playlist.after_recording(
        "me.wav",
        digest,
        tmp_path,
        context_end_frame=20,
        hop_length=HOP,
        rendering=RenderConfig(with_recording_s=0.2),
    )
    n = round(0.2 * RATE)
    np.testing.assert_array_equal(play(longer)[0][0], x[cut - n : cut + 4 * HOP])


@pytest.mark.parametrize("n_samples", [1024, 2048, 6000])
def test_the_shift_of_a_unit_does_not_depend_on_its_length(
    rng: np.random.Generator, n_samples: int
) -> None:
    """Live, the length of a unit is not known yet where it begins."""
    sound = 0.01 * noise(rng, 20_000)
    for attack_at, shifts in ((10_000 + 2300, False), (10_000 + 9000, True)):
        heard = sound.copy()
        heard[attack_at:] += 0.5 * noise(rng, 20_000 - attack_at)
        heard[10_000 - 700 : 10_000 + 700] = heard[3000 - 700 - 100 : 3000 + 700 - 100]
        playlist = playlist_of(
            PlaylistEvent("a.wav", 1000, 2000, 0, fade_out_ms=10.0),
            PlaylistEvent("a.wav", 10_000, n_samples, 2000, fade_in_ms=10.0),
        )

        def read(event: PlaylistEvent, start: int, n: int, heard: Audio = heard) -> Audio:
            return heard[start : start + n, None]

        shift = aligned_spans(playlist, read, 5.0)[1].shift
        assert shift == (100 if shifts else 0)

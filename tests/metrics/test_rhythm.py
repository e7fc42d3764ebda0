"""Rhythm of clicks with known periods."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.fft import dct

from desc.metrics.rhythm import (
    band_levels,
    beat_period,
    curve_autocorrelation,
    find_pulse,
    onset_curve,
    strength_at,
    track_beats,
)

RATE = 44100 / 1024
Array = np.ndarray


def clicks(period: float, n: int = 512, accents: tuple[float, ...] = (1.0,)) -> Array:
    """Return a curve (n,) with an onset every `period` frames, of heights that repeat."""
    curve = np.zeros(n + 1)
    times = np.arange(3.0, n - 1, period)
    heights = np.resize(accents, len(times))
    whole = times.astype(int)
    np.add.at(curve, whole, heights * (1 - times + whole))
    np.add.at(curve, whole + 1, heights * (times - whole))
    return curve[:n]


@pytest.mark.parametrize("period", [11.4, 17.23, 18.46, 21.5, 30.0, 43.07, 86.1])
def test_the_period_of_clicks_is_found_to_a_fraction_of_a_frame(period: float) -> None:
    found = find_pulse(clicks(period), RATE)
    assert found.period == pytest.approx(period, abs=0.1)
    assert found.strength > 0.5


@pytest.mark.parametrize("accents", [(1.0, 0.8), (1.0, 0.7, 0.9, 0.7)])
def test_the_beat_is_found_among_its_accents(accents: tuple[float, ...]) -> None:
    assert find_pulse(clicks(20.7, accents=accents), RATE).period == pytest.approx(20.7, abs=0.1)


def test_a_weak_offbeat_is_no_beat() -> None:
    found = find_pulse(clicks(15.3, accents=(1.0, 0.1)), RATE)
    assert found.period == pytest.approx(30.6, abs=0.1)


def test_noise_around_the_clicks_weakens_the_pulse(rng: np.random.Generator) -> None:
    clean = clicks(24.2)
    noisy = clean + 0.1 * rng.random(512)
    assert find_pulse(noisy, RATE).period == pytest.approx(24.2, abs=0.1)
    assert 0.3 < find_pulse(noisy, RATE).strength < find_pulse(clean, RATE).strength


def test_onsets_at_random_times_have_no_pulse(rng: np.random.Generator) -> None:
    strengths = [find_pulse(rng.random(512) < 0.05, RATE).strength for _ in range(20)]
    assert np.mean(strengths) < 0.3


@pytest.mark.parametrize("curve", [np.zeros(512), np.full(512, 0.1), clicks(20, n=15)])
def test_a_constant_or_short_curve_has_no_period(curve: Array) -> None:
    found = find_pulse(curve, RATE)
    assert math.isnan(found.period)
    assert found.strength == 0
    assert math.isnan(strength_at(curve, found.period))


def test_any_short_curve_has_an_answer(rng: np.random.Generator) -> None:
    for n in range(1, 80):
        found = find_pulse(rng.random(n).cumsum(), RATE)
        assert 0 <= found.strength <= 1
        assert math.isnan(found.period) or found.strength > 0


def test_strength_at_a_period_of_other_music() -> None:
    beat = find_pulse(clicks(22), RATE)
    assert strength_at(clicks(22)[7:], beat.period) == pytest.approx(beat.strength, abs=0.05)
    assert strength_at(clicks(29.1), beat.period) < 0.1
    assert math.isnan(strength_at(clicks(21.5, n=20), beat.period))


def test_autocorrelation_by_hand() -> None:
    centred = np.array([0.75, -0.25, -0.25, -0.25])
    by_hand = [sum(centred[k:] * centred[: 4 - k]) / 0.75 for k in range(4)]
    assert curve_autocorrelation([1, 0, 0, 0]) == pytest.approx(by_hand)
    assert curve_autocorrelation([3, 3, 3]).tolist() == [0, 0, 0]


def test_only_what_rises_is_an_onset() -> None:
    levels = [[0, 0], [2, 4], [2, 1], [0, 2]]
    assert onset_curve(levels).tolist() == [0, 3, 0, 0.5]


def test_band_levels_undo_the_cosine_transform(rng: np.random.Generator) -> None:
    levels = rng.standard_normal((5, 13))
    mfcc = dct(levels, type=2, norm="ortho", axis=1)
    assert band_levels(mfcc) == pytest.approx(levels)


@pytest.mark.parametrize("period", [17.3, 21.5, 30.0])
def test_beats_are_the_strokes_of_a_steady_pulse(rng: np.random.Generator, period: float) -> None:
    curve = rng.uniform(0, 0.2, 1500)
    beats = np.rint(9 + period * np.arange(1400 // period)).astype(int)
    curve[beats] += 1
    found = track_beats(curve, RATE)
    inside = (found >= beats[0]) & (found <= beats[-1])
    np.testing.assert_array_equal(found[inside], beats)
    assert beat_period(curve, RATE) == pytest.approx(period, rel=0.002)


def test_without_a_pulse_there_are_no_beats(rng: np.random.Generator) -> None:
    assert not len(track_beats(np.zeros(100), RATE))
    assert not len(track_beats(rng.uniform(size=5000), RATE))
    assert not len(track_beats([1.0, 0.0], RATE))


@pytest.mark.parametrize("rate", [2.0, 4.0, 5.4, 10.0, RATE])
def test_slow_swells_and_low_frame_rates_have_beats_or_none(
    rng: np.random.Generator, rate: float
) -> None:
    for seconds in (0.7, 2.0, 3.0):
        swell = np.maximum(np.sin(2 * np.pi * np.arange(20 * rate) / (seconds * rate)), 0)
        beats = track_beats(swell + 0.02 * rng.random(len(swell)), rate)
        assert not len(beats) or (np.diff(beats) > 0).all()
        if rate == RATE and len(beats) > 1:
            assert np.median(np.diff(beats)) > 0.4 * seconds * rate


def test_constant_curves_have_no_beat_period() -> None:
    assert np.isnan(beat_period(np.zeros(100), RATE))

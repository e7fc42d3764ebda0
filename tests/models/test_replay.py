"""Replayed blocks: where they begin, how long they are, and the beat that they keep."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.standardizer import Standardizer
from desc.metrics.rhythm import band_levels, find_pulse, onset_curve
from desc.models.replay import context_period, replayed_positions
from desc.models.var import VectorAutoregression

Array = np.ndarray
N = 512


def positions(n: int, block: float, period: float, frames: int = 20_000, seed: int = 0) -> Array:
    random = np.random.default_rng(seed).random
    drawn = replayed_positions(n, block, period, lambda k: random(k).tolist())
    return np.array(list(islice(drawn, frames)))


def joins(x: Array) -> Array:
    """Return the places at which a block begins."""
    return np.flatnonzero(np.diff(x) != 1) + 1


def test_without_a_pulse_blocks_begin_anywhere() -> None:
    x = positions(50, 20, math.nan)
    assert x.min() == 0
    assert x.max() == 49
    assert len(joins(x)) / len(x) == pytest.approx(1 / 20 + 1 / 50, abs=0.02)


@pytest.mark.parametrize("period", [11.4, 20.0, 27.7, 129.2, 250.0])
def test_every_position_is_in_phase_with_the_context(period: float) -> None:
    x = positions(N, 60, period)
    assert x.min() >= 0
    assert x.max() < N
    # Frame t of the continuation is frame N + t of the music.
    phase = (N + np.arange(len(x)) - x) / period
    assert np.abs(phase - phase.round()).max() * period < 1.01
    assert np.ptp(x) > N - 2 * period


@pytest.mark.parametrize(("block", "beats"), [(80, 4), (5, 1)])
def test_a_block_lasts_whole_beats(block: float, beats: int) -> None:
    at = joins(positions(100_000, block, 20.0))
    assert np.all(np.diff(at) % 20 == 0)
    assert np.diff(at).mean() == pytest.approx(20 * beats, rel=0.1)


def test_a_longer_continuation_begins_as_a_shorter_one() -> None:
    assert positions(N, 40, 21.3, 700)[:300].tolist() == positions(N, 40, 21.3, 300).tolist()


@pytest.mark.parametrize("period", [math.nan, 0.7, 1.0, 3.0])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_tiny_contexts(n: int, period: float) -> None:
    x = positions(n, 20, period, 100)
    assert set(x.tolist()) <= set(range(n))


def beating(period: float, n: int, rng: np.random.Generator) -> Array:
    """Return MFCC (n, 13) of noise with a sound every `period` frames."""
    phase = np.arange(n) % period
    levels = np.exp(-phase[:, None] / 6) * np.linspace(1, 0.3, 13) * 30
    mfcc = np.zeros((n, 13))
    mfcc[:, 0] = levels.mean(1) * 11
    mfcc[:, 1:4] = levels[:, :3] * 2
    return mfcc + rng.standard_normal((n, 13))


@pytest.fixture(scope="module")
def standardizer() -> Standardizer:
    scale = np.where(np.arange(39) == 0, 80.0, 10.0)
    return Standardizer(np.zeros(39), scale, DescriptorConfig(descriptors=("mfcc",)))


def test_the_period_of_a_context(standardizer: Standardizer, rng: np.random.Generator) -> None:
    period = context_period(beating(24.0, N, rng), standardizer)
    assert period / 24 == pytest.approx(round(period / 24), abs=0.01)
    noise = rng.standard_normal((N, 13))
    assert math.isnan(context_period(noise, standardizer))
    assert math.isnan(context_period(np.zeros((N, 13)), standardizer))
    assert math.isnan(context_period(noise[:9], standardizer))


def test_the_period_without_mfcc() -> None:
    config = DescriptorConfig(descriptors=("rms",))
    rms = np.exp(-(np.arange(N) % 24.0) / 6)[:, None]
    period = context_period(rms, Standardizer(np.zeros(3), np.ones(3), config))
    assert period / 24 == pytest.approx(round(period / 24), abs=0.01)


def test_a_regression_keeps_the_beat_in_phase(
    standardizer: Standardizer, rng: np.random.Generator
) -> None:
    music = beating(23.4, 4 * N, rng)
    x = standardizer.transform_static(music)
    var = VectorAutoregression.fit([x], np.full(13, -20.0), np.full(13, 20.0))
    context, scale = music[:N], standardizer.scale[:13]
    strength = {}
    for period in (math.nan, context_period(context, standardizer)):
        drawn = var.continuation(x[:N], N, np.random.default_rng(0), period=period) * scale
        both = onset_curve(band_levels(np.concatenate([context, drawn])))
        strength[period > 0] = find_pulse(both, standardizer.config.frame_rate).strength
    assert strength[True] > 0.7 > strength[False]

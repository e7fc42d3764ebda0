"""Continuations of onset curves with a known beat."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.standardizer import Standardizer
from desc.scoring.beat import Beats, described_onsets

RATE = 43.0
Curve = npt.NDArray[np.float64]


def beating(period: float, rng: np.random.Generator, n: int = 512) -> Curve:
    """Clicks at a period in frames, in noise."""
    curve = 0.05 * rng.random(n)
    curve[np.arange(3.0, n, period).astype(int)] += 1
    return curve


@pytest.fixture
def contexts(rng: np.random.Generator) -> list[Curve]:
    """Two excerpts with a beat, one of noise."""
    return [beating(20, rng), beating(31, rng), rng.random(512)]


@pytest.fixture
def beats(contexts: list[Curve]) -> Beats:
    return Beats(contexts, np.arange(3), RATE)


def test_a_continuation_in_time_keeps_the_beat(
    beats: Beats, contexts: list[Curve], rng: np.random.Generator
) -> None:
    figures = beats.figures([beating(20, rng), beating(31, rng), rng.random(512)])
    assert figures["beats"] == 2
    assert figures["beats_kept"] == figures["tempo"] == 1
    assert figures["beat"] > 0.8
    assert beats.figures(contexts)["rhythm"] == pytest.approx(1)


def test_another_beat_or_none_does_not_keep_it(beats: Beats, rng: np.random.Generator) -> None:
    other = beats.figures([beating(20, rng), beating(27, rng), rng.random(512)])
    assert other["beats_kept"] == other["tempo"] == 0.5
    assert other["pulse"] > 0.5, "it has a beat of its own"
    noise = beats.figures([rng.random(512) for _ in range(3)])
    assert noise["beats_kept"] == 0
    assert noise["beat"] < 0.2 > abs(noise["rhythm"])


def test_twice_as_fast_is_the_same_tempo(beats: Beats, rng: np.random.Generator) -> None:
    figures = beats.figures([beating(40, rng), beating(15.5, rng), rng.random(512)])
    assert figures["tempo"] == 1


def test_music_without_a_beat_has_none_to_keep(rng: np.random.Generator) -> None:
    noise = [rng.random(512)]
    figures = Beats(noise, np.zeros(1, int), RATE).figures(noise)
    assert figures["beats"] == 0
    assert math.isnan(figures["beats_kept"])
    assert math.isnan(figures["beat"])


def test_onsets_are_those_of_the_mfcc_in_their_units(rng: np.random.Generator) -> None:
    """A louder frame is an onset, whatever the scale; other columns do not count."""
    config = DescriptorConfig(descriptors=("rms", "mfcc"))
    scale = rng.uniform(1, 50, config.n_columns)
    standardizer = Standardizer(rng.standard_normal(config.n_columns), scale, config)
    z = np.zeros((20, len(config.static_columns)))
    z[10:, 1] = 100 / scale[config.groups["mfcc"][0]]
    z[:, 0] = rng.standard_normal(20)
    curve = described_onsets(z, standardizer)
    assert curve is not None
    assert curve[10] == pytest.approx(100 / np.sqrt(13))
    assert np.delete(curve, 10) == pytest.approx(0, abs=1e-9)
    other = DescriptorConfig(descriptors=("rms",))
    assert described_onsets(z[:, :1], Standardizer(np.zeros(1), np.ones(1), other)) is None

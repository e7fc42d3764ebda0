"""Forecasts with known scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from desc.metrics.forecast import crps, energy_score, mean_nll, skill, spread


def test_skill_of_persistence_and_of_the_truth(rng: np.random.Generator) -> None:
    last, target = rng.standard_normal((2, 50, 3))
    assert skill(last, target, last) == 0
    assert skill(target, target, last) == 1
    assert skill((last + target) / 2, target, last) == pytest.approx(0.75)
    assert math.isnan(skill(last, last, last))


def test_mean_nll_counts_what_counts() -> None:
    assert mean_nll([1.0, 2.0, 100.0], [True, True, False]) == 1.5
    assert math.isnan(mean_nll([1.0], [False]))


def test_crps_of_a_gaussian_is_its_closed_form(rng: np.random.Generator) -> None:
    """E CRPS of N(0, 1) for y = 0: 2φ(0) - 1/√π (Gneiting & Raftery 2007, equation 21)."""
    samples = rng.standard_normal((10, 40000, 1))
    expected = math.sqrt(2 / math.pi) - 1 / math.sqrt(math.pi)
    assert crps(samples, np.zeros((40000, 1))) == pytest.approx(expected, abs=0.01)


def test_crps_is_fair(rng: np.random.Generator) -> None:
    """Its expectation is the same with two samples as with twenty: 1/√π for the truth."""
    for m in (2, 20):
        samples, real = rng.standard_normal((m, 30000, 1)), rng.standard_normal((30000, 1))
        assert crps(samples, real) == pytest.approx(1 / math.sqrt(math.pi), abs=0.015)


def test_one_sample_is_a_point_forecast() -> None:
    samples, real = np.ones((1, 4, 2)), np.zeros((4, 2))
    assert crps(samples, real) == 1
    assert crps(np.ones((3, 4, 2)), real) == 1  # copies of it as well
    assert energy_score(samples, real) == pytest.approx(math.sqrt(2))
    assert math.isnan(spread(samples, real))


def test_energy_score_of_one_column_is_crps(rng: np.random.Generator) -> None:
    samples, real = rng.standard_normal((5, 100, 1)), rng.standard_normal((100, 1))
    assert energy_score(samples, real) == pytest.approx(crps(samples, real))


def test_spread_tells_calibrated_narrow_and_none(rng: np.random.Generator) -> None:
    samples, real = rng.standard_normal((8, 2000, 13)), rng.standard_normal((2000, 13))
    assert spread(samples, real) == pytest.approx(1, abs=0.02)
    # Of N(0, s²I): √2 s between samples, √(1 + s²) to reality.
    assert spread(0.5 * samples, real) == pytest.approx(0.5 * math.sqrt(2 / 1.25), abs=0.02)
    assert spread(np.zeros((2, 5, 3)), np.ones((5, 3))) == 0


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="must be"):
        crps(np.zeros((2, 3, 4)), np.zeros((3, 5)))

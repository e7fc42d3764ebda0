"""Movement with known ratios and spectra."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from desc.metrics.movement import (
    acf_distance,
    autocorrelation,
    diff_ratio,
    modspec_db,
    modulation_spectrum,
    tail_std,
)

RATE = 44100 / 1024
Array = np.ndarray


def process(rng: np.random.Generator, n: int = 60, phi: float = 0.9) -> Array:
    """Return excerpts (n, 512, 3) of an autoregression of order 1, standard deviation 1."""
    noise = rng.standard_normal((n, 1024, 3)) * math.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], noise, axis=1)[:, 512:]


def test_two_halves_of_a_process_lie_at_the_floor(rng: np.random.Generator) -> None:
    x, y = process(rng), process(rng)
    assert tail_std(x, y) == pytest.approx(1, abs=0.05)
    assert diff_ratio(x, y) == pytest.approx(1, abs=0.02)
    assert acf_distance(x, y) < 0.03
    assert modspec_db(x, y, RATE) < 0.7


def test_scaling_shows(rng: np.random.Generator) -> None:
    x = process(rng)
    assert tail_std(1.3 * x, x) == pytest.approx(1.3)
    assert diff_ratio(1.3 * x, x) == pytest.approx(1.3)
    assert modspec_db(1.3 * x, x, RATE) == pytest.approx(20 * math.log10(1.3))
    assert acf_distance(1.3 * x, x) == pytest.approx(0)


def test_a_flat_line_shows(rng: np.random.Generator) -> None:
    x = process(rng)
    flat = np.zeros_like(x)
    assert tail_std(flat, x) == pytest.approx(0.001)
    assert diff_ratio(flat, x) == pytest.approx(0.001)
    assert modspec_db(flat, x, RATE) == pytest.approx(80)
    assert math.isnan(tail_std(x, flat))


def test_shuffled_frames_raise_diff_ratio(rng: np.random.Generator) -> None:
    x = process(rng)
    shuffled = rng.permuted(x, axis=1)
    assert tail_std(shuffled, x) == pytest.approx(1, abs=0.1)  # which cannot see it
    # First differences of white noise: √2; of the process: √(2 (1 - .9)).
    assert diff_ratio(shuffled, x) == pytest.approx(math.sqrt(1 / 0.1), rel=0.05)
    assert acf_distance(shuffled, x) > 0.2


def test_autocorrelation_of_a_process(rng: np.random.Generator) -> None:
    curve = autocorrelation(process(rng, 200), lags=10)
    assert curve.shape == (10, 3)
    np.testing.assert_allclose(curve, 0.9 ** np.arange(1, 11)[:, None] @ np.ones((1, 3)), atol=0.08)


def test_a_vibrato_lies_in_its_band() -> None:
    t = np.arange(512) / RATE
    x = np.sin(2 * np.pi * 5 * t)[None, :, None]
    centres, power = modulation_spectrum(x, RATE)
    assert len(centres) == 8
    loudest = centres[power[:, 0].argmax()]
    assert 5 / 1.4 < loudest < 5 * 1.4


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="must be"):
        tail_std(np.zeros((3, 4)), np.zeros((3, 4)))

"""Sets of windows with known distances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from desc.metrics.realism import c2st, frechet_distance, frechet_error, track_distance
from desc.metrics.windows import nearest_windows, novelty


def test_frechet_distance_of_gaussians_is_its_closed_form(rng: np.random.Generator) -> None:
    x = rng.standard_normal((200000, 2))
    y = rng.standard_normal((200000, 2)) * [2.0, 0.5] + [3.0, 0.0]
    assert frechet_distance(x, y) == pytest.approx(9 + 1 + 0.25, rel=0.01)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert math.isnan(frechet_distance(x[:1], y))


def test_frechet_distance_sees_correlation(rng: np.random.Generator) -> None:
    """Of covariances I and [[1, r], [r, 1]]: 4 - 2 (√(1 + r) + √(1 - r))."""
    x = rng.standard_normal((200000, 2))
    factor = np.linalg.cholesky([[1, 0.8], [0.8, 1]])
    y = rng.standard_normal((200000, 2)) @ factor.T
    expected = 4 - 2 * (math.sqrt(1.8) + math.sqrt(0.2))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=0.03)


def test_the_error_of_a_frechet_distance_is_that_of_the_recordings(
    rng: np.random.Generator,
) -> None:
    """The distance of sets of equal spread is m², with m of standard deviation .5 / √40."""
    tracks = np.repeat(np.arange(40), 50)
    real = rng.standard_normal((2000, 1))
    offsets = rng.normal(3, 0.5, 40)
    found = frechet_error(real + offsets[tracks, None], real, tracks, tracks)
    assert found == pytest.approx(2 * 3 * 0.5 / math.sqrt(40), rel=0.25)
    assert frechet_error(real, real, tracks, tracks) == pytest.approx(0, abs=1e-9)
    two = tracks < 2
    assert math.isnan(frechet_error(real[two], real[two], tracks[two], tracks[two]))


def test_track_distance_is_of_means(rng: np.random.Generator) -> None:
    x = rng.standard_normal((40, 6))
    tracks = np.repeat([0, 1], 20)
    assert track_distance(x, x, tracks, tracks) == 0
    assert track_distance(x + 2, x, tracks, tracks) == pytest.approx(2)
    assert track_distance(x, x, tracks, 1 - tracks) > 0
    assert math.isnan(track_distance(x, x, tracks, tracks + 2))


def test_a_classifier_finds_what_is_there_and_nothing_else(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((2, 200, 5))
    tracks = np.repeat(np.arange(4), 50)
    assert c2st(x, y, tracks, tracks) == pytest.approx(0.5, abs=0.1)
    assert c2st(x + np.array([3, 0, 0, 0, 0]), y, tracks, tracks) > 0.95
    assert math.isnan(c2st(x, y, np.zeros(200), np.zeros(200)))


def test_a_copy_is_found_where_it_is(rng: np.random.Generator) -> None:
    recording = rng.standard_normal((5000, 4))
    windows = np.stack([recording[s : s + 43] for s in (0, 2047, 2048, 4957)])
    distance, start = nearest_windows(windows, recording)
    np.testing.assert_array_equal(distance, 0)
    np.testing.assert_array_equal(start, [0, 2047, 2048, 4957])
    distance, start = nearest_windows(windows, recording[:20])
    assert np.isinf(distance).all()
    assert (start == -1).all()


def test_a_constant_shift_is_its_own_distance(rng: np.random.Generator) -> None:
    recording = rng.standard_normal((500, 4))
    distance, start = nearest_windows(recording[None, 100:143] + 0.1, recording)
    assert start[0] == 100
    assert distance[0] == pytest.approx(0.1)


def test_a_loop_is_not_new(rng: np.random.Generator) -> None:
    contexts = rng.standard_normal((5, 200, 4))
    training = [rng.standard_normal((400, 4))]
    assert novelty(contexts, contexts, training) == 0  # its own context
    assert novelty(np.roll(contexts, 1, axis=0), contexts, training) > 0.5  # another's
    assert novelty(np.stack([training[0][:200]] * 5), contexts, training) == 0
    assert math.isnan(novelty(contexts[:, :40], contexts, training))

"""The linear baseline against processes whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from desc.errors import ConfigurationError
from desc.metrics.forecast import skill
from desc.models.var import VectorAutoregression, lagged, running_mean

COEFFICIENTS = np.array([[[0.6, 0.1], [-0.1, 0.5]], [[0.2, 0.0], [0.05, 0.25]]])
NOISE = np.array([[0.5, 0.0], [0.2, 0.4]])
BOUNDS = (np.full(2, -50.0), np.full(2, 50.0))


def process(n: int, seed: int = 0) -> np.ndarray:
    """(n, 2) of a VAR(2)."""
    noise = np.random.default_rng(seed).standard_normal((n + 100, 2)) @ NOISE.T
    x = np.zeros((n + 100, 2))
    for t in range(2, n + 100):
        x[t] = COEFFICIENTS[0] @ x[t - 1] + COEFFICIENTS[1] @ x[t - 2] + noise[t]
    return x[100:]


@pytest.fixture(scope="module")
def var() -> VectorAutoregression:
    return VectorAutoregression.fit([process(40_000), process(20_000, 1)], *BOUNDS)


def test_finds_the_coefficients(var: VectorAutoregression) -> None:
    assert var.coefficients.shape == (16, 2, 2)
    np.testing.assert_allclose(var.coefficients[:2], COEFFICIENTS, atol=0.03)
    np.testing.assert_allclose(var.coefficients[2:], 0.0, atol=0.03)
    np.testing.assert_allclose(var.covariance, NOISE @ NOISE.T, rtol=0.03)


def test_nll_is_the_entropy_rate(var: VectorAutoregression) -> None:
    entropy = 0.5 * math.log((2 * math.pi * math.e) ** 2 * np.linalg.det(NOISE @ NOISE.T))
    nll = var.nll(process(20_000, 2))
    assert nll.shape == (20_000 - 16,)
    assert nll[600:].mean() == pytest.approx(entropy, abs=0.03)


def test_skill_is_that_of_the_process(var: VectorAutoregression) -> None:
    x = process(20_000, 2)
    persistence = ((x[1:] - x[:-1]) ** 2).mean()
    expected = 1 - np.trace(NOISE @ NOISE.T) / 2 / persistence
    measured = skill(var.predict(x), x[var.order :], x[var.order - 1 : -1])
    assert measured == pytest.approx(expected, abs=0.03)
    assert var.predict(process(10, 3)).shape == (0, 2)


@pytest.mark.parametrize("sampling", ["replay", "gaussian"])
def test_continuation_moves_like_the_process(var: VectorAutoregression, sampling: str) -> None:
    x = process(512, 3)
    y = var.continuation(x, 20_000, np.random.default_rng(0), sampling=sampling)
    np.testing.assert_allclose(y.std(0), process(40_000).std(0), rtol=0.15)
    np.testing.assert_allclose(y.mean(0), x.mean(0), atol=0.25)


def test_mean_flat_lines_at_the_context_mean(var: VectorAutoregression) -> None:
    x = process(512, 3) + 3.0
    y = var.continuation(x, 500, np.random.default_rng(0), sampling="mean")
    np.testing.assert_allclose(y[-1], x.mean(0), atol=1e-3)


@pytest.mark.parametrize("length", [1, 2, 9, 16, 17, 40])
def test_short_contexts(var: VectorAutoregression, length: int) -> None:
    y = var.continuation(process(512, 3)[:length], 100, np.random.default_rng(0))
    assert y.shape == (100, 2)
    assert np.isfinite(y).all()


def test_predict_and_continuation_agree(var: VectorAutoregression) -> None:
    x = process(512, 3)
    following = np.concatenate([x, np.zeros((1, 2))])
    step = var.continuation(x, 1, np.random.default_rng(0), sampling="mean")[0]
    np.testing.assert_allclose(step, var.predict(following)[-1], atol=1e-9)


def test_one_seed_one_result_within_bounds(var: VectorAutoregression) -> None:
    tight = VectorAutoregression(
        var.coefficients, var.covariance, np.full(2, -0.5), np.full(2, 0.5)
    )
    one, other = (
        tight.continuation(process(512, 3), 300, np.random.default_rng(4)) for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)
    assert np.abs(one).max() <= 0.5


def test_tiny_and_still_recordings() -> None:
    for recordings in (
        [process(9)],
        [process(20)],
        [np.zeros((500, 2))],
        [np.cumsum(np.ones((400, 2)), axis=0)],  # a line, whose regression is no contraction
    ):
        var = VectorAutoregression.fit(recordings, *BOUNDS)
        assert np.isfinite(var.covariance).all()
        assert np.isfinite(var.nll(process(60, 5))).all()
        y = var.continuation(recordings[0], 3000, np.random.default_rng(0))
        assert np.isfinite(y).all()


def test_round_trip(var: VectorAutoregression) -> None:
    again = VectorAutoregression(**vars(var))
    x = process(100, 6)
    np.testing.assert_array_equal(again.nll(x), var.nll(x))


def test_parts() -> None:
    x = np.arange(10.0)[:, None]
    np.testing.assert_array_equal(lagged(x, 3)[0], [2, 1, 0])
    np.testing.assert_array_equal(running_mean(x, 4)[:, 0], [0, 0, 0.5, 1, 1.5, 2.5, 3.5, 4.5, 5.5,
                                                            6.5])  # fmt: skip


def test_nothing_to_fit_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        VectorAutoregression.fit([], *BOUNDS)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    x = rng.standard_normal((300, 2)).cumsum(0)
    whole = VectorAutoregression.fit([x], [-99, -99], [99, 99], order=3)
    predicted, nll = whole.predict(x), whole.nll(x)
    monkeypatch.setattr("desc.models.var.BLOCK_ROWS", 64)
    parts = VectorAutoregression.fit([x], [-99, -99], [99, 99], order=3)
    np.testing.assert_allclose(parts.coefficients, whole.coefficients, atol=1e-9)
    np.testing.assert_allclose(parts.covariance, whole.covariance, atol=1e-9)
    np.testing.assert_allclose(whole.predict(x), predicted, atol=1e-12)
    np.testing.assert_allclose(whole.nll(x), nll, atol=1e-12)

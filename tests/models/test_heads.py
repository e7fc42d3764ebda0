"""Output distributions against known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from desc.configuration import HEADS, ModelConfig
from desc.errors import ConfigurationError
from desc.models.heads import (
    LOG_SIGMA,
    GaussianHead,
    Head,
    MeanSquareHead,
    MixtureHead,
    StudentHead,
    bounded_log_sigma,
    create_head,
    raw_log_sigma,
)

WHITENING = np.array([[2.0, 0.0], [-1.5, 0.8]])
DENSITIES = [name for name in HEADS if name != "mse"]


def head_of(name: str, whitening: np.ndarray = WHITENING) -> Head:
    torch.manual_seed(3)
    head = create_head(name, 6, whitening, n_components=4)
    with torch.no_grad():
        head.linear.weight *= 20
    return head


@pytest.mark.parametrize("local_scale", [1.0, 1.5])
@pytest.mark.parametrize("name", DENSITIES)
def test_density_integrates_to_one(name: str, local_scale: float) -> None:
    """exp(-score) over standardised differences, so the log-determinant is right too."""
    head = head_of(name)
    parameters = head(torch.randn(1, 6, generator=torch.Generator().manual_seed(0)))
    axis = torch.linspace(-60, 60, 1201)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        score = head.score(parameters, grid, torch.tensor([[local_scale]]))
        total = torch.exp(-score).sum() * 0.1**2
    assert float(total) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", DENSITIES)
def test_samples_follow_the_moments(name: str) -> None:
    head = head_of(name)
    parameters = head(torch.randn(1, 6, generator=torch.Generator().manual_seed(0)))
    noise = head.noise(torch.Generator().manual_seed(1), 200_000)
    with torch.no_grad():
        u = head.sample(parameters.expand(len(noise), -1), noise)
        mean, deviation = head.moments(parameters)
        entropy = head.score(parameters, head.unwhiten(u), torch.ones(1, 1)).mean()
    torch.testing.assert_close(u.mean(0), mean[0], atol=0.05, rtol=0.02)
    tolerance = 0.15 if name == "student_t" else 0.02  # its fourth moment may be infinite
    torch.testing.assert_close(u.std(0), deviation[0], atol=0.02, rtol=tolerance)
    assert math.isfinite(float(entropy))


@pytest.mark.parametrize("name", DENSITIES)
def test_samples_have_the_density(name: str) -> None:
    """Shares of the samples in half-planes."""
    head = head_of(name)
    parameters = head(torch.zeros(1, 6))
    noise = head.noise(torch.Generator().manual_seed(1), 100_000)
    with torch.no_grad():
        u = head.sample(parameters.expand(len(noise), -1), noise)
        axis = torch.linspace(-30, 30, 601)
        grid = torch.cartesian_prod(axis, axis)
        density = torch.exp(head.log_prob(parameters, grid)).reshape(601, 601) * 0.1**2
    for edge in (-1.05, 0.05, 0.55):  # between the points of the grid
        expected = density[axis < edge].sum()
        assert float((u[:, 0] < edge).float().mean()) == pytest.approx(float(expected), abs=0.01)


@pytest.mark.parametrize("name", HEADS)
def test_temperature_scales_the_distance_from_the_mean(name: str) -> None:
    head = head_of(name)
    parameters = head(torch.randn(5, 6))
    noise = head.noise(torch.Generator().manual_seed(1), 5)
    mean, _ = head.moments(parameters)
    warm = head.draw(parameters, noise, 1.0)
    torch.testing.assert_close(head.draw(parameters, noise, 0.0), mean)
    torch.testing.assert_close(head.draw(parameters, noise, 0.5), mean + 0.5 * (warm - mean))


def test_gaussian_of_unit_deviation_has_the_known_score() -> None:
    head = GaussianHead(6, WHITENING)
    with torch.no_grad():
        head.linear.weight.zero_()
    difference = torch.tensor([[0.3, -0.2]])
    u = WHITENING @ [0.3, -0.2]
    expected = 0.5 * u @ u + math.log(2 * math.pi) - math.log(2.0 * 0.8)
    score = head.score(head(torch.zeros(1, 6)), difference, torch.ones(1, 1))
    assert score.item() == pytest.approx(expected, 1e-5)


def test_mse_scores_half_the_squared_error_in_standardised_units() -> None:
    head = MeanSquareHead(6, WHITENING)
    parameters = torch.tensor(WHITENING @ [1.0, 2.0], dtype=torch.float32)[None]
    for local_scale, expected in ((1.0, 0.5 * (0.25 + 4.0)), (0.5, 0.5 * (1.0 + 1.0))):
        score = head.score(parameters, torch.tensor([[1.5, 0.0]]), torch.tensor([[local_scale]]))
        assert float(score) == pytest.approx(expected, rel=1e-5)


def test_mixture_starts_at_scales_from_a_third_to_three() -> None:
    head = MixtureHead(6, np.eye(13), 8)
    _, _, log_sigma = head.components(head(torch.zeros(1, 6)))
    scales = log_sigma.exp()[0, :, 0]
    assert float(scales[0]) == pytest.approx(1 / 3, rel=1e-4)
    assert float(scales[-1]) == pytest.approx(3.0, rel=1e-4)


def test_log_sigma_is_bounded() -> None:
    extremes = bounded_log_sigma(torch.tensor([-1e6, 1e6]))
    assert extremes.tolist() == list(LOG_SIGMA)
    scale = torch.tensor([0.1, 1.0, 5.0])
    torch.testing.assert_close(bounded_log_sigma(raw_log_sigma(scale)).exp(), scale)


def test_student_resembles_scipy() -> None:
    from scipy.stats import t as student

    head = StudentHead(6, np.eye(1))
    parameters = torch.tensor([[0.4, 0.3, 1.0]])
    location, log_scale, freedom = (float(x) for x in head.components(parameters))
    u = torch.linspace(-5, 5, 11)[:, None]
    expected = student.logpdf(u[:, 0], freedom, location, math.exp(log_scale))
    torch.testing.assert_close(
        head.log_prob(parameters, u).double(), torch.tensor(expected), atol=1e-4, rtol=1e-4
    )


def test_unknown_head_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="mixture, gaussian, student_t, mse"):
        ModelConfig(head="vonmises")

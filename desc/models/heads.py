"""Output distributions of the next frame, given the network's output.

All describe the innovation e, the residual after the mean-reverting prediction of a frame, in
standardised units. It is divided by the local scale s of the context and whitened: the columns of
u = W·e/s are independent with standard deviation 1 for an average innovation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Matrix = npt.NDArray[np.float64]

DETERMINISTIC = "mse"  # head whose score is half a squared error, not a density
LOG_SIGMA = (-3.0, 2.0)  # bounds of a component's log standard deviation
FIRST_SCALES = (1 / 3, 3.0)  # initial deviations of the mixture's components
FIRST_GAIN = 0.1  # factor on the initial weights of the projection
LEAST_FREEDOM = 2.5  # least degrees of freedom: above 2 the Student distribution has a variance


def bounded_log_sigma(raw: Tensor) -> Tensor:
    """Map any number to a log-deviation within `LOG_SIGMA`."""
    low, high = LOG_SIGMA
    return low + (high - low) * torch.sigmoid(raw)


def raw_log_sigma(scale: Tensor) -> Tensor:
    """Return the number that `bounded_log_sigma` maps to log(scale)."""
    low, high = LOG_SIGMA
    return torch.logit((scale.log() - low) / (high - low))


def gaussian_log_prob(u: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    """Log-density of independent Gaussians, summed over the last axis."""
    z = (u - mean) * torch.exp(-log_sigma)
    n = u.shape[-1]
    return -0.5 * z.square().sum(-1) - log_sigma.sum(-1) - 0.5 * n * math.log(2 * math.pi)


class Head(nn.Module, ABC):
    """An output distribution, with its projection, score and sampler.

    Parameters
    ----------
    hidden_size : int
        Width of the network's output.
    n_outputs : int
        Parameters of the distribution per frame, P.
    whitening : ndarray, (F, F)
        W, invertible.
    """

    whitening: Tensor
    unwhitening: Tensor

    def __init__(self, hidden_size: int, n_outputs: int, whitening: Matrix) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, n_outputs)
        with torch.no_grad():
            self.linear.weight *= FIRST_GAIN
        self.n_features = len(whitening)
        self.log_volume = float(np.linalg.slogdet(whitening)[1])
        inverse = np.linalg.inv(whitening)
        for name, matrix in (("whitening", whitening), ("unwhitening", inverse)):
            # Transposed once: rows are multiplied from the left.
            tensor = torch.tensor(np.ascontiguousarray(matrix.T), dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """Project the network's output h (..., H) to parameters (..., P)."""
        parameters: Tensor = self.linear(h)
        return parameters.float()

    def whiten(self, innovation: Tensor) -> Tensor:
        """Return standardised innovations (..., F) in whitened coordinates."""
        return innovation @ self.whitening

    def unwhiten(self, u: Tensor) -> Tensor:
        """Undo `whiten`."""
        return u @ self.unwhitening

    def score(self, parameters: Tensor, innovation: Tensor, local_scale: Tensor) -> Tensor:
        """Return the negative log-density of standardised innovations (..., F), nats per frame.

        The distribution is that of the innovation divided by the local scale (..., 1).
        """
        log_volume = self.log_volume - self.n_features * local_scale[..., 0].log()
        return -self.log_prob(parameters, self.whiten(innovation / local_scale)) - log_volume

    def draw(self, parameters: Tensor, noise: Tensor, temperature: float) -> Tensor:
        """Return u (..., F): mean + temperature · (sample - mean).

        One rule for every head: temperature 1 is the distribution as learned, 0 its mean.
        """
        sample = self.sample(parameters, noise)
        if temperature == 1:
            return sample
        mean, _ = self.moments(parameters)
        return mean + temperature * (sample - mean)

    def replay(self, parameters: Tensor, z: Tensor, temperature: float) -> Tensor:
        """Return u (..., F) of a standardised innovation z: mean + temperature · deviation · z."""
        mean, deviation = self.moments(parameters)
        return mean + temperature * deviation * z

    @abstractmethod
    def log_prob(self, parameters: Tensor, u: Tensor) -> Tensor:
        """Return the log-density (...) of u (..., F) in whitened coordinates."""

    @abstractmethod
    def moments(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation (..., F) of u."""

    @abstractmethod
    def noise(self, generator: torch.Generator, n_frames: int) -> Tensor:
        """Draw the random numbers of `sample` on the CPU, (n_frames, N)."""

    @abstractmethod
    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return u (..., F) from parameters (..., P) and noise (..., N)."""


class MixtureHead(Head):
    """Mixture of K Gaussians with diagonal covariance and bounded deviations (`LOG_SIGMA`)."""

    def __init__(self, hidden_size: int, whitening: Matrix, n_components: int = 8) -> None:
        self.n_components = n_components
        n_features = len(whitening)
        super().__init__(hidden_size, n_components * (1 + 2 * n_features), whitening)
        low, high = (math.log(scale) for scale in FIRST_SCALES)
        scales = torch.linspace(low, high, n_components).exp()
        if n_components == 1:
            scales = torch.ones(1)
        with torch.no_grad():
            bias = self.linear.bias.view(n_components, -1)
            bias[:, : 1 + n_features] = 0.0
            bias[:, 1 + n_features :] = raw_log_sigma(scales)[:, None]

    def table(self, parameters: Tensor) -> Tensor:
        """Return parameters as (..., K, 1 + 2F): weight, means and deviations of each component."""
        return parameters.reshape(*parameters.shape[:-1], self.n_components, -1)

    def components(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split parameters into log-weights (..., K), means and log-deviations (..., K, F)."""
        table = self.table(parameters)
        n = self.n_features
        log_weights = table[..., 0].log_softmax(-1)
        return log_weights, table[..., 1 : 1 + n], bounded_log_sigma(table[..., 1 + n :])

    def log_prob(self, parameters: Tensor, u: Tensor) -> Tensor:
        """Return the log-density of u."""
        log_weights, means, log_sigma = self.components(parameters)
        each = gaussian_log_prob(u[..., None, :], means, log_sigma)
        return torch.logsumexp(log_weights + each, -1)

    def moments(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of the whole mixture."""
        log_weights, means, log_sigma = self.components(parameters)
        weights = log_weights.exp()[..., None]
        mean = (weights * means).sum(-2)
        spread = (2 * log_sigma).exp() + (means - mean[..., None, :]).square()
        return mean, (weights * spread).sum(-2).sqrt()

    def noise(self, generator: torch.Generator, n_frames: int) -> Tensor:
        """Draw F normal numbers and a uniform one per frame."""
        normal = torch.randn(n_frames, self.n_features, generator=generator)
        return torch.cat([normal, torch.rand(n_frames, 1, generator=generator)], -1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Choose a component by the uniform number, and draw from it."""
        n = self.n_features
        table = self.table(parameters)
        cumulated = table[..., 0].softmax(-1).cumsum(-1)
        chosen = (cumulated < noise[..., n:]).sum(-1).clamp(max=self.n_components - 1)
        index = chosen[..., None, None].expand(*chosen.shape, 1, 1 + 2 * n)
        row = table.gather(-2, index)[..., 0, :]
        sigma = bounded_log_sigma(row[..., 1 + n :]).exp()
        return torch.addcmul(row[..., 1 : 1 + n], sigma, noise[..., :n])


class GaussianHead(Head):
    """Gaussian with diagonal covariance and bounded deviation."""

    def __init__(self, hidden_size: int, whitening: Matrix) -> None:
        super().__init__(hidden_size, 2 * len(whitening), whitening)
        with torch.no_grad():
            self.linear.bias[: self.n_features] = 0.0
            self.linear.bias[self.n_features :] = raw_log_sigma(torch.ones(1))

    def log_prob(self, parameters: Tensor, u: Tensor) -> Tensor:
        """Return the log-density of u."""
        mean, raw = parameters.chunk(2, -1)
        return gaussian_log_prob(u, mean, bounded_log_sigma(raw))

    def moments(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation."""
        mean, raw = parameters.chunk(2, -1)
        return mean, bounded_log_sigma(raw).exp()

    def noise(self, generator: torch.Generator, n_frames: int) -> Tensor:
        """Draw F normal numbers per frame."""
        return torch.randn(n_frames, self.n_features, generator=generator)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return mean + deviation · noise."""
        mean, sigma = self.moments(parameters)
        return torch.addcmul(mean, sigma, noise)


class StudentHead(Head):
    """Independent Student distributions with bounded scale and learned degrees of freedom."""

    def __init__(self, hidden_size: int, whitening: Matrix) -> None:
        super().__init__(hidden_size, 3 * len(whitening), whitening)
        with torch.no_grad():
            n = self.n_features
            self.linear.bias[:n] = 0.0
            self.linear.bias[n : 2 * n] = raw_log_sigma(torch.full((1,), 0.7))
            self.linear.bias[2 * n :] = 2.0

    def components(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split parameters into location, log-scale and degrees of freedom, each (..., F)."""
        location, raw, freedom = parameters.chunk(3, -1)
        return location, bounded_log_sigma(raw), LEAST_FREEDOM + F.softplus(freedom)

    def log_prob(self, parameters: Tensor, u: Tensor) -> Tensor:
        """Return the log-density of u."""
        location, log_scale, freedom = self.components(parameters)
        z = (u - location) * torch.exp(-log_scale)
        half = (freedom + 1) / 2
        norm = torch.lgamma(half) - torch.lgamma(freedom / 2) - 0.5 * (freedom * math.pi).log()
        return (norm - log_scale - half * torch.log1p(z.square() / freedom)).sum(-1)

    def moments(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation."""
        location, log_scale, freedom = self.components(parameters)
        return location, log_scale.exp() * (freedom / (freedom - 2)).sqrt()

    def noise(self, generator: torch.Generator, n_frames: int) -> Tensor:
        """Draw 2F uniform numbers per frame."""
        return torch.rand(n_frames, 2 * self.n_features, generator=generator)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return location + scale · t, t from two uniform numbers (Bailey 1994)."""
        location, log_scale, freedom = self.components(parameters)
        first, second = noise.chunk(2, -1)
        # 1 - first is never 0, where the power would be infinite.
        radius = torch.expm1(-2 / freedom * torch.log1p(-first)).mul(freedom).sqrt()
        return location + log_scale.exp() * radius * torch.cos(2 * math.pi * second)


class MeanSquareHead(Head):
    """Deterministic baseline: a point, scored by half its squared error, standardised."""

    def __init__(self, hidden_size: int, whitening: Matrix) -> None:
        super().__init__(hidden_size, len(whitening), whitening)

    def score(self, parameters: Tensor, innovation: Tensor, local_scale: Tensor) -> Tensor:
        """Return half the squared error of a standardised innovation, summed over columns."""
        return 0.5 * (self.unwhiten(parameters) * local_scale - innovation).square().sum(-1)

    def log_prob(self, parameters: Tensor, u: Tensor) -> Tensor:
        """Return the log-density of a unit Gaussian around the point."""
        return gaussian_log_prob(u, parameters, torch.zeros_like(u))

    def moments(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the point, and 1."""
        return parameters, torch.ones_like(parameters)

    def noise(self, generator: torch.Generator, n_frames: int) -> Tensor:  # noqa: ARG002
        """Draw nothing."""
        return torch.zeros(n_frames, 0)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:  # noqa: ARG002
        """Return the point."""
        return parameters


HEADS: dict[str, type[Head]] = {
    "mixture": MixtureHead,
    "gaussian": GaussianHead,
    "student_t": StudentHead,
    "mse": MeanSquareHead,
}


def create_head(name: str, hidden_size: int, whitening: Matrix, n_components: int = 8) -> Head:
    """Return the head called `name`, one of `HEADS`."""
    if name == "mixture":
        return MixtureHead(hidden_size, whitening, n_components)
    return HEADS[name](hidden_size, whitening)  # type: ignore[call-arg]

"""Flow matching on mel spectrograms (Lipman et al. 2023; Liu, Gong & Liu 2023).

Frames are reduced to principal components. A network of dilated ConvNeXt blocks learns the velocity
from noise to data by least squares, without a discriminator.

The noise is Gaussian with the temporal spectrum of each component. White noise has little energy at
the slow modulations that dominate music, above all in loudness. With coloured noise, noise and data
have the same energy at every modulation frequency, and the network learns only the non-Gaussian
part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

TIME_FEATURES = 32
KERNEL = 7
COLOUR = 256  # frames of the noise colouring filters


@dataclass(frozen=True, eq=False)
class Components:
    """Linear map from the components of a flow to standardised mel bands.

    Attributes
    ----------
    basis : Tensor, (n_mels, K)
        Orthonormal principal directions of frames.
    offset, level : Tensor, (K, 1)
        Subtracted from the components, then multiplied with them; without calibration the offset
        is (1, 1).
    """

    basis: Tensor
    offset: Tensor
    level: Tensor

    def in_bands(self, numbers: Tensor) -> Tensor:
        """Return the standardised spectrograms (…, n_mels, T) of components (…, K, T)."""
        return self.basis @ ((numbers - self.offset) * self.level)


class FlowBlock(nn.Module):
    """Residual dilated ConvNeXt block, modulated by the flow time."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        padding = dilation * (KERNEL // 2)
        self.depthwise = nn.Conv1d(
            width, width, KERNEL, padding=padding, dilation=dilation, groups=width
        )
        self.norm = nn.LayerNorm(width)
        self.modulation = nn.Linear(TIME_FEATURES, 2 * width)
        self.expand = nn.Linear(width, 3 * width)
        self.contract = nn.Linear(3 * width, width)
        nn.init.zeros_(self.contract.weight)
        nn.init.zeros_(self.contract.bias)

    def forward(self, x: Tensor, when: Tensor) -> Tensor:
        """Return (B, width, T) for x and time features (B, TIME_FEATURES)."""
        shift, scale = self.modulation(when)[:, None].chunk(2, dim=2)
        y = self.norm(self.depthwise(x).transpose(1, 2)) * (1 + scale) + shift  # (B, T, width)
        return x + self.contract(functional.gelu(self.expand(y))).transpose(1, 2)


class MelFlow(nn.Module):
    """Velocity field from noise to spectrograms.

    Parameters
    ----------
    n_components : int
        Components per frame.
    width, num_layers : int
        Channels and blocks; dilations cycle through 1, 2, 4 … 32.

    Attributes
    ----------
    colour : Tensor, (n_components, COLOUR)
        Filters that colour the noise; initially the identity.
    """

    colour: Tensor

    def __init__(self, n_components: int, width: int = 128, num_layers: int = 8) -> None:
        super().__init__()
        self.n_components = n_components
        self.enter = nn.Conv1d(n_components, width, 3, padding=1)
        self.blocks = nn.ModuleList(FlowBlock(width, 2 ** (i % 6)) for i in range(num_layers))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, n_components)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        white = functional.one_hot(torch.tensor(COLOUR // 2), COLOUR).float()
        self.register_buffer("colour", white.repeat(n_components, 1))

    def noise(self, n: int, n_frames: int, random: torch.Generator) -> Tensor:
        """Draw coloured noise, (n, n_components, n_frames), on the device."""
        shape = (n, self.n_components, n_frames + COLOUR - 1)
        return self.coloured(torch.randn(shape, generator=random).to(self.colour.device))

    def coloured(self, white: Tensor) -> Tensor:
        """Colour white noise (n, n_components, T + COLOUR - 1), to (n, n_components, T)."""
        return functional.conv1d(white, self.colour[:, None], groups=self.n_components)

    def forward(self, x: Tensor, when: Tensor) -> Tensor:
        """Return the velocity (B, n_components, T) at points x and times (B,) from 0 to 1."""
        features = time_features(when)
        y = self.enter(x)
        for block in self.blocks:
            y = block(y, features)
        return self.leave(self.norm(y.transpose(1, 2))).transpose(1, 2)

    @torch.no_grad()
    def transport(self, noise: Tensor, n_steps: int) -> Tensor:
        """Integrate noise (B, n_components, T) to data in `n_steps` steps of Heun's method."""
        x = noise
        for step in range(n_steps):
            now, then = (torch.full((len(x),), (step + i) / n_steps) for i in (0, 1))
            first = self(x, now.to(x.device))
            if step == n_steps - 1:
                break
            second = self(x + first / n_steps, then.to(x.device))
            x = x + (first + second) / (2 * n_steps)
        return x + first / n_steps


def time_features(when: Tensor) -> Tensor:
    """Return sines and cosines (B, TIME_FEATURES) of times (B,) from 0 to 1."""
    frequencies = torch.exp(
        torch.linspace(0, math.log(100), TIME_FEATURES // 2, device=when.device)
    )
    angles = when[:, None] * frequencies * math.pi
    return torch.cat([angles.sin(), angles.cos()], 1)


def flow_loss(network: MelFlow, data: Tensor, random: torch.Generator) -> Tensor:
    """Return the mean squared error of the velocity at random points between noise and data.

    Parameters
    ----------
    network : MelFlow
    data : Tensor, (B, n_components, T)
    random : Generator
        Draws the noise and the times, which are logit-normal (Esser et al. 2024).
    """
    noise = network.noise(len(data), data.shape[2], random)
    when = torch.randn(len(data), generator=random).sigmoid().to(data.device)
    place = when[:, None, None]
    velocity = network((1 - place) * noise + place * data, when)
    return functional.mse_loss(velocity, data - noise)


def colouring_filters(components: Sequence[npt.NDArray[np.float32]]) -> Tensor:
    """Return filters (K, COLOUR) that give white noise the temporal spectra of components (K, T).

    Their response is the square root of Welch's (1967) spectrum estimate, with overlapping Hann
    windows. They are symmetric and of energy 1, so the noise has variance 1.
    """
    window = np.hanning(COLOUR + 1)[:COLOUR]
    power: npt.NDArray[np.float64] = np.zeros((len(components[0]), COLOUR // 2 + 1))
    for values in components:
        padded = np.pad(values, ((0, 0), (0, max(0, COLOUR - values.shape[1]))))
        for start in range(0, padded.shape[1] - COLOUR + 1, COLOUR // 4):
            power += np.abs(np.fft.rfft(padded[:, start : start + COLOUR] * window)) ** 2
    response = np.roll(np.fft.irfft(np.sqrt(power), axis=1), COLOUR // 2, axis=1)
    filters = response * np.sqrt(window)
    energy = np.sqrt((filters**2).sum(1, keepdims=True))
    return torch.from_numpy((filters / np.maximum(energy, 1e-12)).astype(np.float32))

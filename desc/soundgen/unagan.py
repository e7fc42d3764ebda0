"""UnaGAN (Liu et al. 2020): hierarchical generator, BEGAN discriminator and encoder.

Parameters have the published names and shapes. Spectrograms are standardised per band; lengths are
in frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from desc.soundgen.layers import summed_gru

N_GROUPS = 4
SCALE_FACTORS = (2, 2, 2, 2)
TIME_RATIO = math.prod(SCALE_FACTORS)
"""Frames per noise vector."""


def n_vectors(n_frames: int) -> int:
    """Return the number of noise vectors for at least `n_frames` frames."""
    return -(-n_frames // TIME_RATIO)


class RecurrentBlock(nn.Module):
    """Residual bidirectional GRU, and a grouped convolution of its output.

    The GRU starts from random states: the generator's second source of noise.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rec = nn.GRU(channels, channels, batch_first=True, bidirectional=True)
        self.conv = nn.Conv1d(channels, channels, 3, padding=1, groups=N_GROUPS)
        self.gn = nn.GroupNorm(N_GROUPS, channels)

    def forward(self, x: Tensor, states: Tensor) -> Tensor:
        """Return (B, C, T) for x (B, C, T) and initial states (2, B, C)."""
        r = summed_gru(self.rec, x, states)
        c: Tensor = functional.leaky_relu(self.gn(self.conv(r)))
        return x + r + c


class BodyBlock(nn.Module):
    """Convolution, normalisation, recurrent block, convolution."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv1d(in_channels, channels, 3, padding=1),
            nn.GroupNorm(N_GROUPS, channels),
            nn.LeakyReLU(),
            RecurrentBlock(channels),
            nn.Conv1d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor, states: Tensor) -> Tensor:
        """Return (B, channels, T)."""
        for layer in self.block:
            x = layer(x, states) if isinstance(layer, RecurrentBlock) else layer(x)
        return x


class UnaganGenerator(nn.Module):
    """Noise vectors → standardised mel spectrogram, from coarse to fine.

    Parameters
    ----------
    n_mels, z_dim : int
        Mel bands, and size of a noise vector.
    width : int
        Channels, a multiple of 4.
    """

    def __init__(self, n_mels: int = 80, z_dim: int = 20, width: int = 512) -> None:
        super().__init__()
        self.z_dim, self.width = z_dim, width
        self.block0 = BodyBlock(z_dim, width)
        self.head0 = nn.Conv1d(width, n_mels, 3, padding=1)
        self.blocks = nn.ModuleList(BodyBlock(width, width) for _ in SCALE_FACTORS)
        self.heads = nn.ModuleList(nn.Conv1d(width, n_mels, 3, padding=1) for _ in SCALE_FACTORS)

    def forward(self, z: Tensor, states: Tensor) -> Tensor:
        """Return (B, n_mels, 16 · N).

        Parameters
        ----------
        z : Tensor, (B, z_dim, N)
            Standard normal noise, a vector per 16 frames.
        states : Tensor, (5, 2, B, width)
            Standard normal initial states of the five GRUs.
        """
        body = self.block0(z, states[0])
        head = self.head0(body)
        for index, factor in enumerate(SCALE_FACTORS):
            body, head = (functional.interpolate(x, scale_factor=factor) for x in (body, head))
            body = body + self.blocks[index](body, states[index + 1])
            head = head + self.heads[index](body)
        return head

    def draw(self, n: int, n_noise: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw noise vectors (n, z_dim, n_noise) and initial states (5, 2, n, width)."""
        z = torch.randn(n, self.z_dim, n_noise, generator=generator)
        return z, self.draw_states(n, generator)

    def draw_states(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw initial states of the five GRUs, (5, 2, n, width)."""
        return torch.randn(len(SCALE_FACTORS) + 1, 2, n, self.width, generator=generator)


class _NormedBlock(nn.Module):
    """Convolution with spectral norm, batch norm and leaky ReLU."""

    def __init__(self, conv: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        of_batch = nn.BatchNorm1d if isinstance(conv, nn.Conv1d) else nn.BatchNorm2d
        # The older spectral norm has the parameter names of the published checkpoints.
        self.block = nn.Sequential(
            nn.utils.spectral_norm(conv), of_batch(conv.out_channels), nn.LeakyReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, in the shape of the convolution's."""
        return self.block(x)


class _SpectrogramNetwork(nn.Module):
    """Three convolutions over bands and time, then convolutions over time."""

    def __init__(
        self, n_mels: int, width: int, out_channels: int, time_convs: Iterator[nn.Conv1d]
    ) -> None:
        super().__init__()
        channels, n_bands, layers = 1, n_mels, []
        for index in range(3):
            dilation = 2 ** (index + 1)
            conv = nn.Conv2d(
                channels,
                4 ** (index + 1),
                3,
                stride=(2, 1),
                padding=(1, dilation),
                dilation=(1, dilation),
            )
            layers.append(_NormedBlock(conv))
            channels, n_bands = conv.out_channels, -(-n_bands // 2)
        self.body2d = nn.Sequential(*layers)
        first = nn.Conv1d(channels * n_bands, width, 3, padding=1)
        self.body1d = nn.Sequential(*(_NormedBlock(conv) for conv in (first, *time_convs)))
        self.head = nn.utils.spectral_norm(nn.Conv1d(width, out_channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, T') for a spectrogram (B, n_mels, T)."""
        y = self.body2d(x[:, None]).flatten(1, 2)  # (B, 64 · bands, T)
        return self.head(self.body1d(y))


class UnaganDiscriminator(_SpectrogramNetwork):
    """Autoencoder as discriminator (BEGAN): real spectrograms have a low reconstruction error."""

    def __init__(self, n_mels: int = 80, width: int = 512) -> None:
        convs = (nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in (16, 32, 64, 128))
        super().__init__(n_mels, width, n_mels, convs)


class UnaganEncoder(_SpectrogramNetwork):
    """Spectrogram (B, n_mels, T) → noise vectors (B, z_dim, ceil(T / 16)), for the cycle loss."""

    def __init__(self, n_mels: int = 80, z_dim: int = 20, width: int = 512) -> None:
        convs = (nn.Conv1d(width, width, 3, stride=2, padding=1) for _ in SCALE_FACTORS)
        super().__init__(n_mels, width, z_dim, convs)

"""Vocos (after Siuzdak 2023): a vocoder that predicts an STFT and inverts it.

All layers work at the frame rate, which makes it many times faster than transposed convolutions.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from desc.descriptors.filterbanks import hann_window, mel_filters
from desc.errors import CheckpointError
from desc.soundgen.mel import synthesise
from desc.soundgen.settings import MelConfig

KERNEL = 7
HOPS_PER_WINDOW = (2, 4, 8)
"""Allowed window lengths; blocks start at multiples of the largest, so phases are consistent."""


class ConvNextBlock(nn.Module):
    """ConvNeXt block: residual depthwise convolution and MLP (Liu et al. 2022).

    Parameters
    ----------
    dim, intermediate_dim : int
        Channels, and hidden units of the MLP.
    scale : float
        Initial gain of the residual branch.
    """

    def __init__(self, dim: int, intermediate_dim: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, KERNEL, padding=KERNEL // 2, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.expand = nn.Linear(dim, intermediate_dim)
        self.contract = nn.Linear(intermediate_dim, dim)
        self.gain = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, dim, T)."""
        y = self.norm(self.depthwise(x).transpose(1, 2))  # (B, T, dim)
        y = self.gain * self.contract(functional.gelu(self.expand(y)))
        return x + y.transpose(1, 2)


class VocosGenerator(nn.Module):
    """Log mel spectrogram → magnitudes and phases → samples.

    The network predicts differences from a first guess. Magnitudes start as the mel bands,
    interpolated to FFT bins. Phases start as those of steady tones at the bin centres, which
    advance by 2π k hop / n_fft per frame in bin k. Without this advance, convolutions see a steady
    tone as equal frames and could only produce multiples of the frame rate.

    Parameters
    ----------
    mel : MelConfig
        Front end; `n_fft` must be 2, 4 (recommended) or 8 hops.
    dim, intermediate_dim, num_layers : int
        Sizes and number of the blocks.

    Attributes
    ----------
    reach : int
        Frames on either side that a frame's samples depend on.

    Raises
    ------
    CheckpointError
        If `n_fft` is another number of hops.
    """

    window: Tensor
    spread: Tensor
    level: Tensor
    turn: Tensor

    def __init__(
        self,
        mel: MelConfig,
        dim: int = 512,
        intermediate_dim: int = 1536,
        num_layers: int = 8,
    ) -> None:
        super().__init__()
        if mel.n_fft not in [n * mel.hop_length for n in HOPS_PER_WINDOW]:
            raise CheckpointError(
                f"vocos: n_fft={mel.n_fft} must be 2, 4 or 8 times hop_length={mel.hop_length}"
            )
        self.hop_length = mel.hop_length
        self.largest = mel.n_fft / 2  # sum of the window: the limit for samples within ±1
        self.embed = nn.Conv1d(mel.n_mels, dim, KERNEL, padding=KERNEL // 2)
        self.first_norm = nn.LayerNorm(dim, eps=1e-6)
        self.blocks = nn.ModuleList(
            ConvNextBlock(dim, intermediate_dim, 1 / num_layers) for _ in range(num_layers)
        )
        self.last_norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, mel.n_fft + 2)
        window = torch.from_numpy(hann_window(mel.n_fft))
        spread, level = bins_of_bands(mel)
        n_hops = mel.n_fft // mel.hop_length
        self.reach = KERNEL // 2 * (1 + num_layers) + n_hops // 2
        turns = torch.outer(torch.arange(mel.n_fft // 2 + 1), torch.arange(n_hops)) % n_hops
        turn = 2 * math.pi * turns / n_hops  # (1 + n_fft // 2, n_hops)
        buffers = {"window": window, "spread": spread, "level": level, "turn": turn}
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, mel: Tensor) -> Tensor:
        """Return samples (B, T · hop_length) for (B, n_mels, T)."""
        x = self.first_norm(self.embed(mel).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        x = self.head(self.last_norm(x.transpose(1, 2))).transpose(1, 2)
        log_magnitude, phase = x.chunk(2, dim=1)
        log_magnitude = log_magnitude + self.spread @ mel + self.level
        magnitude = log_magnitude.exp().clamp_max(self.largest)
        frames = torch.arange(phase.shape[2], device=phase.device)
        phase = phase + self.turn[:, frames % self.turn.shape[1]]
        return synthesise(torch.polar(magnitude, phase), self.window, self.hop_length)


def bins_of_bands(mel: MelConfig) -> tuple[Tensor, Tensor]:
    """Return the linear map from log mel bands to log magnitudes of FFT bins.

    Interpolates linearly between band centres; a band's level is its value over the filter's sum.

    Returns
    -------
    spread : Tensor, (1 + n_fft // 2, n_mels)
        Natural log magnitude per unit of each band, in any base.
    level : Tensor, (1 + n_fft // 2, 1)
        Offset of the log magnitudes.
    """
    filters = mel_filters(mel.sample_rate, mel.n_fft, mel.n_mels, mel.fmin, mel.fmax)
    sums = np.maximum(filters.sum(1), 1e-9)
    centres = filters @ np.arange(filters.shape[1]) / sums
    bins = np.arange(filters.shape[1])
    spread = np.stack([np.interp(bins, centres, row) for row in np.eye(mel.n_mels)], 1)
    level = -spread @ np.log(sums)
    unit = math.log(10) if mel.log_base == "10" else 1.0
    return (
        torch.from_numpy((unit * spread).astype(np.float32)),
        torch.from_numpy(level.astype(np.float32))[:, None],
    )

"""HiFi-GAN generators (Kong, Kim & Bae 2020); loaded from published checkpoints only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from desc.soundgen.layers import NormedConv1d, NormedConvTranspose1d, weight_of

SLOPE = 0.1  # of all leaky ReLUs but the last, which has PyTorch's 0.01
DILATIONS_TWICE = (1, 3, 5)
DILATIONS_ONCE = ((1, 2), (2, 6), (3, 12))


def _conv(channels: int, kernel_size: int, dilation: int) -> NormedConv1d:
    padding = dilation * (kernel_size - 1) // 2
    return NormedConv1d(channels, channels, kernel_size, padding=padding, dilation=dilation)


class ResBlockTwice(nn.Module):
    """Three residual pairs of convolutions, the first of each pair dilated (V1, V2)."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_conv(channels, kernel_size, d) for d in DILATIONS_TWICE)
        self.convs2 = nn.ModuleList(_conv(channels, kernel_size, 1) for _ in DILATIONS_TWICE)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, S)."""
        for first, second in zip(self.convs1, self.convs2, strict=True):
            inner = functional.leaky_relu(first(functional.leaky_relu(x, SLOPE)), SLOPE)
            x = x + second(inner)
        return x


class ResBlockOnce(nn.Module):
    """Two residual dilated convolutions (V3)."""

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv(channels, kernel_size, d) for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, S)."""
        for conv in self.convs:
            x = x + conv(functional.leaky_relu(x, SLOPE))
        return x


class HifiganGenerator(nn.Module):
    """Log mel spectrogram (base e) → samples.

    Parameters
    ----------
    n_mels : int
    channels : int
        Channels before the first upsampling; halved by each.
    upsample_kernels, ratios : sequence of int
        Kernels and strides of the transposed convolutions; the product of the strides is the hop.
    block_kernels : sequence of int
        Kernels of the parallel residual blocks after each upsampling; their outputs are averaged.
    twice : bool
        Use the residual blocks of V1 and V2; those of V3 otherwise.
    """

    def __init__(
        self,
        n_mels: int,
        channels: int,
        upsample_kernels: Sequence[int],
        ratios: Sequence[int],
        block_kernels: Sequence[int],
        *,
        twice: bool,
    ) -> None:
        super().__init__()
        self.n_blocks = len(block_kernels)
        self.conv_pre = NormedConv1d(n_mels, channels, 7, padding=3)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for kernel, ratio in zip(upsample_kernels, ratios, strict=True):
            self.ups.append(
                NormedConvTranspose1d(
                    channels, channels // 2, kernel, stride=ratio, padding=(kernel - ratio) // 2
                )
            )
            channels //= 2
            for index, size in enumerate(block_kernels):
                self.resblocks.append(
                    ResBlockTwice(channels, size)
                    if twice
                    else ResBlockOnce(channels, size, DILATIONS_ONCE[index % 3])
                )
        self.conv_post = NormedConv1d(channels, 1, 7, padding=3)

    def forward(self, mel: Tensor) -> Tensor:
        """Return samples (B, T · hop_length) for (B, n_mels, T)."""
        x = self.conv_pre(mel)
        for stage, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, SLOPE))
            first = stage * self.n_blocks
            blocks = [self.resblocks[first + i](x) for i in range(self.n_blocks)]
            x = sum(blocks[1:], blocks[0]) / self.n_blocks
        return torch.tanh(self.conv_post(functional.leaky_relu(x)))[:, 0]

    @classmethod
    def from_shapes(cls, state: dict[str, Tensor]) -> HifiganGenerator:
        """Return the generator whose parameters have the names and shapes of a state dict.

        Strides are half the kernels, as in all published versions.

        Raises
        ------
        KeyError
            If the names are not HiFi-GAN's.
        """
        channels, n_mels, _ = weight_of(state, "conv_pre").shape
        n_ups = len({k.split(".")[1] for k in state if k.startswith("ups.")})
        kernels = [weight_of(state, f"ups.{i}").shape[2] for i in range(n_ups)]
        blocks = [k for k in state if k.startswith("resblocks.")]
        n_blocks = len({k.split(".")[1] for k in blocks}) // n_ups
        twice = any(".convs1." in k for k in blocks)
        name = "convs1" if twice else "convs"
        sizes = [weight_of(state, f"resblocks.{i}.{name}.0").shape[2] for i in range(n_blocks)]
        ratios = [kernel // 2 for kernel in kernels]
        return cls(n_mels, channels, kernels, ratios, sizes, twice=twice)

"""Weight-normalised convolutions with the parameter names of the published checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2  # of MelGAN's leaky ReLUs


class _WeightNorm(nn.Module):
    """Weight normalisation over the first axis (Salimans & Kingma 2016).

    Parameters `weight_g` (n, 1, 1) and `weight_v`: the names of the published checkpoints, which
    `torch.nn.utils.parametrizations` no longer has.
    """

    def __init__(self, plain: nn.Conv1d | nn.ConvTranspose1d, options: dict[str, int]) -> None:
        super().__init__()
        self.options = options
        self.bias = plain.bias
        self.weight_g = nn.Parameter(plain.weight.detach().norm(dim=(1, 2), keepdim=True))
        self.weight_v = plain.weight
        self._folded: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """The normalised weight."""
        if self._folded is not None:
            return self._folded
        return torch._weight_norm(self.weight_v, self.weight_g, 0)

    def fold(self) -> None:
        """Compute the weight once, for inference."""
        self._folded = None
        self._folded = self.weight.detach()


class NormedConv1d(_WeightNorm):
    """Weight-normalised `Conv1d`: its arguments, its initial parameters."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, **options: Any
    ) -> None:
        super().__init__(nn.Conv1d(in_channels, out_channels, kernel_size, **options), options)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, T')."""
        return functional.conv1d(x, self.weight, self.bias, **self.options)


class NormedConvTranspose1d(_WeightNorm):
    """Weight-normalised `ConvTranspose1d`, likewise; the norm is per input channel."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, **options: Any
    ) -> None:
        super().__init__(
            nn.ConvTranspose1d(in_channels, out_channels, kernel_size, **options), options
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, T')."""
        return functional.conv_transpose1d(x, self.weight, self.bias, **self.options)


def upsampling(in_channels: int, out_channels: int, ratio: int) -> NormedConvTranspose1d:
    """Return a layer that upsamples T frames to exactly T · ratio."""
    return NormedConvTranspose1d(
        in_channels,
        out_channels,
        2 * ratio,
        stride=ratio,
        padding=ratio // 2 + ratio % 2,
        output_padding=ratio % 2,
    )


def weight_of(state: Mapping[str, Tensor], layer: str) -> Tensor:
    """Return the weight of a layer, up to its norm, from a state dict; it may be folded."""
    name = f"{layer}.weight_v"
    return state[name if name in state else f"{layer}.weight"]


def fold_weights(network: nn.Module) -> nn.Module:
    """Fold all weight norms and freeze the network for inference."""
    for module in network.modules():
        if isinstance(module, _WeightNorm):
            module.fold()
    return network.eval().requires_grad_(False)


class BidirectionalSum(nn.Module):
    """Residual bidirectional GRU with summed directions, as in UnaGAN's MelGAN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rec = nn.GRU(channels, channels, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, T)."""
        return x + summed_gru(self.rec, x, None)


def summed_gru(rec: nn.GRU, x: Tensor, initial: Tensor | None) -> Tensor:
    """Run a bidirectional GRU over (B, C, T) and sum its directions.

    Parameters
    ----------
    rec : GRU
        With `batch_first`.
    x : Tensor, (B, C, T)
    initial : Tensor, optional, (2, B, H)
        Initial states; zeros if None.
    """
    both, _ = rec(x.transpose(1, 2), initial)  # (B, T, 2H)
    forward, backward = both.chunk(2, dim=2)
    return (forward + backward).transpose(1, 2)

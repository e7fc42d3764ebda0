"""MelGAN (Kumar et al. 2019): generator and multi-scale discriminator, published names."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from desc.soundgen.layers import SLOPE, BidirectionalSum, NormedConv1d, upsampling

PADS = {"reflect": nn.ReflectionPad1d, "replicate": nn.ReplicationPad1d}
MAX_CHANNELS = 1024  # of a discriminator


class ResidualBlock(nn.Module):
    """Residual block of two convolutions, the first dilated."""

    def __init__(self, channels: int, dilation: int, pad_mode: str = "reflect") -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            PADS[pad_mode](dilation),
            NormedConv1d(channels, channels, 3, dilation=dilation),
            nn.LeakyReLU(SLOPE),
            NormedConv1d(channels, channels, 1),
        )
        self.shortcut = NormedConv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, S)."""
        return self.shortcut(x) + self.block(x)


class MelganGenerator(nn.Module):
    """Log mel spectrogram → samples, by transposed convolutions and dilated residual blocks.

    Parameters
    ----------
    n_mels : int
    ngf : int
        Channels of the last stage; each earlier stage has twice as many.
    n_residual_layers : int
        Blocks per stage, dilated by 1, 3, 9 …
    ratios : sequence of int
        Upsampling factors; their product is the hop length.
    pad_mode : str
        reflect or replicate.
    gru : bool
        Add a bidirectional GRU after the first convolution, as UnaGAN's vocoder does.

    Attributes
    ----------
    reach : int
        Frames on either side that a frame's samples depend on, but for the GRU.
    """

    def __init__(
        self,
        n_mels: int = 80,
        ngf: int = 32,
        n_residual_layers: int = 3,
        ratios: Sequence[int] = (8, 8, 2, 2),
        pad_mode: str = "reflect",
        *,
        gru: bool = False,
    ) -> None:
        super().__init__()
        pad = PADS[pad_mode]
        channels = ngf * 2 ** len(ratios)
        reach, rate = 3.0, 1  # in frames; samples per frame
        layers: list[nn.Module] = [pad(3), NormedConv1d(n_mels, channels, 7)]
        for index, ratio in enumerate(ratios):
            layers.append(nn.LeakyReLU(SLOPE))
            if gru and index == 0:
                layers.append(BidirectionalSum(channels))
            layers.append(upsampling(channels, channels // 2, ratio))
            channels //= 2
            reach, rate = reach + 1 / rate, rate * ratio
            reach += sum(3**i for i in range(n_residual_layers)) / rate
            layers += [ResidualBlock(channels, 3**i, pad_mode) for i in range(n_residual_layers)]
        layers += [nn.LeakyReLU(SLOPE), pad(3), NormedConv1d(channels, 1, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        self.reach = math.ceil(reach + 3 / rate)

    def forward(self, mel: Tensor) -> Tensor:
        """Return samples (B, T · hop_length) for (B, n_mels, T), T at least 4."""
        return self.model(mel)[:, 0]


class ScaleDiscriminator(nn.Module):
    """Discriminator of one scale: strided grouped convolutions."""

    def __init__(self, ndf: int, n_layers: int, downsampling: int) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {}
        layers["layer_0"] = nn.Sequential(
            nn.ReflectionPad1d(7), NormedConv1d(1, ndf, 15), nn.LeakyReLU(SLOPE)
        )
        channels = ndf
        for n in range(1, n_layers + 1):
            before, channels = channels, min(channels * downsampling, MAX_CHANNELS)
            conv = NormedConv1d(
                before,
                channels,
                10 * downsampling + 1,
                stride=downsampling,
                padding=5 * downsampling,
                groups=max(1, before // 4),
            )
            layers[f"layer_{n}"] = nn.Sequential(conv, nn.LeakyReLU(SLOPE))
        before, channels = channels, min(channels * 2, MAX_CHANNELS)
        last = NormedConv1d(before, channels, 5, padding=2)
        layers[f"layer_{n_layers + 1}"] = nn.Sequential(last, nn.LeakyReLU(SLOPE))
        layers[f"layer_{n_layers + 2}"] = NormedConv1d(channels, 1, 3, padding=1)
        self.model = nn.ModuleDict(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of all layers for (B, 1, S); the last is the score."""
        outputs = []
        for layer in self.model.values():
            x = layer(x)
            outputs.append(x)
        return outputs


class MelganDiscriminator(nn.Module):
    """Discriminators at several sample rates, each half the previous one.

    Parameters
    ----------
    num_D : int
        Number of scales.
    ndf : int
        Channels of the first layer, a multiple of 4.
    n_layers_D : int
        Strided layers per scale.
    downsamp_factor : int
        Their stride.
    """

    def __init__(
        self, num_D: int = 3, ndf: int = 16, n_layers_D: int = 4, downsamp_factor: int = 4
    ) -> None:
        super().__init__()
        self.model = nn.ModuleDict(
            {
                f"disc_{i}": ScaleDiscriminator(ndf, n_layers_D, downsamp_factor)
                for i in range(num_D)
            }
        )

    def forward(self, audio: Tensor) -> list[list[Tensor]]:
        """Return the feature maps of samples (B, S) for each scale; the last is the score."""
        x, results = audio[:, None], []
        for scale in self.model.values():
            results.append(scale(x))
            x = functional.avg_pool1d(x, 4, stride=2, padding=1, count_include_pad=False)
        return results

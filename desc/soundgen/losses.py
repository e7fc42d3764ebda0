"""Losses: multi-resolution STFT distance, and the adversarial losses of MelGAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

RESOLUTIONS = (512, 1024, 2048)  # n_fft; the hop is a quarter
FeatureMaps = list[list[Tensor]]
"""Feature maps of each discriminator scale; the last of a scale is its score."""
FLOOR = 1e-5


class SpectralDistance(nn.Module):
    """Multi-resolution STFT loss: spectral convergence + L1 of log magnitudes.

    (Arik, Jun & Diamos 2019; Yamamoto, Song & Kim 2020.) Mean over three resolutions; Hann
    windows, magnitudes floored at 1e-5, natural logarithm.
    """

    def __init__(self) -> None:
        super().__init__()
        for size in RESOLUTIONS:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, audio: Tensor, real: Tensor) -> Tensor:
        """Return the distance of samples (B, S) from real ones (B, S); 0 if they are equal."""
        total = torch.zeros((), device=audio.device)
        for size in RESOLUTIONS:
            x, y = (self._magnitude(signal, size) for signal in (audio, real))
            convergence = (y - x).norm() / y.norm().clamp_min(FLOOR)
            total = total + convergence + (y.log() - x.log()).abs().mean()
        return total / len(RESOLUTIONS)

    def _magnitude(self, audio: Tensor, size: int) -> Tensor:
        window: Tensor = getattr(self, f"window_{size}")
        spectrum = torch.stft(audio, size, size // 4, window=window, return_complex=True)
        return spectrum.abs().clamp_min(FLOOR)


def discriminator_loss(real: FeatureMaps, fake: FeatureMaps) -> Tensor:
    """Return the hinge loss of the scores, summed over the scales."""
    parts = [
        functional.relu(1 + f[-1]).mean() + functional.relu(1 - r[-1]).mean()
        for r, f in zip(real, fake, strict=True)
    ]
    return sum(parts[1:], parts[0])


def adversarial_loss(fake: FeatureMaps) -> Tensor:
    """Return the generator's adversarial loss: minus the mean scores, summed over the scales."""
    parts = [-f[-1].mean() for f in fake]
    return sum(parts[1:], parts[0])


def feature_loss(real: FeatureMaps, fake: FeatureMaps) -> Tensor:
    """Return the feature matching loss: L1 of feature maps, weighted as published.

    Each map has weight 4 / (strided layers + 1); mean over the scales.
    """
    n_strided = len(real[0]) - 3
    weight = 4 / (n_strided + 1) / len(real)
    parts = [
        functional.l1_loss(f, r.detach())
        for of_real, of_fake in zip(real, fake, strict=True)
        for r, f in zip(of_real[:-1], of_fake[:-1], strict=True)
    ]
    return weight * sum(parts[1:], parts[0])

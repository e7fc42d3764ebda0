"""Differences between spectra, as losses and as measures."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

RESOLUTIONS = (512, 1024, 2048)  # samples of a window; the hop is a quarter
FLOOR = 1e-5


class SpectralDistance(nn.Module):
    """Spectral convergence + mean difference of log magnitudes, over three resolutions.

    (Arik, Jun & Diamos 2019; Yamamoto, Song & Kim 2020.) Natural logarithm, magnitudes of Hann
    windows floored at 1e-5; the mean over the resolutions. 0 for equal sounds.
    """

    def __init__(self) -> None:
        super().__init__()
        for size in RESOLUTIONS:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, audio: Tensor, real: Tensor) -> Tensor:
        """Return the distance of sounds (B, S) to real ones (B, S), a number of at least 0."""
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


def discriminator_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Return the hinge loss of the scores, summed over the scales."""
    parts = [
        functional.relu(1 + f[-1]).mean() + functional.relu(1 - r[-1]).mean()
        for r, f in zip(real, fake, strict=True)
    ]
    total: Tensor = sum(parts[1:], parts[0])
    return total


def adversarial_loss(fake: list[list[Tensor]]) -> Tensor:
    """Return what the generator minimises of the scores: minus their means, summed."""
    parts = [-f[-1].mean() for f in fake]
    total: Tensor = sum(parts[1:], parts[0])
    return total


def feature_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Return the mean absolute difference of feature maps, weighted as published.

    Each map counts 4 / (strided layers + 1), averaged over the scales.
    """
    n_strided = len(real[0]) - 3
    weight = 4 / (n_strided + 1) / len(real)
    parts = [
        functional.l1_loss(f, r.detach())
        for of_real, of_fake in zip(real, fake, strict=True)
        for r, f in zip(of_real[:-1], of_fake[:-1], strict=True)
    ]
    total: Tensor = weight * sum(parts[1:], parts[0])
    return total

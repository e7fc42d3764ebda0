"""Differences between spectra, as losses and as measures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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

"""Griffin-Lim: mel spectrogram → samples without training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from desc.soundgen.mel import MelFrontEnd, analyse, synthesise
from desc.soundgen.settings import MelConfig

ITERATIONS = 32
MOMENTUM = 0.99  # of the fast variant (Perraudin, Balazs & Søndergaard 2013)
UNMIXING_STEPS = 60  # multiplicative updates from mel bands to FFT bins
_TINY = 1e-8


class GriffinLim(nn.Module):
    """Log mel spectrogram → samples by alternating projections (Griffin & Lim 1984).

    FFT magnitudes are the non-negative least-squares inverse of the mel bands (multiplicative
    updates of Lee & Seung 2001).

    Parameters
    ----------
    config : MelConfig
    n_iterations : int
    seed : int
        Seed of the initial phases.
    """

    def __init__(self, config: MelConfig, n_iterations: int = ITERATIONS, seed: int = 0) -> None:
        super().__init__()
        self.front_end = MelFrontEnd(config)
        self.n_iterations = n_iterations
        self.seed = seed

    def forward(self, mel: Tensor) -> Tensor:
        """Return samples (B, T · hop_length) for a log mel spectrogram (B, n_mels, T)."""
        window, hop = self.front_end.window, self.front_end.config.hop_length
        magnitude = self.magnitudes(mel)
        generator = torch.Generator().manual_seed(self.seed)
        angle = 2 * torch.pi * torch.rand(magnitude.shape, generator=generator)
        phase = torch.polar(torch.ones_like(angle), angle).to(mel.device)
        previous = torch.zeros_like(phase)
        for _ in range(self.n_iterations):
            rebuilt = analyse(synthesise(magnitude * phase, window, hop), window, hop)
            ahead = rebuilt + MOMENTUM * (rebuilt - previous)
            phase = ahead / ahead.abs().clamp_min(_TINY)
            previous = rebuilt
        return synthesise(magnitude * phase, window, hop)

    def magnitudes(self, mel: Tensor) -> Tensor:
        """Return the FFT magnitudes (B, 1 + n_fft // 2, T) of a log mel spectrogram."""
        basis = self.front_end.mel_basis
        bands = torch.pow(10.0, mel) if self.front_end.config.log_base == "10" else mel.exp()
        numerator = basis.T @ bands
        bins = numerator / basis.sum(0)[:, None].square().clamp_min(_TINY).sqrt()
        for _ in range(UNMIXING_STEPS):
            bins = bins * numerator / (basis.T @ (basis @ bins)).clamp_min(_TINY)
        return bins

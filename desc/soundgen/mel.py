"""The mel spectrogram that vocoders read and generators write: one front end for all."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from desc.descriptors.filterbanks import hann_window, mel_filters
from desc.soundgen.mel_config import MelConfig
from desc.soundgen.spectrogram import analyse

FLOOR = 1e-5  # smallest magnitude of a band before the logarithm
_BLOCK = 4096  # frames analysed at once


def convert_log(mel: Tensor, source: MelConfig, target: MelConfig) -> Tensor:
    """Return a mel spectrogram in another base of the logarithm."""
    if source.log_base == target.log_base:
        return mel
    return mel * math.log(10) if target.log_base == "e" else mel / math.log(10)


class MelFrontEnd(nn.Module):
    """Sound → log mel spectrogram.

    Magnitudes (power 1, no normalisation) of windowed frames, through Slaney's mel filters of
    equal area, floored at 1e-5 before the logarithm.

    Attributes
    ----------
    mel_basis : Tensor, (n_mels, 1 + n_fft // 2)
    window : Tensor, (n_fft,)
        Periodic Hann.
    """

    mel_basis: Tensor
    window: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        filters = mel_filters(
            config.sample_rate, config.n_fft, config.n_mels, config.fmin, config.fmax
        )
        self.register_buffer("mel_basis", torch.from_numpy(filters.copy()))
        self.register_buffer("window", torch.from_numpy(hann_window(config.n_fft)))

    def forward(self, audio: Tensor) -> Tensor:
        """Return the log mel spectrogram.

        Parameters
        ----------
        audio : Tensor, (B, S)
            Full scale 1; more than (n_fft - hop_length) / 2 samples.

        Returns
        -------
        Tensor, (B, n_mels, S // hop_length)
            At least log 1e-5: -5 in base 10.
        """
        magnitude = analyse(audio, self.window, self.config.hop_length).abs()
        return self._compressed(magnitude, self.mel_basis)

    def _compressed(self, magnitude: Tensor, basis: Tensor) -> Tensor:
        mel = (basis @ magnitude).clamp_min(FLOOR)
        return mel.log10() if self.config.log_base == "10" else mel.log()

    @torch.no_grad()
    def of_recording(self, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the spectrogram (n_mels, S // hop_length) of a recording (S,), in blocks."""
        hop, n_fft = self.config.hop_length, self.config.n_fft
        margin = self.config.margin
        padded = torch.from_numpy(np.pad(sound, margin, mode="reflect"))
        n_frames = len(sound) // hop
        parts = []
        for first in range(0, n_frames, _BLOCK):
            last = min(first + _BLOCK, n_frames) - 1
            piece = padded[first * hop : last * hop + n_fft]
            spectrum = torch.stft(
                piece, n_fft, hop, window=self.window.cpu(), center=False, return_complex=True
            )
            parts.append(self._compressed(spectrum.abs(), self.mel_basis.cpu()))
        joined = torch.cat(parts, 1) if parts else torch.zeros(self.config.n_mels, 0)
        return joined.numpy()

    @property
    def silence(self) -> float:
        """The value of every band in silence."""
        return math.log10(FLOOR) if self.config.log_base == "10" else math.log(FLOOR)

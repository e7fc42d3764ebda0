"""Mel front end shared by vocoders and mel generators, and the STFT below it.

Frames are centred on their hop: T · hop_length samples ↔ T frames.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import fold, pad

from desc.audio import Audio
from desc.descriptors.filterbanks import hann_window, mel_filters
from desc.errors import CheckpointError
from desc.soundgen.settings import MelConfig

FLOOR = 1e-5  # smallest magnitude of a band before the logarithm
_BLOCK = 4096  # frames analysed at once
_TINY = 1e-8  # lower limit of the summed squared windows, which are 0 at the very ends


def analyse(audio: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Return the STFT of samples, reflected by (n_fft - hop_length) / 2 at either end.

    Parameters
    ----------
    audio : Tensor, (B, S)
    window : Tensor, (n_fft,)
    hop_length : int
        Samples.

    Returns
    -------
    Tensor, complex, (B, 1 + n_fft // 2, S // hop_length)
    """
    n_fft = len(window)
    margin = (n_fft - hop_length) // 2
    audio = pad(audio[:, None], (margin, margin), mode="reflect")[:, 0]
    return torch.stft(audio, n_fft, hop_length, window=window, center=False, return_complex=True)


def synthesise(spectrum: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Return the samples with the nearest STFT: windowed overlap-add (Griffin & Lim 1984).

    Parameters
    ----------
    spectrum : Tensor, complex, (B, 1 + n_fft // 2, T)
    window : Tensor, (n_fft,)
    hop_length : int
        Samples.

    Returns
    -------
    Tensor, (B, T · hop_length)
    """
    n_fft, n_frames = len(window), spectrum.shape[-1]
    frames = torch.fft.irfft(spectrum, n_fft, dim=1) * window[:, None]  # (B, n_fft, T)
    squares = (window**2)[None, :, None].expand(1, n_fft, n_frames)
    length = (n_frames - 1) * hop_length + n_fft
    audio, envelope = (
        fold(x, (1, length), (1, n_fft), stride=(1, hop_length))[:, 0, 0] for x in (frames, squares)
    )
    margin = (n_fft - hop_length) // 2
    inside = slice(margin, margin + n_frames * hop_length)
    return audio[:, inside] / envelope[:, inside].clamp_min(_TINY)


def convert_log(mel: Tensor, source: MelConfig, target: MelConfig) -> Tensor:
    """Convert a log mel spectrogram to another base of the logarithm."""
    if source.log_base == target.log_base:
        return mel
    return mel * math.log(10) if target.log_base == "e" else mel / math.log(10)


class MelFrontEnd(nn.Module):
    """Samples → log mel spectrogram.

    STFT magnitudes (power 1, no normalisation) through Slaney's equal-area mel filters, floored at
    1e-5 before the logarithm.

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
    def of_recording(self, sound: Audio) -> Audio:
        """Return the spectrogram (n_mels, S // hop_length) of samples (S,), computed in blocks."""
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
        """Value of every band in silence."""
        return math.log10(FLOOR) if self.config.log_base == "10" else math.log(FLOOR)


def check_same_mel(one: MelConfig, other: MelConfig, names: tuple[str, str]) -> None:
    """Refuse two networks with different mel front ends.

    The base of the logarithm may differ: `convert_log` is exact.

    Raises
    ------
    CheckpointError
        Names each setting that differs, with both values.
    """
    differing = [
        f"{field.name} {getattr(one, field.name)} and {getattr(other, field.name)}"
        for field in dataclasses.fields(one)
        if field.name != "log_base" and _meant(one, field.name) != _meant(other, field.name)
    ]
    if differing:
        raise CheckpointError(
            f"{names[0]} and {names[1]} have different mel front ends: {'; '.join(differing)}"
        )


def _meant(config: MelConfig, name: str) -> object:
    if name == "fmax" and config.fmax is None:
        return config.sample_rate / 2
    return getattr(config, name)

"""Short-time spectra whose frames lie in the middle of their hop: T·hop samples ↔ T frames."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import fold, pad

_QUIETEST = 1e-8  # of the sum of squared windows, which is 0 at the very ends


def analyse(audio: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Return the spectrum of sound reflected by (n_fft - hop_length) / 2 at either end.

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
    """Return the sound whose spectrum is nearest (Griffin & Lim 1984): windowed overlap-add.

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
    return audio[:, inside] / envelope[:, inside].clamp_min(_QUIETEST)

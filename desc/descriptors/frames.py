"""Analysis frames: windows of the signal and their spectra, in batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.filterbanks import chroma_filters, hann_window, mel_spectrum

Array = npt.NDArray[np.float32]

POWER_FLOOR = np.float32(1e-10)
"""Smallest power before a logarithm is taken: librosa's `amin`."""


@dataclass(frozen=True, eq=False)
class Frames:
    """A batch of B consecutive analysis frames, with spectra that families share.

    Frame t is centred on sample t·hop_length; the recording is continued by zeros.

    Attributes
    ----------
    signal : ndarray of float32, (S,)
        Samples from the first of the first frame to the last of the last, padding included.
    inside : slice
        The part of `signal` that belongs to the recording; the rest is zeros.
    n_frames : int
        B.
    config : DescriptorConfig
        Window length, hop and rate.
    scratch : ndarray of float32, (at least B, n_fft)
        Buffer for the windowed frames; kept from batch to batch it stays in the cache.
    exact : bool
        Whether `power` is computed in double precision, in twice the time. Rounding in single
        precision lies some 130 dB below the loudest bin.
    """

    signal: Array
    inside: slice
    n_frames: int
    config: DescriptorConfig
    scratch: Array
    exact: bool

    @cached_property
    def samples(self) -> Array:
        """(B, n_fft) view of the signal."""
        n_fft, hop = self.config.n_fft, self.config.hop_length
        step = self.signal.strides[0]
        return np.lib.stride_tricks.as_strided(
            self.signal, (self.n_frames, n_fft), (hop * step, step), writeable=False
        )

    @cached_property
    def power(self) -> Array:
        """(B, 1 + n_fft // 2) squared magnitudes of the Hann-windowed spectrum."""
        if self.exact:
            return np.square(self.magnitude)
        import scipy.fft

        windowed = self.scratch[: self.n_frames]
        np.multiply(self.samples, hann_window(self.config.n_fft), out=windowed)
        spectrum = scipy.fft.rfft(windowed, axis=1)
        power: Array = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        return power

    @cached_property
    def magnitude(self) -> Array:
        """(B, 1 + n_fft // 2) magnitudes of the Hann-windowed spectrum, equal to librosa's."""
        import scipy.fft

        window = hann_window(self.config.n_fft, np.float64)
        spectrum = scipy.fft.rfft(self.samples * window, axis=1, overwrite_x=True)
        return np.abs(spectrum.astype(np.complex64))

    @cached_property
    def log_mel(self) -> Array:
        """(B, n_mels) mel spectrum in dB, at least -100."""
        config = self.config
        mel = mel_spectrum(self.power, config.sample_rate, config.n_fft, config.n_mels)
        np.maximum(mel, POWER_FLOOR, out=mel)
        np.log10(mel, out=mel)
        mel *= 10
        return mel

    @cached_property
    def chroma(self) -> Array:
        """(B, 12) energy of the pitch classes C … B over the largest of them; 0 for silence."""
        filters = chroma_filters(self.config.sample_rate, self.config.n_fft)
        energy = self.power @ filters.T
        largest = energy.max(1, keepdims=True)
        largest[largest < np.finfo(np.float32).tiny] = 1
        return energy / largest

    @cached_property
    def frequencies(self) -> Array:
        """(1 + n_fft // 2,) centre of each bin in Hz."""
        n_fft, rate = self.config.n_fft, self.config.sample_rate
        return np.fft.rfftfreq(n_fft, 1 / rate).astype(np.float32)

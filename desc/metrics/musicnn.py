"""`Tagger`: a pretrained music tagger as an outside judge of sound.

The network is MSD_musicnn (Pons & Serra 2019, ISC licence): 3 s of log mel spectrogram go through
filters as tall as timbres and as long as rhythms, three convolutions over time, and a dense layer
of 200 numbers, which describes them here. Its weights come from a wheel that is only read:
`pip download --no-deps musicnn==0.1.0`.

The kernel audio distance (KAD; Chung et al. 2025) compares sets of such descriptions. Unlike the
Fréchet distance it does not depend on their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from desc.audio import Audio, resample
from desc.errors import CheckpointError
from desc.metrics.realism import kernel_distance
from desc.metrics.tensor_bundle import Shape, Tensors, read_tensors

Array = npt.NDArray[np.float32]
Sound = tuple[Audio, int]  # samples (S,) and their rate in Hz

RATE, N_FFT, HOP, BANDS = 16000, 512, 256, 96
WINDOW, STEP = 187, 94  # frames of a description, 3 s, and from one to the next
TIMBRES = ((7, 38, 204), (7, 67, 204))  # frames, bands and number of the filters
RHYTHMS = ((128, 51), (64, 51), (32, 51))  # frames and number
FRONT = sum(shape[-1] for shape in (*TIMBRES, *RHYTHMS))  # columns: 561
TAPS, WIDTH, N_LAYERS, OUTPUTS = 7, 64, 3, 200  # of the convolutions over time; of the dense layer
HALF = TAPS // 2
NORMALISATION = ("moving_mean", "moving_variance", "gamma", "beta")
EPSILON = 1e-3  # of batch normalisation
AT_ONCE = 8  # frames that one product gives for the filters of rhythms
BLOCK, BAND_BLOCK, GROUP = 16, 32, 32  # frames, bands and windows at once: they stay in the cache
HOW = "get it by `pip download --no-deps musicnn==0.1.0`"


@dataclass(frozen=True, eq=False)
class Layer:
    """Products with a kernel, rectified and normalised.

    Results rise with the products, or fall where the scale is negative. Kernels are therefore
    multiplied by its sign, so that the largest product always gives the strongest response.

    Attributes
    ----------
    kernel : ndarray of float32, (frames, inputs, C)
    sign, bias, scale, shift : ndarray of float32, (C,)
    """

    kernel: Array
    sign: Array
    bias: Array
    scale: Array
    shift: Array

    @classmethod
    def of(cls, weights: Tensors, name: str, number: int) -> Layer:
        """Build a layer and the normalisation with a number."""
        scale, shift = _normalisation(weights, number)
        sign = np.where(scale < 0, -1, 1).astype(np.float32)
        kernel = weights[f"{name}/kernel"]
        kernel = kernel.reshape(kernel.shape[0], -1, kernel.shape[-1]) * sign
        return cls(kernel, sign, weights[f"{name}/bias"], scale, shift)

    def activated(self, products: Array) -> Array:
        """Rectify and normalise products (..., C)."""
        return np.maximum(products * self.sign + self.bias, 0) * self.scale + self.shift


@dataclass(frozen=True, eq=False)
class Tagger:
    """MSD_musicnn up to its penultimate layer.

    Attributes
    ----------
    entry, pooled : tuple of ndarray of float32
        Scale and shift of the spectrogram, and of the features pooled over time.
    timbres, rhythms, over_time : tuple of Layer
    dense : Layer
    """

    entry: tuple[Array, Array]
    timbres: tuple[Layer, ...]
    rhythms: tuple[Layer, ...]
    over_time: tuple[Layer, ...]
    pooled: tuple[Array, Array]
    dense: Layer

    @classmethod
    def load(cls, wheel: str | Path) -> Tagger:
        """Read the weights from the file `musicnn-0.1.0-py3-none-any.whl`.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged or another one; the message says how to get it.
        """
        path = Path(wheel)
        try:
            weights = read_tensors(path, "musicnn/MSD_musicnn/", _shapes())
            if any(x.min() < 0 for name, x in weights.items() if name.endswith("variance")):
                raise ValueError("a variance is negative")
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror or error}; {HOW}") from error
        except ValueError as error:
            raise CheckpointError(f"{path}: not the wheel of musicnn: {error}; {HOW}") from error
        n_front = len(TIMBRES) + len(RHYTHMS)
        layers = [Layer.of(weights, _named("conv2d", i), 1 + i) for i in range(n_front + N_LAYERS)]
        return cls(
            entry=_normalisation(weights, 0),
            timbres=tuple(layers[: len(TIMBRES)]),
            rhythms=tuple(layers[len(TIMBRES) : n_front]),
            over_time=tuple(layers[n_front:]),
            pooled=_normalisation(weights, 1 + len(layers)),
            dense=Layer.of(weights, "dense", 2 + len(layers)),
        )

    def kad(self, real: Sequence[Sound], generated: Sequence[Sound]) -> float:
        """Return the kernel audio distance of two sets of sounds, times 1000.

        Music against its own continuation has about 0, against other music 50 to 140, cut into
        grains of 90 ms 400. Failure mode: a long copy; read it with the longest copy and the
        similarity of chroma.

        Parameters
        ----------
        real, generated : sequence of (ndarray of float32 (S,), int)
            Samples and their rate in Hz; those shorter than 3 s do not count.

        Returns
        -------
        float
            NaN with fewer than two windows of 3 s on a side.
        """
        none = np.zeros((0, OUTPUTS), np.float32)
        a, b = (
            np.concatenate([none, *(self.describe(*sound) for sound in sounds)])
            for sounds in (real, generated)
        )
        return audio_distance(b, a)

    def describe(self, samples: Audio, sample_rate: int) -> Array:
        """Describe every 3 s of mono sound (S,), 1.5 s apart, by 200 numbers: (n, 200)."""
        sound = resample(np.asarray(samples, np.float32)[None], sample_rate, RATE)[0]
        spectrum = log_mel(sound) * self.entry[0] + self.entry[1]
        starts = range(0, len(spectrum) - WINDOW + 1, STEP)
        groups = [starts[first : first + GROUP] for first in range(0, len(starts), GROUP)]
        described = [self._windows(spectrum[g[0] : g[-1] + WINDOW]) for g in groups]
        return np.concatenate([np.zeros((0, OUTPUTS), np.float32), *described])

    def _windows(self, spectrum: Array) -> Array:
        """Describe the windows of a spectrogram (T, 96)."""
        starts = range(0, len(spectrum) - WINDOW + 1, STEP)
        timbres = [_timbres(spectrum, starts, layer) for layer in self.timbres]
        described = []
        for i, start in enumerate(starts):
            window = spectrum[start : start + WINDOW]
            rhythms = [_rhythms(window, layer) for layer in self.rhythms]
            described.append(self._back(np.concatenate([*(t[i] for t in timbres), *rhythms], 1)))
        return np.stack(described)

    def _back(self, front: Array) -> Array:
        """Return the description (200,) of a window's features (187, 561)."""
        first, *others = self.over_time
        features = _convolved(front, first)
        layers = [front, features]
        for layer in others:
            features = _convolved(features, layer) + features
            layers.append(features)
        every = np.concatenate(layers, axis=1)
        pooled = np.stack([every.max(0), every.mean(0)], axis=1).reshape(-1)
        scale, shift = self.pooled
        pooled = (pooled * scale + shift).astype(np.float32)
        return self.dense.activated(pooled @ self.dense.kernel[:, 0])


def audio_distance(generated: npt.ArrayLike, real: npt.ArrayLike) -> float:
    """Return the kernel audio distance of two sets of descriptions (n, 200), times 1000."""
    return 1000 * kernel_distance(generated, real)


def _timbres(spectrum: Array, starts: range, layer: Layer) -> Array:
    """Return the strongest response (n, 187, C) of each filter of timbres over the bands.

    Windows overlap, and each is padded by zeros: what lies inside is computed once.
    """
    n_inside = WINDOW - 2 * HALF
    edges = np.zeros((2 * len(starts), 3 * HALF, BANDS), np.float32)
    for i, start in enumerate(starts):
        edges[2 * i, HALF:] = spectrum[start : start + 2 * HALF]
        edges[2 * i + 1, : 2 * HALF] = spectrum[start + n_inside : start + WINDOW]
    blocks = range(0, len(spectrum) - 2 * HALF, BLOCK)
    parts = [_responses(spectrum[None, i : i + BLOCK + 2 * HALF], layer)[0] for i in blocks]
    inside = np.concatenate(parts)
    outside = _responses(edges, layer)
    windows = [
        np.concatenate([outside[2 * i], inside[s : s + n_inside], outside[2 * i + 1]])
        for i, s in enumerate(starts)
    ]
    return np.stack(windows)


def _responses(spectra: Array, layer: Layer) -> Array:
    """Return the strongest responses (n, T - 6, C) of filters of timbres to spectra (n, T, 96)."""
    n_frames, n_bands, n_filters = layer.kernel.shape
    seen = np.lib.stride_tricks.sliding_window_view(spectra, (n_frames, n_bands), axis=(1, 2))
    shape = (*seen.shape[:3], n_filters)
    products = seen.reshape(-1, n_frames * n_bands) @ layer.kernel.reshape(-1, n_filters)
    return layer.activated(products.reshape(shape).max(2))


def _rhythms(window: Array, layer: Layer) -> Array:
    """Return the strongest response (187, C) of each filter of rhythms over the bands.

    Copies of the kernel, each a frame later, give several frames in one product.
    """
    n_frames, _, n_filters = layer.kernel.shape
    copies = np.zeros((n_frames + AT_ONCE - 1, AT_ONCE, n_filters), np.float32)
    for i in range(AT_ONCE):
        copies[i : i + n_frames, i] = layer.kernel[:, 0]
    before = (n_frames - 1) // 2
    padded = np.pad(window.T, ((0, 0), (before, n_frames - 1 - before + AT_ONCE - 1)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, len(copies), axis=1)[:, ::AT_ONCE]
    strongest = np.full((seen.shape[1], AT_ONCE * n_filters), -np.inf, np.float32)
    for band in range(0, BANDS, BAND_BLOCK):
        rows = seen[band : band + BAND_BLOCK].reshape(-1, len(copies))
        products = (rows @ copies.reshape(len(copies), -1)).reshape(BAND_BLOCK, *strongest.shape)
        np.maximum(strongest, products.max(0), out=strongest)
    return layer.activated(strongest.reshape(-1, n_filters)[:WINDOW])


def _convolved(features: Array, layer: Layer) -> Array:
    """Convolve features (T, inputs) over seven frames, padded by zeros: (T, 64)."""
    n, shape = len(features), layer.kernel.shape
    products = features @ layer.kernel.transpose(1, 0, 2).reshape(shape[1], -1)
    padded = np.pad(products.reshape(n, TAPS, WIDTH), ((HALF, HALF), (0, 0), (0, 0)))
    return layer.activated(np.sum([padded[i : i + n, i] for i in range(TAPS)], axis=0))


def _normalisation(weights: Tensors, number: int) -> tuple[Array, Array]:
    """Return scale and shift of a layer of batch normalisation."""
    name = _named("batch_normalization", number)
    mean, variance, gamma, beta = (weights[f"{name}/{part}"] for part in NORMALISATION)
    scale = gamma / np.sqrt(variance + np.float32(EPSILON))
    return scale, beta - mean * scale


def _named(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _shapes() -> dict[str, Shape]:
    """Return the names and shapes of the network's tensors."""
    kernels: list[Shape] = [(t, f, 1, n) for t, f, n in TIMBRES]
    kernels += [(t, 1, 1, n) for t, n in RHYTHMS]
    kernels += [(TAPS, n, 1, WIDTH) for n in (FRONT, *[WIDTH] * (N_LAYERS - 1))]
    shapes: dict[str, Shape] = {}
    for i, kernel in enumerate(kernels):
        name = _named("conv2d", i)
        shapes |= {f"{name}/kernel": kernel, f"{name}/bias": kernel[-1:]}
    pooled = 2 * (FRONT + N_LAYERS * WIDTH)
    for i, n in enumerate((1, *(kernel[-1] for kernel in kernels), pooled, OUTPUTS)):
        shapes |= {f"{_named('batch_normalization', i)}/{part}": (n,) for part in NORMALISATION}
    return shapes | {"dense/kernel": (pooled, OUTPUTS), "dense/bias": (OUTPUTS,)}


def log_mel(samples: Audio) -> Array:
    """Return the spectrogram (T, 96) that the tagger reads, of sound (S,) at 16 kHz."""
    import librosa

    n_frames = 1 + len(samples) // HOP
    padded = np.pad(samples, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][:n_frames]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    bands = librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=BANDS)
    return np.log10(10000 * power.astype(np.float32) @ bands.T + 1)

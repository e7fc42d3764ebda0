"""The filter banks are librosa's, number for number."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.fft

from desc.descriptors.filterbanks import (
    chroma_filters,
    cosine_transform,
    hann_window,
    hz_to_mel,
    mel_filters,
    mel_spectrum,
    mel_to_hz,
)

LAYOUTS = [(44100, 2048, 128), (22050, 1024, 40), (8000, 512, 26), (48000, 4096, 128)]


@pytest.mark.parametrize(("sample_rate", "n_fft", "n_mels"), LAYOUTS)
def test_mel_filters_are_librosas(sample_rate: int, n_fft: int, n_mels: int) -> None:
    expected = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels)
    np.testing.assert_allclose(
        mel_filters(sample_rate, n_fft, n_mels), expected, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize(("sample_rate", "n_fft", "n_mels"), LAYOUTS)
def test_chroma_filters_are_librosas(sample_rate: int, n_fft: int, n_mels: int) -> None:
    expected = librosa.filters.chroma(sr=sample_rate, n_fft=n_fft, tuning=0)
    np.testing.assert_allclose(chroma_filters(sample_rate, n_fft), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.filterwarnings("ignore:Empty filters")
@pytest.mark.parametrize("n_mels", [1, 8, 13, 128, 400])  # 400: filters between two bins are empty
def test_bands_give_the_product(rng: np.random.Generator, n_mels: int) -> None:
    weights = mel_filters(44100, 2048, n_mels)
    power = rng.random((20, 1025), np.float32)
    np.testing.assert_allclose(
        mel_spectrum(power, 44100, 2048, n_mels), power @ weights.T, rtol=1e-4, atol=1e-7
    )


def test_mel_scale_has_known_points() -> None:
    np.testing.assert_allclose(mel_to_hz([0, 3, 15, 42]), [0, 200, 1000, 6400])
    for frequency in (0.0, 123.0, 1000.0, 5000.0, 22050.0):
        assert float(mel_to_hz(hz_to_mel(frequency))) == pytest.approx(frequency)


def test_cosine_transform_is_scipys(rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 40))
    expected = scipy.fft.dct(x, type=2, norm="ortho", axis=1)[:, :13]
    np.testing.assert_allclose(x @ cosine_transform(40, 13), expected, atol=1e-12)


def test_hann_window_is_periodic() -> None:
    np.testing.assert_allclose(hann_window(8, np.float64), np.hanning(9)[:8], atol=1e-15)
    assert hann_window(2048).dtype == np.float32

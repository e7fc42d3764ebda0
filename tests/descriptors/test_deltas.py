"""Deltas: librosa's where there are nine frames, known answers, and the rule for fewer."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.deltas import append_deltas
from desc.errors import ConfigurationError

CONFIG = DescriptorConfig(descriptors=("mfcc",))


def mfcc_and_deltas(static: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = append_deltas(static.astype(np.float32), CONFIG)
    return values[:, :13], values[:, 13:26], values[:, 26:]


@pytest.mark.parametrize("n_frames", [9, 10, 13, 200])
def test_deltas_are_librosas(rng: np.random.Generator, n_frames: int) -> None:
    static = (50 * rng.standard_normal((n_frames, 13))).astype(np.float32)
    mfcc, delta, delta2 = mfcc_and_deltas(static)
    np.testing.assert_array_equal(mfcc, static)
    np.testing.assert_allclose(delta, librosa.feature.delta(static.T).T, atol=1e-4)
    np.testing.assert_allclose(delta2, librosa.feature.delta(static.T, order=2).T, atol=1e-4)


@pytest.mark.parametrize("n_frames", [3, 4, 5, 6, 7, 8, 9, 30])
def test_the_delta_of_a_line_is_its_slope(n_frames: int) -> None:
    slopes = np.linspace(-3, 3, 13)
    _, delta, delta2 = mfcc_and_deltas(np.arange(n_frames)[:, None] * slopes + 7)
    np.testing.assert_allclose(delta, np.broadcast_to(slopes, (n_frames, 13)), atol=1e-5)
    np.testing.assert_allclose(delta2, 0, atol=1e-5)


@pytest.mark.parametrize("n_frames", [3, 8, 9, 30])
def test_the_second_delta_of_a_parabola_is_its_curvature(n_frames: int) -> None:
    curvatures = np.linspace(-1, 1, 13)
    _, _, delta2 = mfcc_and_deltas(0.5 * np.arange(n_frames)[:, None] ** 2 * curvatures)
    np.testing.assert_allclose(delta2, np.broadcast_to(curvatures, (n_frames, 13)), atol=1e-4)


@pytest.mark.parametrize("n_frames", [0, 1, 2])
def test_too_few_frames_have_no_deltas(rng: np.random.Generator, n_frames: int) -> None:
    mfcc, delta, delta2 = mfcc_and_deltas(rng.standard_normal((n_frames, 13)))
    assert mfcc.shape == delta.shape == delta2.shape == (n_frames, 13)
    assert not delta.any()
    assert not delta2.any()


def test_only_mfcc_have_deltas(rng: np.random.Generator) -> None:
    config = DescriptorConfig(descriptors=("rms", "mfcc", "f0"), n_mfcc=2)
    static = rng.standard_normal((20, 5)).astype(np.float32)  # rms, mfcc0, mfcc1, f0, voicing
    values = append_deltas(static, config)
    assert values.shape == (20, 9)
    np.testing.assert_array_equal(values[:, [0, 1, 2, 7, 8]], static)
    np.testing.assert_allclose(values[:, 3:5], librosa.feature.delta(static[:, 1:3].T).T, atol=1e-6)
    without = DescriptorConfig(descriptors=("rms",))
    np.testing.assert_array_equal(append_deltas(static[:, :1], without), static[:, :1])


def test_wrong_columns_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\(5, 39\) must be \(T, 13\)"):
        append_deltas(np.zeros((5, 39), np.float32), CONFIG)

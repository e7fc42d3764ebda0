"""YIN: equality with librosa in every frame, known pitches, and held pitches."""

from __future__ import annotations

import math
from collections.abc import Callable

import librosa
import numpy as np
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract_signal
from desc.descriptors.pitch import hold_unvoiced, yin
from desc.errors import ConfigurationError

CONFIG = DescriptorConfig(descriptors=("f0",))
MIDDLE = math.log2(math.sqrt(55 * 2000))


@pytest.mark.filterwarnings("ignore:With fmin")
@pytest.mark.parametrize("kind", ["tone", "noise", "chirp", "notes", "silence"])
@pytest.mark.parametrize(("sample_rate", "n_fft"), [(44100, 2048), (22050, 1024), (48000, 4096)])
def test_every_frame_is_librosas(
    make_signal: Callable[..., np.ndarray], kind: str, sample_rate: int, n_fft: int
) -> None:
    """Including unvoiced frames, so rounding has changed no choice."""
    x = make_signal(kind, 2.0, sample_rate)
    padded = np.pad(x, n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::512]
    expected = librosa.yin(
        x, fmin=55, fmax=2000, sr=sample_rate, frame_length=n_fft, hop_length=512
    )
    pitch = yin(frames, sample_rate)[:, 0]
    np.testing.assert_allclose(pitch, np.log2(expected), atol=1e-5)


@pytest.mark.parametrize("frequency", [60.0, 110.0, 440.0, 987.77, 1900.0])
def test_the_pitch_of_a_tone(make_signal: Callable[..., np.ndarray], frequency: float) -> None:
    values, n_samples = extract_signal([make_signal("tone", frequency=frequency)], CONFIG)
    pitch, voicing = values[CONFIG.complete_frames(n_samples)].T
    # A window of 46 ms holds less than three periods of 60 Hz.
    np.testing.assert_allclose(pitch, math.log2(frequency), atol=0.03)
    assert voicing.min() > (0.75 if frequency < 200 else 0.95)


def test_voicing_tells_tones_from_noise(make_signal: Callable[..., np.ndarray]) -> None:
    noise, _ = extract_signal([make_signal("noise")], CONFIG)
    assert noise[:, 1].max() < 0.5
    silence, _ = extract_signal([make_signal("silence")], CONFIG)
    np.testing.assert_array_equal(silence[:, 1], 0)
    half = make_signal("tone", 2.0) + 0.5 / math.sqrt(2) * 10 * make_signal("noise", 2.0)
    mixed, n_samples = extract_signal([half], CONFIG)
    share = mixed[CONFIG.complete_frames(n_samples), 1].mean()
    assert share == pytest.approx(0.5, abs=0.1)  # half of the power repeats


def test_pitch_is_held_where_unvoiced() -> None:
    values = np.array([[9, 0.2], [8, 0.9], [7, 0.1], [6, 0.49], [5, 0.5], [4, 0.0]], np.float32)
    held = hold_unvoiced(values)
    np.testing.assert_allclose(held[:, 0], [MIDDLE, 8, 8, 8, 5, 5])
    np.testing.assert_array_equal(held[:, 1], values[:, 1])
    np.testing.assert_allclose(hold_unvoiced(values[2:4])[:, 0], MIDDLE)


def test_pitch_is_held_across_batches(make_signal: Callable[..., np.ndarray]) -> None:
    x = np.concatenate([make_signal("tone", 2.0), make_signal("silence", 3.0)])
    pitch, _ = extract_signal([x], CONFIG)[0].T
    np.testing.assert_allclose(pitch[-80:], math.log2(440), atol=0.05)


def test_frames_too_short_for_a_period_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="n_fft=16 must be above 24"):
        yin(np.zeros((1, 16), np.float32), 44100)
    assert yin(np.zeros((1, 64), np.float32), 3000).shape == (1, 2)  # below 4 kHz: to half the rate

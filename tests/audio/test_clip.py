"""Sound in memory."""

from __future__ import annotations

import base64
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.audio import AudioClip, decode
from desc.errors import AudioError, ConfigurationError

RATE = 8000


def tone(duration_s: float, n_channels: int = 2, level: float = 0.5) -> np.ndarray:
    times = np.arange(round(duration_s * RATE)) / RATE
    return np.repeat(level * np.sin(2 * np.pi * 440 * times)[:, None], n_channels, axis=1)


def test_a_clip_says_its_shape_rate_and_length() -> None:
    clip = AudioClip(tone(1.5), RATE)
    assert repr(clip) == "AudioClip(12000 × 2, 8000 Hz, 1.50 s)"
    assert (clip.duration_s, clip.samples.dtype) == (1.5, np.float32)
    assert AudioClip(np.zeros(10), RATE).samples.shape == (10, 1)


def test_saved_as_float_it_keeps_its_bits(tmp_path: Path) -> None:
    clip = AudioClip(tone(0.5, level=1.7), RATE)
    clip.save(tmp_path / "new" / "a.wav", "FLOAT")
    samples, rate = soundfile.read(tmp_path / "new" / "a.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_array_equal(samples, clip.samples)


def test_what_exceeds_full_scale_is_turned_down_not_clipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = AudioClip(tone(0.5, level=2.0), RATE)
    with caplog.at_level(logging.INFO, "desc"):
        clip.save(tmp_path / "a.wav")
    assert "turned down by 6.0 dB" in caplog.text
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    np.testing.assert_allclose(samples, clip.samples / np.abs(clip.samples).max(), atol=1e-6)


def test_a_failed_save_leaves_the_file_of_before(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    AudioClip(tone(0.1), RATE).save(path)
    before = path.read_bytes()
    with pytest.raises(AudioError, match="finite"):
        AudioClip(np.full(10, np.nan), RATE).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_notebook_plays_it() -> None:
    clip = AudioClip(tone(2.0, n_channels=3, level=2.0), 96000)
    html = clip._repr_html_()
    (data,) = re.findall(r'<audio controls src="data:audio/ogg;base64,([^"]+)">', html)
    played, rate = decode(base64.b64decode(data))
    assert (rate, played.shape) == (48000, (1, 8000))
    assert 0.9 < np.abs(played).max() < 1.1
    assert "first" not in html


def test_a_notebook_plays_the_first_minute_of_a_long_clip() -> None:
    html = AudioClip(tone(61.0, n_channels=1), RATE)._repr_html_()
    assert "The first 60 s of 61 s; save(path) writes the whole clip." in html
    assert len(html) < 1_500_000


@pytest.mark.parametrize("shape", [(0, 2), (2, 3, 4), ()])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="samples"):
        AudioClip(np.zeros(shape), RATE)

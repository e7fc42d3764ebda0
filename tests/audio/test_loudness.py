"""Loudness and true peak, against known answers and against ffmpeg."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from desc.audio import LoudnessMeter, write
from desc.audio.loudness import weighting

RATE = 48000


def measured(sound: np.ndarray, rate: int = RATE, block: int = 7919) -> LoudnessMeter:
    meter = LoudnessMeter(rate, len(sound))
    for start in range(0, sound.shape[1], block):
        meter.add(sound[:, start : start + block].astype(np.float32))
    return meter


def test_the_filter_is_that_of_the_standard() -> None:
    """ITU-R BS.1770-4, tables 1 and 2: coefficients at 48 kHz."""
    shelf, high_pass = weighting(48000)
    assert shelf[:3] == pytest.approx([1.53512485958697, -2.69169618940638, 1.19839281085285])
    assert shelf[4:] == pytest.approx([-1.69065929318241, 0.73248077421585])
    assert high_pass == pytest.approx([1, -2, 1, 1, -1.99004745483398, 0.99007225036621])


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
def test_a_full_tone_of_1_khz(rate: int) -> None:
    tone = np.sin(2 * np.pi * 997 * np.arange(3 * rate) / rate)[None]
    assert measured(tone, rate).loudness == pytest.approx(-3.01, abs=0.04)
    assert measured(np.repeat(tone, 2, axis=0), rate).loudness == pytest.approx(0.0, abs=0.04)


def test_pauses_and_soft_parts_do_not_count() -> None:
    """As EBU Tech 3341, case 3, but a sixth as long, so that the two steps count a little."""
    levels = np.repeat([-36.0, -23.0, -36.0], [80000, 480000, 80000])
    tone = 10 ** (levels / 20) * np.sin(2 * np.pi * 1000 * np.arange(len(levels)) / RATE)
    assert measured(np.stack([tone, tone])).loudness == pytest.approx(-23.0, abs=0.2)
    assert measured(np.zeros((1, RATE))).loudness == -math.inf


def test_peaks_between_samples_count() -> None:
    """A tone at a quarter of the rate, sampled at 45°, is 3 dB higher than its samples."""
    tone = 0.5 * np.sin(np.pi / 2 * np.arange(20000) + np.pi / 4)[None]
    meter = measured(tone * np.hanning(20000))
    assert np.abs(tone).max() == pytest.approx(0.5 * math.sqrt(0.5))
    assert meter.true_peak == pytest.approx(0.5, rel=0.01)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_it_agrees_with_ffmpeg(tmp_path: Path, rng: np.random.Generator) -> None:
    envelope = 0.3 * np.abs(np.sin(np.arange(5 * 44100) / 15000)) ** 3
    sound = envelope * np.cumsum(rng.standard_normal((2, 5 * 44100)), axis=1) / 200
    write(tmp_path / "x.wav", sound, 44100, "FLOAT")
    words = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(tmp_path / "x.wav")]
    words += ["-af", "ebur128=peak=true", "-f", "null", "-"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    summary = done.stderr[done.stderr.rindex("Summary") :]
    loudness = re.search(r"I:\s+(\S+) LUFS", summary)
    peak = re.search(r"Peak:\s+(\S+) dBFS", summary)
    assert loudness is not None
    assert peak is not None
    meter = measured(sound, 44100)
    assert meter.loudness == pytest.approx(float(loudness[1]), abs=0.1)
    assert 20 * math.log10(meter.true_peak) == pytest.approx(float(peak[1]), abs=0.1)

"""Two synthetic folders of sounds for the gallery of `docs/listen.md`: voices and weather."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from scipy.signal import butter, lfilter, sosfilt

RATE = 44100
N_FILES, DURATION_S = 12, 20.0
VOWELS = {  # formants in Hz after Peterson & Barney (1952), men
    "ee": (270, 2290, 3010), "eh": (530, 1840, 2480), "ah": (730, 1090, 2440),
    "aw": (570, 840, 2410), "oo": (300, 870, 2240),
}  # fmt: skip
SCALE = (0, 2, 3, 5, 7, 8, 10)  # natural minor, semitones
Sound = npt.NDArray[np.float64]


def write_voices(folder: Path) -> None:
    """Write a choir that sings vowels on the notes of a scale."""
    for index in range(N_FILES):
        rng = np.random.default_rng(index)
        notes = [_sung(rng, 110 * 2 ** (index % 3 / 1.5)) for _ in range(14)]
        _write(folder / f"voices {index:02d}.wav", np.concatenate(notes), rng)


def write_weather(folder: Path) -> None:
    """Write wind, rain, hail and thunder."""
    for index in range(N_FILES):
        rng = np.random.default_rng(100 + index)
        made = (_wind, _drops, _hail, _thunder)[index % 4](rng)
        _write(folder / f"weather {index:02d}.wav", made, rng)


def _write(path: Path, sound: Sound, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = sound[: round(DURATION_S * RATE)]
    noise = 1e-4 * rng.standard_normal(len(sound))  # no digital silence
    soundfile.write(path, 0.5 * sound / np.abs(sound).max() + noise, RATE, subtype="PCM_16")


def _sung(rng: np.random.Generator, lowest_hz: float) -> Sound:
    """Return a vowel on one note: a pulse train through three resonances."""
    t = np.arange(round(rng.uniform(0.4, 1.8) * RATE)) / RATE
    pitch = lowest_hz * 2 ** ((rng.choice(SCALE) + 12 * rng.integers(2)) / 12)
    vibrato = 1 + 0.012 * np.clip(t / 0.5, 0, 1) * np.sin(2 * np.pi * 5.5 * t)
    phase = np.cumsum(pitch * vibrato) / RATE
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.02 * rng.standard_normal(len(t))
    tone = sum(_resonance(pulses, f) / (1 + k) for k, f in enumerate(VOWELS[rng.choice([*VOWELS])]))
    return np.asarray(tone) * np.clip(t / 0.08, 0, 1) * np.clip((t[-1] - t) / 0.15, 0, 1)


def _resonance(sound: Sound, frequency: float, width_hz: float = 90.0) -> Sound:
    radius = np.exp(-np.pi * width_hz / RATE)
    angle = 2 * np.pi * frequency / RATE
    return lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], sound)


def _wind(rng: np.random.Generator) -> Sound:
    noise = rng.standard_normal(round(DURATION_S * RATE))
    gusts = np.interp(np.arange(len(noise)), np.linspace(0, len(noise), 40), rng.random(40))
    return _resonance(noise, rng.uniform(250, 900), 200.0) * (0.2 + gusts**2)


def _drops(rng: np.random.Generator) -> Sound:
    return _hits(rng, n=600, low_hz=1500, high_hz=5000, decay_s=0.02)


def _hail(rng: np.random.Generator) -> Sound:
    return _hits(rng, n=90, low_hz=300, high_hz=2500, decay_s=0.06)


def _thunder(rng: np.random.Generator) -> Sound:
    strokes = np.abs(_hits(rng, n=6, low_hz=0.05, high_hz=0.2, decay_s=2.0))
    low_pass = butter(2, 180, fs=RATE, output="sos")
    return sosfilt(low_pass, rng.standard_normal(len(strokes))) * strokes


def _hits(
    rng: np.random.Generator, *, n: int, low_hz: float, high_hz: float, decay_s: float
) -> Sound:
    """Return decaying sines at random times."""
    sound = np.zeros(round((DURATION_S + 6 * decay_s) * RATE))
    t = np.arange(round(6 * decay_s * RATE)) / RATE
    for start in rng.integers(0, round(DURATION_S * RATE), n):
        hit = np.sin(2 * np.pi * rng.uniform(low_hz, high_hz) * t) * np.exp(-t / decay_s)
        sound[start : start + len(t)] += rng.uniform(0.1, 1) * hit
    return sound

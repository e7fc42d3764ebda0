"""Five synthetic instruments: pitch, length and velocity → mono note.

Each returns `round((duration_s + release) · SAMPLE_RATE)` samples with a peak of about `velocity`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, lfilter, sosfilt

SAMPLE_RATE = 44100
Signal = npt.NDArray[np.float64]
Instrument = Callable[[float, float, float, np.random.Generator], Signal]


def _times(duration_s: float) -> Signal:
    return np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE


def _envelope(t: Signal, attack_s: float, hold_s: float, release_s: float) -> Signal:
    """Return an attack-hold-release envelope with exponential release."""
    rise = 1 - np.exp(-t / max(attack_s, 1e-4) * 4)
    fall = np.where(t < hold_s, 1.0, np.exp(-(t - hold_s) / release_s * 4))
    return rise * fall


def _scaled(note: Signal, velocity: float) -> Signal:
    return note * (velocity / max(float(np.abs(note).max()), 1e-9))


def plucked(
    pitch_hz: float, duration_s: float, velocity: float, rng: np.random.Generator
) -> Signal:
    """A plucked string (Karplus & Strong 1983): a noise burst in a damped delay line."""
    t = _times(duration_s + 1.0)
    period = max(2, round(SAMPLE_RATE / pitch_hz))
    excitation = np.zeros(len(t))
    burst = rng.uniform(-1, 1, period)
    # Softer strokes are duller: the velocity is the low-pass coefficient.
    burst = lfilter([velocity], [1, velocity - 1], burst)
    excitation[:period] = burst[: len(t)]
    damping = 0.996 - 0.5 / pitch_hz
    feedback = np.zeros(period + 2)
    feedback[0], feedback[period], feedback[period + 1] = 1, -damping / 2, -damping / 2
    return _scaled(
        lfilter([1.0], feedback, excitation) * _envelope(t, 0.001, duration_s, 0.5), velocity
    )


def flute(pitch_hz: float, duration_s: float, velocity: float, rng: np.random.Generator) -> Signal:
    """A flute: five harmonics with delayed vibrato, and breath noise around the pitch."""
    t = _times(duration_s + 0.15)
    depth = 0.006 * np.clip((t - 0.2) / 0.4, 0, 1)
    phase = (
        2 * np.pi * np.cumsum(pitch_hz * (1 + depth * np.sin(2 * np.pi * 5.2 * t))) / SAMPLE_RATE
    )
    harmonics = [1.0, 0.45 * velocity, 0.3 * velocity**2, 0.08, 0.05 * velocity]
    tone = sum((a * np.sin((k + 1) * phase) for k, a in enumerate(harmonics)), np.zeros(len(t)))
    band = [0.9 * pitch_hz, min(3.5 * pitch_hz, 0.45 * SAMPLE_RATE)]
    sections = butter(2, band, "bandpass", fs=SAMPLE_RATE, output="sos")
    breath = 0.12 * sosfilt(sections, rng.standard_normal(len(t)))
    return _scaled((tone + breath) * _envelope(t, 0.07, duration_s, 0.12), velocity)


def bell(pitch_hz: float, duration_s: float, velocity: float, rng: np.random.Generator) -> Signal:
    """A bell: inharmonic partials, faster decay of high ones (ratios after Risset 1969)."""
    t = _times(duration_s + 1.6)
    ratios = np.array([0.56, 0.92, 1.19, 1.7, 2.0, 2.74, 3.0, 3.76, 4.07])
    levels = np.array([1.0, 0.7, 1.0, 0.6, 0.9, 0.5, 0.4, 0.35, 0.3])
    note = np.zeros(len(t))
    for ratio, level in zip(ratios, levels, strict=True):
        frequency = ratio * pitch_hz * (1 + 0.001 * rng.standard_normal())
        if frequency < 0.45 * SAMPLE_RATE:
            decay = np.exp(-t * (1.2 + 0.9 * ratio))
            note += level * velocity ** (ratio / 2) * decay * np.sin(2 * np.pi * frequency * t)
    return _scaled(note * _envelope(t, 0.002, duration_s + 1.2, 0.3), velocity)


def strings(
    pitch_hz: float, duration_s: float, velocity: float, rng: np.random.Generator
) -> Signal:
    """A string section: three detuned players, twelve harmonics, slow attack."""
    t = _times(duration_s + 0.5)
    note = np.zeros(len(t))
    for detune in (-0.004, 0.0, 0.0035):
        wander = 1 + detune + 0.002 * np.sin(2 * np.pi * rng.uniform(4.5, 6) * t)
        phase = 2 * np.pi * np.cumsum(pitch_hz * wander) / SAMPLE_RATE + rng.uniform(0, 6.28)
        for k in range(1, 13):
            if k * pitch_hz < 0.4 * SAMPLE_RATE:
                note += np.sin(k * phase) / k ** (2.2 - velocity)
    return _scaled(note * _envelope(t, 0.25, duration_s, 0.45), velocity)


def drum(pitch_hz: float, duration_s: float, velocity: float, rng: np.random.Generator) -> Signal:
    """A hand drum: falling tone and short noise burst."""
    t = _times(min(duration_s, 0.4) + 0.2)
    phase = 2 * np.pi * np.cumsum(pitch_hz / 4 * (1 + 1.5 * np.exp(-t * 40))) / SAMPLE_RATE
    skin = np.sin(phase) * np.exp(-t * 14)
    slap = velocity * rng.standard_normal(len(t)) * np.exp(-t * 70)
    return _scaled(skin + 0.5 * slap, velocity)


INSTRUMENTS: dict[str, Instrument] = {
    "plucked": plucked,
    "flute": flute,
    "bell": bell,
    "strings": strings,
    "drum": drum,
}

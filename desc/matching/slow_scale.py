"""Columns of the slow scale: what the second around a frame sounds like, and where its beat is.

A frame lasts a few hundredths of a second and says nothing of phrase or pulse. A search by frames
alone plays what is right in every frame and never lasts. With these columns beside those of the
match space, one distance compares both scales.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from desc.configuration import SelectionConfig
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.envelope import envelope_db
from desc.matching.arrays import Float32, Float64, Positions, Values
from desc.metrics.rhythm import onset_curve

Complex = npt.NDArray[np.complex128]

SLOW_S = 1.0
"""Length of the window around a frame, seconds."""
SPREAD_WEIGHT = MOTION_WEIGHT = 2.0
"""Weights of spread and motion; that of the mean is 1."""
PULSE_S = 6.0
"""Length of the window in which the pulse is looked for, seconds."""
PULSES_HZ = np.geomspace(1.0, 3.9, 24)
"""Rates compared: 60 to 234 beats per minute."""
TOGETHER = 20000
"""Frames, times rates, that are transformed at once: few calls for many short recordings."""
ONE = np.zeros(1, np.intp)
"""First frames of one recording."""
PHASE_WEIGHT = 0.7
"""Weight of the phase of the pulse; that of the onset strength is 1."""


def with_slow_scale(
    points: Float32,
    values: Values,
    selection: SelectionConfig,
    config: DescriptorConfig,
    firsts: Positions = ONE,
) -> Float32:
    """Return points of the match space with the columns of the slow scale, (n, d + e).

    The points themselves if both weights are 0, or if the selection is `nearest`. With the
    selection `causal` the windows end with the frame instead of lying around it.

    Parameters
    ----------
    points : ndarray of float32, (n, d)
        Consecutive frames of one or more recordings.
    values : ndarray, (n, D)
        Their descriptors.
    selection : SelectionConfig
        `slow_weight` multiplies `slow_columns`, `beat_weight` multiplies `beat_columns`.
    config : DescriptorConfig
        The columns of the descriptors. Without mfcc there are no columns of the beat.
    firsts : ndarray of int, (m,)
        First frame of each recording, ascending from 0. No window crosses them.
    """
    if selection.selection == "nearest":
        return points
    stops, rate = np.append(firsts[1:], len(points)), config.frame_rate
    causal = selection.selection == "causal"
    parts = [slice(*pair) for pair in zip(firsts, stops, strict=True)]
    columns = [points]
    if selection.slow_weight:
        half = round(SLOW_S * rate / 2)
        slow = np.concatenate([slow_columns(points[part], half, causal=causal) for part in parts])
        columns.append(np.float32(selection.slow_weight) * slow)
    if selection.beat_weight and "mfcc" in config.groups:
        envelopes = (envelope_db(values[part], config) for part in parts)
        beat = [beat_columns(envelope, rate, causal=causal) for envelope in envelopes]
        columns.append(np.float32(selection.beat_weight) * np.concatenate(beat))
    return np.hstack(columns) if len(columns) > 1 else points


def slow_scale_key(selection: SelectionConfig, config: DescriptorConfig) -> str:
    """Return a text that differs between slow scales, empty without one."""
    beat_weight = selection.beat_weight if "mfcc" in config.groups else 0.0
    if selection.selection == "nearest" or not (selection.slow_weight or beat_weight):
        return ""
    when = "before " if selection.selection == "causal" else ""
    return f"{when}slow {selection.slow_weight} beat {beat_weight}"


def slow_columns(points: Float32, half: int, *, causal: bool = False) -> Float32:
    """Return mean, spread and motion of each column around each frame, (n, 3·d).

    Spread is the standard deviation, motion the root mean square of the differences of consecutive
    frames, each times its weight.

    Parameters
    ----------
    points : ndarray of float32, (n, d)
        Consecutive frames.
    half, causal
        The window, see `moving_mean`.
    """
    x = points.astype(np.float64)
    mean = moving_mean(x, half, causal=causal)
    spread = np.sqrt(np.maximum(moving_mean(x**2, half, causal=causal) - mean**2, 0))
    steps = np.diff(x, axis=0, prepend=x[:1])
    motion = np.sqrt(moving_mean(steps**2, half, causal=causal))
    return np.hstack([mean, SPREAD_WEIGHT * spread, MOTION_WEIGHT * motion]).astype(np.float32)


def beat_columns(envelope: Float64, frame_rate: float, *, causal: bool = False) -> Float32:
    """Return the strength of the onset at each frame and the phase of the pulse, (n, 3).

    The strength is the square root of the mean rise in dB. The phase is a point in the unit circle:
    its angle is the place between two beats, its radius how strong the pulse is.

    Parameters
    ----------
    envelope : ndarray, (n, bands)
        Spectral envelope of consecutive frames in dB.
    frame_rate : float
        In Hz.
    causal : bool
        Whether only the frames up to each are heard.
    """
    strength = onset_strength(envelope)
    pulse = PHASE_WEIGHT * local_pulse(strength, frame_rate, causal=causal)
    return np.stack([strength, pulse.real, pulse.imag], 1).astype(np.float32)


def onset_strength(envelope: Float64) -> Float64:
    """Return the square root of the mean rise (n,) of an envelope (n, bands) in dB."""
    return np.sqrt(onset_curve(envelope))


def local_pulse(strength: Float64, frame_rate: float, *, causal: bool = False) -> Complex:
    """Return the predominant local pulse of an onset curve (n,) as complex numbers, (n,).

    The sinusoid that agrees best with the curve in a window around each frame, evaluated there
    (Grosche and Müller 2011). Its angle is 0 at a beat; its absolute value is at most about 1,
    and near 0 where nothing recurs. A curve of less than two periods of any pulse gives 0. The
    window of a causal pulse is the falling half of a Hann window: it weighs the last frames most.
    """
    least = math.ceil(2 * frame_rate / PULSES_HZ[-1])
    if len(strength) < least:
        return np.zeros(len(strength), complex)
    curve, window = _even_curve(strength, frame_rate, causal), _pulse_window(frame_rate, causal)
    half = 0 if causal else len(window) // 2
    size = fast_length(len(curve) + len(window))  # what wraps around falls into the padding
    kernel = np.fft.fft(np.roll(np.pad(window, (0, size - len(window))), -half))

    def smooth(values: Float64 | Complex) -> Complex:
        found: Complex = np.fft.ifft(np.fft.fft(values, size) * kernel)
        return found[..., : len(curve)]

    energy = smooth(curve**2).real
    time = np.arange(len(curve)) / frame_rate
    best: Complex = np.zeros(len(curve), complex)
    together = max(1, TOGETHER // len(curve))  # one call for a short recording
    for first in range(0, len(PULSES_HZ), together):
        turning = np.exp(2j * np.pi * PULSES_HZ[first : first + together, None] * time)
        found = smooth(curve * turning.conj()) * turning
        found = found[np.abs(found).argmax(0), np.arange(len(curve))]
        best = np.where(np.abs(found) > np.abs(best), found, best)
    if causal:
        best[: least - 1] = 0
    return 2 * best / np.sqrt(np.maximum(energy, 1e-6))


def _even_curve(strength: Float64, frame_rate: float, causal: bool) -> Float64:
    """Return an onset curve (n,) around 0 and of even strength."""
    second = round(frame_rate / 2)
    curve = strength - moving_mean(strength, second, causal=causal)
    curve /= np.sqrt(moving_mean(curve**2, 4 * second, causal=causal)) + 1e-3
    return np.clip(curve, -1, 4)


@lru_cache(maxsize=4)
def _pulse_window(frame_rate: float, causal: bool) -> Float64:
    window = np.hanning(2 * round(PULSE_S * frame_rate / (1 if causal else 2)) + 3)[1:-1]
    if causal:
        window = window[len(window) // 2 :]
    return window / window.sum()


@lru_cache(maxsize=4)
def _pulse_kernel(frame_rate: float) -> Complex:
    """Return the causal window times each of the pulses, the last frame first, (pulses, n)."""
    window = _pulse_window(frame_rate, True)
    time = np.arange(len(window)) / frame_rate
    return window * np.exp(2j * np.pi * PULSES_HZ[:, None] * time)


def heard_now(
    points: Float32, strength: Float64, selection: SelectionConfig, rate: float
) -> Float32:
    """Return the last row (d + e,) of a causal `with_slow_scale`, of one recording, in less time.

    Parameters
    ----------
    points : ndarray of float32, (n, d)
        The last frames.
    strength : ndarray of float64, (n,)
        Their `onset_strength`; (0,) without mfcc.
    selection : SelectionConfig
        As there.
    rate : float
        Frames per second.
    """
    parts = [points[-1]]
    if selection.slow_weight:
        width = 2 * round(SLOW_S * rate / 2) + 1
        x = points[-width - 1 :].astype(np.float64)
        steps = np.diff(x, axis=0, prepend=x[:1])[-width:]
        x = x[-width:]
        motion = np.sqrt((steps**2).mean(0))
        slow = [x.mean(0), SPREAD_WEIGHT * x.std(0), MOTION_WEIGHT * motion]
        parts.append(selection.slow_weight * np.concatenate(slow))
    if selection.beat_weight and len(strength):
        curve = _even_curve(strength, rate, True)[::-1][: len(_pulse_window(rate, True))]
        found = _pulse_kernel(rate)[:, : len(curve)] @ curve
        best = complex(found[np.abs(found).argmax()])
        energy = float((curve**2) @ _pulse_window(rate, True)[: len(curve)])
        pulse = PHASE_WEIGHT * 2 * best / np.sqrt(max(energy, 1e-6))
        if len(strength) < math.ceil(2 * rate / PULSES_HZ[-1]):
            pulse = 0j
        parts.append(selection.beat_weight * np.array([strength[-1], pulse.real, pulse.imag]))
    return np.concatenate(parts).astype(np.float32)


def fast_length(n: int) -> int:
    """Return a length from n up to n · 6 / 5 whose Fourier transform is fast: few factors but 2."""
    return min(odd << (-(-n // odd) - 1).bit_length() for odd in (1, 3, 5, 9, 15, 27))


def moving_mean(values: Float64, half: int, *, causal: bool = False) -> Float64:
    """Return the mean over `half` frames on either side of each, (n, …) like the values.

    A causal mean is that of the frame and twice `half` frames before it. At the ends the window is
    shorter.
    """
    n, ahead = len(values), 0 if causal else half
    total = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    first = np.maximum(np.arange(n) - 2 * half + ahead, 0)
    stop = np.minimum(np.arange(n) + ahead + 1, n)
    counts = (stop - first).reshape(-1, *[1] * (values.ndim - 1))
    return (total[stop] - total[first]) / counts

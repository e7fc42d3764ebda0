"""Measurements of `selection.py` on rendered sound: descriptors and the frame rate.

The reference is real music, measured in the same way at random points.
"""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import numpy.typing as npt
from scipy.signal import stft

from desc import audio
from desc.descriptors.config import DescriptorConfig
from desc.evaluation.sound import Heard
from desc.metrics.musicnn import RATE, Tagger, audio_distance
from desc.metrics.rhythm import find_pulse
from desc.metrics.sound import ONSET_HOP, chroma_similarity

Audio = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

TOP_DB = 80.0


def mono(path: Path, rate: int) -> Audio:
    """Return a file's sound, (S,)."""
    blocks = list(audio.read_mono_blocks(path, rate, 1 << 16))
    return np.concatenate(blocks)


def log_mel(signal: Audio, config: DescriptorConfig, *, offset: int) -> Array:
    """Return mel bands in dB (n_mels, T) of frames centred at t·hop + offset."""
    padded = np.pad(signal, (config.n_fft // 2 - offset, config.n_fft))
    power = librosa.feature.melspectrogram(
        y=padded, sr=config.sample_rate, n_fft=config.n_fft, hop_length=config.hop_length,
        n_mels=config.n_mels, center=False,
    )  # fmt: skip
    return librosa.power_to_db(power, top_db=None)


def mfcc_again(signal: Audio, n_frames: int, level_db: float, config: DescriptorConfig) -> Array:
    """Return the MFCC (T, K) of a rendering, clipped where those of the target's track are.

    A rendered frame's sound is the hop about its centre, so centres lie half a hop later. Clipped
    at its own maximum instead, identical sound differs by a tenth of a standard deviation.
    """
    bands = log_mel(signal, config, offset=config.hop_length // 2)[:, :n_frames]
    bands = np.maximum(bands, level_db - TOP_DB)
    return librosa.feature.mfcc(S=bands, n_mfcc=config.n_mfcc).T


class Listener:
    """A music tagger, chroma and pulse, by which sounds are compared with real ones.

    Parameters
    ----------
    wheel : path
        The tagger's weights, see `desc.metrics.musicnn`.
    real : list of ndarray
        The real sounds, in the order of those to come.
    rate : int
        Sample rate of all sounds.
    """

    def __init__(self, wheel: Path, real: list[Audio], rate: int) -> None:
        self._tagger, self._rate = Tagger.load(wheel), rate
        self._real = self._heard(real)

    def figures(self, sounds: list[Audio]) -> dict[str, float]:
        """Return KAD, chroma and pulse of sounds beside the real ones."""
        heard, real = self._heard(sounds), self._real
        described = [np.concatenate([one.described for one in x]) for x in (heard, real)]
        alike = [chroma_similarity(a.chroma, b.chroma) for a, b in zip(heard, real, strict=True)]
        pulses = [find_pulse(one.onsets, RATE / ONSET_HOP).strength for one in heard]
        return {
            "KAD": audio_distance(*described),
            "chroma": float(np.mean(alike)),
            "pulse": float(np.mean(pulses)),
        }

    def _heard(self, sounds: list[Audio]) -> list[Heard]:
        return [Heard.of(sound, self._rate, self._tagger) for sound in sounds]


def frame_line_db(signals: list[Audio], config: DescriptorConfig) -> float:
    """Return how far the loudness moves more at the frame rate than at the rates around it."""
    step = config.hop_length // 16
    total: Array | float = 0.0
    for signal in signals:
        n = len(signal) // step
        power = np.square(signal[: n * step], dtype=np.float64).reshape(n, step).mean(1)
        level = 10 * np.log10(power + 1e-4 * power.mean() + 1e-20)
        _, _, spectrum = stft(level, nperseg=1024, noverlap=512, detrend="linear")
        total = total + (np.abs(spectrum) ** 2).mean(1)
    frequency = np.fft.rfftfreq(1024, step / config.sample_rate)
    distance = np.abs(frequency - config.frame_rate)
    line, around = distance < 1.0, (distance > 2.0) & (distance < 8.0)
    return float(10 * np.log10(total[line].max() / total[around].mean()))

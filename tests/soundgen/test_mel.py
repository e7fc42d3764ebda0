"""The front end, its inverse by Griffin-Lim, and incompatible pairs."""

from __future__ import annotations

import math
from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch

from desc.errors import CheckpointError, ConfigurationError
from desc.soundgen.griffin_lim import GriffinLim
from desc.soundgen.mel import MelFrontEnd, analyse, check_same_mel, convert_log, synthesise
from desc.soundgen.settings import MelConfig

Signals = Callable[..., np.ndarray]
RATE = MelConfig(sample_rate=22050)


@pytest.mark.parametrize(
    "config",
    [RATE, MelConfig(n_fft=2048, hop_length=512, n_mels=128), MelConfig(fmax=8000.0, fmin=50.0)],
)
def test_it_is_the_logarithm_of_librosas_mel_spectrogram(
    config: MelConfig, make_signal: Signals
) -> None:
    x = make_signal("notes", 1.0, config.sample_rate)
    padded = np.pad(x, config.margin, mode="reflect")
    magnitude = np.abs(
        librosa.stft(padded, n_fft=config.n_fft, hop_length=config.hop_length, center=False)
    )
    basis = librosa.filters.mel(
        sr=config.sample_rate, n_fft=config.n_fft, n_mels=config.n_mels, fmin=config.fmin,
        fmax=config.fmax,
    )  # fmt: skip
    expected = np.log10(np.maximum(basis @ magnitude, 1e-5))
    mel = MelFrontEnd(config)(torch.from_numpy(x)[None])[0].numpy()
    assert mel.shape == (config.n_mels, len(x) // config.hop_length)
    np.testing.assert_allclose(mel, expected, atol=2e-4)


def test_silence_is_the_floor_and_its_gradient_is_finite() -> None:
    audio = torch.zeros(1, 4096, requires_grad=True)
    mel = MelFrontEnd(RATE)(audio)
    assert (mel == -5).all()
    mel.sum().backward()
    assert audio.grad is not None
    assert audio.grad.isfinite().all()


@pytest.mark.parametrize(("n_samples", "n_frames"), [(8192, 32), (220500, 861)])
def test_frames_are_whole_hops(n_samples: int, n_frames: int) -> None:
    assert MelFrontEnd(RATE)(torch.randn(1, n_samples)).shape == (1, 80, n_frames)


def test_a_spectrum_goes_back_to_its_sound(make_signal: Signals) -> None:
    x = torch.from_numpy(make_signal("notes", 0.5, 22050))[None, : 40 * 256]
    window = torch.hann_window(1024)
    again = synthesise(analyse(x, window, 256), window, 256)
    torch.testing.assert_close(again, x, atol=1e-5, rtol=0)


def test_griffin_lim_gives_sound_of_the_same_spectrogram(make_signal: Signals) -> None:
    x = torch.from_numpy(make_signal("notes", 1.0, 22050))[None]
    front_end = MelFrontEnd(RATE)
    mel = front_end(x)
    audio = GriffinLim(RATE)(mel)
    assert audio.shape == (1, 86 * 256)
    error = (front_end(audio) - mel).abs().mean()
    mean_mel = (mel.mean(2, keepdim=True) - mel).abs().mean()
    assert error < 0.25 * mean_mel
    torch.testing.assert_close(GriffinLim(RATE)(mel), audio, atol=0, rtol=0)


def test_bases_of_the_logarithm_convert(make_signal: Signals) -> None:
    x = torch.from_numpy(make_signal("notes", 0.2, 22050))[None]
    natural = MelConfig(sample_rate=22050, log_base="e")
    mel = convert_log(MelFrontEnd(RATE)(x), RATE, natural)
    torch.testing.assert_close(mel, MelFrontEnd(natural)(x))
    torch.testing.assert_close(convert_log(mel, natural, RATE), MelFrontEnd(RATE)(x))
    assert MelFrontEnd(natural).silence == math.log(1e-5)


def test_a_pair_that_does_not_fit_is_refused_with_both_values() -> None:
    other = MelConfig(sample_rate=44100, n_mels=128, n_fft=2048)
    with pytest.raises(CheckpointError, match=r"sample_rate 22050 and 44100.*n_mels 80 and 128"):
        check_same_mel(RATE, other, ("run a", "run b"))
    full = MelConfig(sample_rate=22050, fmax=11025.0, log_base="e")
    check_same_mel(RATE, full, ("run a", "run b"))  # the same bands in other words


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_fft": 128}, "n_fft=128 must exceed hop_length=256"),
        ({"n_fft": 256}, "n_fft=256 must exceed hop_length=256 by an even number"),
        ({"fmax": 30000.0}, "fmax=30000.0 must"),
        ({"log_base": "2"}, "log_base='2' must be 10 or e"),
    ],
)
def test_a_wrong_front_end_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MelConfig(**values)  # type: ignore[arg-type]

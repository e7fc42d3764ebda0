"""Presets: settings that fit together."""

from __future__ import annotations

from typing import Any

from desc.configuration import check_choice
from desc.soundgen.settings import (
    FlowConfig,
    FlowTraining,
    UnaganConfig,
    UnaganTraining,
    VocoderConfig,
    VocoderTraining,
)

PRESET_NAMES = ("small", "published")
MEL_PRESETS: dict[str, dict[str, int]] = {
    "compatible": {"sample_rate": 44100, "n_fft": 1024, "hop_length": 256, "n_mels": 80},
    "recommended": {"sample_rate": 44100, "n_fft": 2048, "hop_length": 512, "n_mels": 128},
}
"""compatible: MelGAN's windows, at 44.1 kHz; recommended for new runs at that rate: half the
frames, and the bass resolved better."""
_SMALL_TRAINING: dict[str, Any] = {
    "learning_rate": 2e-3, "schedule": "cosine", "batch_size": 4, "steps": 4000,
    "save_interval": 500, "ema_decay": 0.99,
}  # fmt: skip
SMALL: dict[type, dict[str, Any]] = {
    VocoderConfig: {
        "ngf": 8, "dim": 128, "intermediate_dim": 384, "num_layers": 4, "ndf": 8, "n_layers_D": 3,
    },
    UnaganConfig: {"width": 64},
    VocoderTraining: _SMALL_TRAINING
    | {
        "lambda_mel": 45.0, "lambda_stft": 10.0, "discriminator_from": 20000,
        "level_jitter": 1.0, "max_grad_norm": 100.0,
    },
    UnaganTraining: _SMALL_TRAINING
    | {
        "learning_rate": 1e-3, "schedule": "constant", "seq_frames": 128, "num_va": 16,
        "lambda_moments": 1.0, "calibrate": True,
    },
    FlowConfig: {"width": 128, "num_layers": 8},
    FlowTraining: _SMALL_TRAINING
    | {
        "learning_rate": 1e-3, "batch_size": 8, "ema_decay": 0.995, "seq_frames": 128,
        "num_va": 16,
    },
}  # fmt: skip
"""What the preset `small` changes: sizes that two processor cores train in minutes, on spectral
losses, which show a few hundred steps' work where the published adversarial loss does not."""


OF_VOCOS: dict[str, dict[str, Any]] = {
    "small": {"lambda_mel": 15.0, "lambda_stft": 30.0},
    "published": {
        "learning_rate": 5e-4, "schedule": "cosine", "steps": 1_000_000, "seq_len": 16384,
        "lambda_mel": 45.0, "discriminator_from": 20000, "level_jitter": 0.5,
    },
}  # fmt: skip
"""What a preset of `VocoderTraining` has otherwise for vocos: published are its paper's step size,
length and weight of the mel spectrogram; the discriminators wait until the spectrum is near."""


def preset(cls: type, name: str, *, of: str | None = None, **changes: Any) -> Any:
    """Return a configuration as the preset `small` or `published` has it.

    Parameters
    ----------
    cls : type
        A key of `SMALL`.
    name : str
        small or published.
    of : str, optional
        The vocoder that a `VocoderTraining` is for; melgan's where None.
    **changes
        Settings to have otherwise; None leaves one to the preset.
    """
    check_choice("preset", name, PRESET_NAMES)
    given = {field: value for field, value in changes.items() if value is not None}
    values = SMALL[cls] if name == "small" else {}
    if cls is VocoderTraining and of == "vocos":
        values = values | OF_VOCOS[name]
    return cls(**(values | given))

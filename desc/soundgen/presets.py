"""Presets of the settings: `small` for two processor cores, `published` as in the papers."""

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
"""compatible: MelGAN's windows at 44.1 kHz. recommended: half the frame rate, finer bass."""
_SMALL = {
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "batch_size": 4,
    "steps": 4000,
    "save_interval": 500,
    "ema_decay": 0.99,
}
SMALL: dict[type, dict[str, Any]] = {
    VocoderConfig: {
        "ngf": 8,
        "dim": 128,
        "intermediate_dim": 384,
        "num_layers": 4,
        "ndf": 8,
        "n_layers_D": 3,
    },
    UnaganConfig: {"width": 64},
    FlowConfig: {"width": 128, "num_layers": 8},
    VocoderTraining: _SMALL
    | {
        "lambda_mel": 45.0,
        "lambda_stft": 10.0,
        "discriminator_from": 20000,
        "level_jitter": 1.0,
        "max_grad_norm": 100.0,
    },
    UnaganTraining: _SMALL
    | {
        "learning_rate": 1e-3,
        "schedule": "constant",
        "seq_frames": 128,
        "num_va": 16,
        "lambda_moments": 1.0,
        "calibrate": True,
    },
    FlowTraining: _SMALL
    | {"learning_rate": 1e-3, "batch_size": 8, "ema_decay": 0.995, "seq_frames": 128, "num_va": 16},
}
"""Changes of the preset `small`: two processor cores train these sizes in minutes. Vocoders use
spectral losses, which converge in far fewer steps than the published adversarial loss."""
OF_VOCOS: dict[str, dict[str, Any]] = {
    "small": {"lambda_mel": 15.0, "lambda_stft": 30.0},
    "published": {
        "learning_rate": 5e-4,
        "schedule": "cosine",
        "steps": 1_000_000,
        "seq_len": 16384,
        "lambda_mel": 45.0,
        "discriminator_from": 20000,
        "level_jitter": 0.5,
    },
}
"""Further changes of `VocoderTraining` for vocos. `published` has the paper's step size, crop
length and mel weight; the discriminators start once the spectrum is close."""


def preset(cls: type, name: str, *, of: str | None = None, **changes: Any) -> Any:
    """Return the settings of a preset.

    Parameters
    ----------
    cls : type
        A key of `SMALL`.
    name : str
        small or published.
    of : str, optional
        The vocoder of a `VocoderTraining`; melgan by default.
    **changes
        Settings that differ from the preset; None keeps the preset's.
    """
    check_choice("preset", name, PRESET_NAMES)
    given = {field: value for field, value in changes.items() if value is not None}
    values = SMALL[cls] if name == "small" else {}
    if cls is VocoderTraining and of == "vocos":
        values = values | OF_VOCOS[name]
    return cls(**(values | given))

"""Checkpoints of the published MelGAN and HiFi-GAN programs: sizes are read off the shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from desc.configuration import from_dict
from desc.errors import CheckpointError, ConfigurationError
from desc.soundgen.hifigan import HifiganGenerator
from desc.soundgen.mel_config import MelConfig
from desc.soundgen.melgan import MelganGenerator
from desc.soundgen.state_dicts import indices_of, load_state, plain_state

MELGAN_SETTINGS = "args.yml"
HIFIGAN_SETTINGS = "config.json"
_HIFIGAN_NAMES = {
    "sampling_rate": "sample_rate",
    "n_fft": "n_fft",
    "hop_size": "hop_length",
    "num_mels": "n_mels",
    "fmin": "fmin",
    "fmax": "fmax",
}


def load_published(content: Mapping[str, Any], path: Path) -> tuple[str, MelConfig, nn.Module]:
    """Return kind, front end and generator of a published checkpoint.

    What the parameters do not tell, the rate above all, is read from `args.yml` (MelGAN) or
    `config.json` (HiFi-GAN) beside the file; without it, it is 22,050 Hz as published.

    Raises
    ------
    CheckpointError
        If it is neither a MelGAN nor a HiFi-GAN generator.
    """
    state = plain_state(content)
    try:
        if "conv_pre.bias" in state:
            return "hifigan", *_hifigan(state, path)
        if "model.1.bias" in state:
            return "melgan", *_melgan(state, path)
    except (KeyError, ValueError, IndexError, ZeroDivisionError, ConfigurationError) as error:
        raise CheckpointError(f"{path}: not a complete generator: {error}") from error
    raise CheckpointError(f"{path}: neither a MelGAN nor a HiFi-GAN generator")


def _weight(state: Mapping[str, Tensor], layer: str) -> Tensor:
    return state[f"{layer}.weight_v"] if f"{layer}.weight_v" in state else state[f"{layer}.weight"]


def _melgan(state: dict[str, Tensor], path: Path) -> tuple[MelConfig, nn.Module]:
    channels, n_mels, _ = _weight(state, "model.1").shape
    gru = any(name.startswith("model.3.rec.") for name in state)
    plain = indices_of(state, r"model\.(\d+)\.bias")  # first layer, upsamplings, last layer
    ratios = [_weight(state, f"model.{i}").shape[2] // 2 for i in plain[1:-1]]
    blocks = indices_of(state, r"model\.(\d+)\.shortcut\.bias")
    network = MelganGenerator(
        n_mels, channels // 2 ** len(ratios), len(blocks) // len(ratios), ratios, gru=gru
    )
    load_state(network, state, path)
    hop = 1
    for ratio in ratios:
        hop *= ratio
    known = _scalars(path.with_name(MELGAN_SETTINGS))
    rate = int(known.get("sampling_rate", 22050))
    return MelConfig(sample_rate=rate, n_mels=n_mels, hop_length=hop), network


def _scalars(path: Path) -> dict[str, str]:
    """Return the plain `name: value` lines of a YAML file; nothing in it is run."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    return dict(re.findall(r"^\s*(\w+):\s*([\w.+-]+)\s*$", text, flags=re.M))


def _hifigan(state: dict[str, Tensor], path: Path) -> tuple[MelConfig, nn.Module]:
    split = dict(state)
    for name in [n for n in state if n.endswith(".weight")]:
        split[name.removesuffix("weight") + "weight_v"] = state[name]
    network = HifiganGenerator.from_shapes(split)
    load_state(network, state, path)
    values: dict[str, Any] = {"sample_rate": 22050, "fmax": 8000.0}
    settings = path.with_name(HIFIGAN_SETTINGS)
    if settings.is_file():
        try:
            stored = json.loads(settings.read_text("utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{settings}: damaged: {error}") from error
        values = {ours: stored[name] for name, ours in _HIFIGAN_NAMES.items() if name in stored}
    values["n_mels"] = _weight(state, "conv_pre").shape[1]
    return from_dict(MelConfig, values | {"log_base": "e"}), network

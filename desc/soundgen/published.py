"""Published checkpoints of MelGAN, HiFi-GAN and UnaGAN; sizes follow from tensor shapes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from desc.configuration import from_dict
from desc.errors import CheckpointError
from desc.soundgen.hifigan import HifiganGenerator
from desc.soundgen.layers import NormedConv1d, NormedConvTranspose1d, weight_of
from desc.soundgen.melgan import MelganGenerator
from desc.soundgen.settings import MelConfig
from desc.soundgen.unagan import UnaganGenerator

WRAPPERS = ("state_dict.model", "state_dict", "generator", "model_g")
"""Keys that hold the state dict: of UnaGAN, Lightning and HiFi-GAN."""
_RENAMED = (
    ("parametrizations.weight.original0", "weight_g"),
    ("parametrizations.weight.original1", "weight_v"),
    ("parametrizations.weight.0._u", "weight_u"),
    ("parametrizations.weight.0._v", "weight_v"),
    ("parametrizations.weight.original", "weight_orig"),
)


def plain_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the state dict of a checkpoint under the published parameter names.

    Removes wrappers and the prefix `module.` of parallel training; renames parameters of PyTorch's
    newer weight and spectral norm.
    """
    for wrapper in WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, Mapping):
            return plain_state(inner)
    state = {_renamed(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if state and all(k.startswith("module.") for k in state):
        state = {k.removeprefix("module."): v for k, v in state.items()}
    return state


def _renamed(name: str) -> str:
    for new, old in _RENAMED:
        if name.endswith(new):
            return name.removesuffix(new) + old
    return name


def load_state(network: nn.Module, state: Mapping[str, Tensor], source: object) -> None:
    """Load a state dict into a network; folded weight norms are split again.

    Raises
    ------
    CheckpointError
        Names the first parameters that are missing, unknown or of another shape.
    """
    state = split_folded(network, state)
    own = network.state_dict()
    wrong = [f"{k} is missing" for k in own if k not in state]
    wrong += [f"{k} is unknown" for k in state if k not in own]
    wrong += [
        f"{k} is {tuple(state[k].shape)}, must be {tuple(v.shape)}"
        for k, v in own.items()
        if k in state and state[k].shape != v.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"{source}: does not fit this {type(network).__name__}: " + "; ".join(wrong[:3]) + more
        )
    network.load_state_dict(dict(state))


def split_folded(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Split plain weights into the magnitude and direction of weight norm."""
    result = dict(state)
    for name, module in network.named_modules():
        if not isinstance(module, NormedConv1d | NormedConvTranspose1d):
            continue
        weight = result.pop(f"{name}.weight", None)
        if weight is not None:
            result[f"{name}.weight_g"] = weight.norm(dim=(1, 2), keepdim=True)
            result[f"{name}.weight_v"] = weight
    return result


def indices_of(state: Mapping[str, Tensor], pattern: str) -> list[int]:
    """Return the sorted numbers matched by a pattern's only group in the parameter names."""
    return sorted({int(m.group(1)) for k in state for m in [re.fullmatch(pattern, k)] if m})


PUBLISHED_RATE = 22050  # Hz; the default of all three programs
MELGAN_SETTINGS = "args.yml"
HIFIGAN_SETTINGS = "config.json"
UNAGAN_STATISTICS = ("mean.mel.npy", "std.mel.npy")
_HIFIGAN_NAMES = {
    "sampling_rate": "sample_rate",
    "n_fft": "n_fft",
    "hop_size": "hop_length",
    "num_mels": "n_mels",
    "fmin": "fmin",
    "fmax": "fmax",
}


def load_published(content: Mapping[str, Any], path: Path) -> tuple[str, MelConfig, nn.Module]:
    """Return kind, front end and network of a published vocoder.

    The sample rate and other settings are read from `args.yml` (MelGAN) or `config.json` (HiFi-GAN)
    beside the file; without it the rate is 22,050 Hz.

    Raises
    ------
    CheckpointError
        If it is not a MelGAN or HiFi-GAN generator.
    """
    state = plain_state(content)
    if "conv_pre.bias" in state:
        return "hifigan", *_hifigan(state, path)
    if "model.1.bias" in state:
        return "melgan", *_melgan(state, path)
    raise CheckpointError(f"{path}: not a MelGAN or HiFi-GAN generator")


def load_published_unagan(
    content: Mapping[str, Any], path: Path
) -> tuple[MelConfig, UnaganGenerator, Tensor, Tensor]:
    """Return front end, network, and mean and scale (n_mels,) of a published UnaGAN.

    Mean and scale are read from `mean.mel.npy` and `std.mel.npy` beside the file or one folder up,
    the sample rate from `args.yml` beside it; without that file it is 22,050 Hz.

    Raises
    ------
    CheckpointError
        If it is not a UnaGAN generator, or its statistics are missing or have another shape.
    """
    state = plain_state(content)
    if "head0.weight" not in state or "block0.block.0.weight" not in state:
        raise CheckpointError(f"{path}: not a UnaGAN generator")
    n_mels, width, _ = state["head0.weight"].shape
    network = UnaganGenerator(n_mels, state["block0.block.0.weight"].shape[1], width)
    load_state(network, state, path)
    mean, scale = (_statistic(path, name, n_mels) for name in UNAGAN_STATISTICS)
    return MelConfig(sample_rate=_rate(path), n_mels=n_mels), network, mean, scale


def _statistic(path: Path, name: str, n_mels: int) -> Tensor:
    """Read a statistic (n_mels,) from the file that UnaGAN keeps beside its checkpoints."""
    places = [folder / name for folder in (path.parent, path.parent.parent)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise CheckpointError(f"{path}: needs the band statistics {name} beside it")
    try:
        values = np.load(found, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{found}: damaged: {error}") from error
    if values.shape != (n_mels,):
        raise CheckpointError(f"{found}: has shape {values.shape}, must be ({n_mels},)")
    return torch.from_numpy(values.astype(np.float32))


def _rate(path: Path) -> int:
    """Return the sample rate given beside a checkpoint, or the published one."""
    return int(_scalars(path.with_name(MELGAN_SETTINGS)).get("sampling_rate", PUBLISHED_RATE))


def _melgan(state: dict[str, Tensor], path: Path) -> tuple[MelConfig, nn.Module]:
    channels, n_mels, _ = weight_of(state, "model.1").shape
    gru = any(name.startswith("model.3.rec.") for name in state)
    plain = indices_of(state, r"model\.(\d+)\.bias")  # first layer, upsamplings, last layer
    ratios = [weight_of(state, f"model.{i}").shape[2] // 2 for i in plain[1:-1]]
    blocks = indices_of(state, r"model\.(\d+)\.shortcut\.bias")
    network = MelganGenerator(
        n_mels, channels // 2 ** len(ratios), len(blocks) // len(ratios), ratios, gru=gru
    )
    load_state(network, state, path)
    return MelConfig(_rate(path), hop_length=math.prod(ratios), n_mels=n_mels), network


def _scalars(path: Path) -> dict[str, str]:
    """Return the plain `name: value` lines of a YAML file; tags are ignored."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    return dict(re.findall(r"^\s*(\w+):\s*([\w.+-]+)\s*$", text, flags=re.M))


def _hifigan(state: dict[str, Tensor], path: Path) -> tuple[MelConfig, nn.Module]:
    network = HifiganGenerator.from_shapes(state)
    load_state(network, state, path)
    values: dict[str, Any] = {"sample_rate": PUBLISHED_RATE, "fmax": 8000.0}
    settings = path.with_name(HIFIGAN_SETTINGS)
    if settings.is_file():
        try:
            stored = json.loads(settings.read_text("utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{settings}: damaged: {error}") from error
        values = {ours: stored[name] for name, ours in _HIFIGAN_NAMES.items() if name in stored}
    values["n_mels"] = weight_of(state, "conv_pre").shape[1]
    return from_dict(MelConfig, values | {"log_base": "e"}), network

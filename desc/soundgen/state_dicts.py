"""State dicts of other programs, under the names that the networks here have."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from desc.errors import CheckpointError
from desc.soundgen.layers import NormedConv1d, NormedConvTranspose1d

WRAPPERS = ("state_dict.model", "state_dict", "generator", "model_g")
"""Keys under which programs put a state dict: UnaGAN, Lightning, HiFi-GAN."""
_RENAMED = (
    ("parametrizations.weight.original0", "weight_g"),
    ("parametrizations.weight.original1", "weight_v"),
    ("parametrizations.weight.0._u", "weight_u"),
    ("parametrizations.weight.0._v", "weight_v"),
    ("parametrizations.weight.original", "weight_orig"),
)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds; nothing in it is run.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or holds more than plain values and tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than plain values and tensors, and is not opened: loading it "
            "would run its code"
        ) from error
    # Bytes that are no checkpoint make the reader fail in any way.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: no checkpoint, or one that is damaged: {reason}") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: no checkpoint: it holds a {type(content).__name__}")
    return dict(content)


def plain_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the state dict in a checkpoint, with the names of the published networks.

    Wrappers and `module.` prefixes (of parallel training) are taken off; weight and spectral norm
    of PyTorch's newer form get the names of the older one.
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
    """Fill a network from a state dict; a weight whose norm was folded in is split again.

    Raises
    ------
    CheckpointError
        Naming the first parameters that are missing, unknown or of another shape.
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
            f"{source}: not the parameters of this {type(network).__name__}: "
            + "; ".join(wrong[:3])
            + more
        )
    network.load_state_dict(dict(state))


def split_folded(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict whose plain weights became length and direction."""
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
    """Return the numbers that a pattern's only group matches in the names, ascending."""
    return sorted({int(m.group(1)) for k in state for m in [re.fullmatch(pattern, k)] if m})

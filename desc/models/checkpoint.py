"""Model checkpoints: plain values and tensors, read without running code.

The key "desc" holds settings, statistics and parameters. In checkpoints written by Lightning the
parameters are under "state_dict", with "model." before each name.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from desc.configuration import ModelConfig, from_dict, to_dict
from desc.descriptors.config import DescriptorConfig
from desc.errors import CheckpointError
from desc.files import replacing
from desc.models import create_model
from desc.models.base import DescriptorModel
from desc.models.statistics import TrainingStatistics

FORMAT_VERSION = 3  # 2: decoders began with the forecast; 1: frames were seen as such
KEY = "desc"
LIGHTNING_PREFIX = "model."
FOREIGN = "not a checkpoint of this program"


def checkpoint_payload(
    model: DescriptorModel, state: Mapping[str, torch.Tensor] | None = None
) -> dict[str, Any]:
    """Return the content of a checkpoint under `KEY`: plain values and tensors.

    Parameters
    ----------
    model : DescriptorModel
    state : mapping, optional
        Parameters to write, by default the model's own.
    """
    state = model.state_dict() if state is None else state
    return {
        "format_version": FORMAT_VERSION,
        "selected_model": model.model_config.selected_model,
        "descriptor_config": to_dict(model.descriptor_config),
        "model_config": to_dict(model.model_config),
        "statistics": model.statistics.to_tensors(),
        "state_dict": {name: tensor.detach().cpu() for name, tensor in state.items()},
    }


def save_model(model: DescriptorModel, path: str | Path) -> None:
    """Write a checkpoint that `load_model` reads, complete or not at all."""
    with replacing(path) as temporary:
        torch.save({KEY: checkpoint_payload(model)}, temporary)


def load_model(path: str | Path, map_location: str | torch.device = "cpu") -> DescriptorModel:
    """Read a model from a checkpoint, ready to predict.

    Parameters
    ----------
    path : str or Path
        Written by `save_model` or by training.
    map_location : str or torch.device
        Device of the parameters.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another program or of an unknown format version.
    """
    content = read_checkpoint(Path(path))
    payload = content.get(KEY)
    if not isinstance(payload, dict):
        raise CheckpointError(f"{path}: {FOREIGN}")
    version = payload.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: a checkpoint of format version {version}; this program reads version "
            f"{FORMAT_VERSION}"
        )
    try:
        config = from_dict(DescriptorConfig, payload["descriptor_config"])
        model_config = from_dict(ModelConfig, payload["model_config"])
        statistics = TrainingStatistics.from_tensors(payload["statistics"], config)
        state = payload.get("state_dict")
        if state is None:
            prefix = LIGHTNING_PREFIX
            items = content["state_dict"].items()
            state = {k.removeprefix(prefix): x for k, x in items if k.startswith(prefix)}
        # Creating a model draws its initial parameters; torch's random state is kept.
        with torch.random.fork_rng(devices=[]):
            model = create_model(model_config, config, statistics)
        model.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise CheckpointError(f"{path}: the checkpoint is damaged: {error}") from error
    return model.to(map_location).eval()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code.

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
        raise CheckpointError(f"{path}: {FOREIGN}; loading it would run code") from error
    except Exception as error:  # bytes that are no checkpoint make torch fail in any way
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: not a checkpoint, or damaged: {reason}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: {FOREIGN}")
    return content

"""Model checkpoints: plain values and tensors, read without running code.

Under the key "desc" a checkpoint holds plain values and tensors only. Lightning's own
checkpoints hold it too; their parameters are those of the training module, "model." before
each name.
"""

from __future__ import annotations

import pickle
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


def checkpoint_payload(model: DescriptorModel, *, parameters: bool = True) -> dict[str, Any]:
    """Return what a checkpoint holds under `KEY`: plain values and tensors.

    Parameters
    ----------
    model : DescriptorModel
    parameters : bool
        Whether to include the state_dict; a Lightning checkpoint has it already.
    """
    payload = {
        "format_version": FORMAT_VERSION,
        "selected_model": model.model_config.selected_model,
        "descriptor_config": to_dict(model.descriptor_config),
        "model_config": to_dict(model.model_config),
        "statistics": model.statistics.to_tensors(),
    }
    if parameters:
        state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
        payload["state_dict"] = state
    return payload


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
        Where the parameters go.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another program or of an unknown format version.
    """
    path = Path(path)
    content = read_checkpoint(path)
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
        model = rebuild(payload, content)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise CheckpointError(f"{path}: the checkpoint is damaged: {error}") from error
    return model.to(map_location).eval()


def rebuild(payload: dict[str, Any], content: dict[str, Any]) -> DescriptorModel:
    """Return the model that a checkpoint describes, its parameters filled in."""
    descriptor_config = from_dict(DescriptorConfig, payload["descriptor_config"])
    model_config = from_dict(ModelConfig, payload["model_config"])
    statistics = TrainingStatistics.from_tensors(payload["statistics"], descriptor_config)
    state = payload.get("state_dict")
    if state is None:
        state = {
            name.removeprefix(LIGHTNING_PREFIX): tensor
            for name, tensor in content["state_dict"].items()
            if name.startswith(LIGHTNING_PREFIX)
        }
    # Creating a model draws its initial parameters; torch's random state is kept.
    with torch.random.fork_rng(devices=[]):
        model = create_model(model_config, descriptor_config, statistics)
    model.load_state_dict(state)
    return model


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or of another program.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    if not path.stat().st_size:
        raise CheckpointError(f"{path}: the checkpoint is empty")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {FOREIGN}") from error
    # Bytes that are no checkpoint can raise any exception in the reader.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a checkpoint, or damaged: {reason}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: {FOREIGN}")
    return content

"""Model checkpoints: plain values and tensors, read without running code.

The key "desc" holds settings, statistics and parameters. In checkpoints written by Lightning the
parameters are under "state_dict", with "model." before each name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from desc.configuration import ModelConfig, from_dict, to_dict
from desc.descriptors.config import DescriptorConfig
from desc.errors import CheckpointError
from desc.files import replacing
from desc.models import create_model, model_class
from desc.models.base import DescriptorModel, Sizes
from desc.models.checkpoint_file import (
    FOREIGN,
    check_finite,
    read_checkpoint,
    reading,
    write_checkpoint,
)
from desc.models.statistics import TrainingStatistics

FORMAT_VERSION = 3  # 2: decoders began with the forecast; 1: frames were seen as such
KEY = "desc"
LIGHTNING_PREFIX = "model."
FORMER_SIZES = {
    "LSTM": Sizes(hidden_size=192, num_layers=1),
    "LSTMEncoderDecoderModel": Sizes(hidden_size=160, num_layers=1),
    "TransformerEncoderOnlyModel": Sizes(128, num_layers=4, nhead=4, dim_feedforward=512),
    "TransformerModel": Sizes(128, num_layers=2, nhead=4, dim_feedforward=512),
}
"""Default sizes of the versions whose checkpoints do not name them."""


def with_sizes(model_config: ModelConfig, sizes: Sizes) -> ModelConfig:
    """Return settings that name the sizes of the network, those given or else these."""
    unused = model_class(model_config.selected_model).UNUSED
    named = {n: v for n, v in vars(sizes).items() if v and n not in unused}  # 0: not used either
    return replace(
        model_config, **{n: v for n, v in named.items() if getattr(model_config, n) is None}
    )


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
        "model_config": to_dict(with_sizes(model.model_config, model.sizes)),
        "statistics": model.statistics.to_tensors(),
        "state_dict": {name: tensor.detach().cpu() for name, tensor in state.items()},
    }


def save_model(model: DescriptorModel, path: str | Path) -> None:
    """Write a checkpoint that `load_model` reads, complete or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        write_checkpoint(stream, {KEY: checkpoint_payload(model)})


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
    # Creating a model draws its initial parameters; torch's random state is kept.
    with reading(path), torch.random.fork_rng(devices=[]):
        config = from_dict(DescriptorConfig, payload["descriptor_config"])
        model_config = from_dict(ModelConfig, payload["model_config"])
        statistics = TrainingStatistics.from_tensors(payload["statistics"], config)
        state = payload.get("state_dict")
        if state is None:
            prefix = LIGHTNING_PREFIX
            items = content["state_dict"].items()
            state = {k.removeprefix(prefix): x for k, x in items if k.startswith(prefix)}
        width = state["head.linear.weight"].shape[1]  # its default differs between versions
        name = model_config.selected_model
        sizes = replace(FORMER_SIZES.get(name, model_class(name).DEFAULTS), hidden_size=width)
        model = create_model(with_sizes(model_config, sizes), config, statistics)
        model.load_state_dict(state)
        check_finite(state)
    return model.to(map_location).eval()

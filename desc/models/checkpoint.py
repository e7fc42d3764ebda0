"""Checkpoints: everything needed to predict, read without running code.

Under the key "desc" a checkpoint holds plain values and tensors only. Lightning's own
checkpoints hold it too; their parameters are those of the training module, "model." before
each name.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from desc.configuration import ModelConfig, from_dict, to_dict
from desc.descriptors.config import DescriptorConfig
from desc.errors import CheckpointError
from desc.files import replacing
from desc.models import MODELS, create_model
from desc.models.base import DescriptorModel
from desc.models.statistics import TrainingStatistics

FORMAT_VERSION = 3  # 2: decoders began with the forecast; 1: frames were seen as such
KEY = "desc"
LIGHTNING_PREFIX = "model."
EARLIER_SETTINGS = ("window_size", "forecast_size", "hidden_size", "num_layers", "nhead")
"""Settings of a 2021 checkpoint that mean the same today."""


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
        If the file is missing, damaged, of another program, of an unknown format version, or of
        the 2021 code, which needs training anew.
    """
    path = Path(path)
    content = read_checkpoint(path)
    payload = content.get(KEY)
    if not isinstance(payload, dict):
        raise CheckpointError(refusal(path, content))
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
    # Creating a model draws its first parameters; nobody's random state should notice.
    with torch.random.fork_rng(devices=[]):
        model = create_model(model_config, descriptor_config, statistics)
    model.load_state_dict(state)
    return model


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content; of one that holds code only the plain values.

    Raises
    ------
    CheckpointError
        If the file cannot be read as a checkpoint.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    if not path.stat().st_size:
        raise CheckpointError(f"{path}: the checkpoint is empty")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        content = read_inert(path)
    # Bytes that are no checkpoint make the reader fail in any way.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: no checkpoint, or one that is damaged: {reason}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: no checkpoint of this program")
    return content


def refusal(path: Path, content: dict[str, Any]) -> str:
    """Say why a checkpoint without our key is refused, and what to do about it."""
    if "state_dict" not in content or "hyper_parameters" not in content:
        return f"{path}: no checkpoint of this program"
    settings = plain_settings(content["hyper_parameters"])
    name = settings.get("selected_model", guessed_model(content["state_dict"]))
    options = [f"--{key} {settings[key]}" for key in EARLIER_SETTINGS if key in settings]
    command = " ".join(
        [
            "python desc/train_function.py",
            f"--selected_model {name}",
            "--audio_db_dir FOLDER_OF_RECORDINGS",
            *options,
        ]
    )
    return (
        f"{path}: a checkpoint of the 2021 code, whose models saw descriptors that hold the "
        f"future; train anew with\n  {command}"
    )


def plain_settings(value: Any, depth: int = 0) -> dict[str, int | str]:
    """Return the settings we know, wherever in the hyperparameters they stand."""
    found: dict[str, int | str] = {}
    values = value.state if isinstance(value, Inert) else value
    if not isinstance(values, dict) or depth > 3:
        return found
    for key, item in values.items():
        known_size = key in EARLIER_SETTINGS and type(item) is int and item > 0
        if known_size or (key == "selected_model" and item in MODELS):
            found[key] = item
        else:
            found |= plain_settings(item, depth + 1)
    return found


def guessed_model(state: Any) -> str:
    """Return which of the four models the parameters' names belong to."""
    names = " ".join(str(name) for name in state) if isinstance(state, dict) else ""
    decoder = "decoder" in names and "encoder" in names
    if "lstm" in names.lower():
        return "LSTMEncoderDecoderModel" if decoder else "LSTM"
    return "TransformerModel" if "transformer_decoder" in names else "TransformerEncoderOnlyModel"


class Inert:
    """Stands for an object of any class in a foreign pickle; keeps its state, runs nothing."""

    state: Any = None  # its attributes, or its items where it is a mapping

    def __init__(self, *_: object, **__: object) -> None:
        """Take what the class's own constructor would have taken."""

    def __call__(self, *_: object, **__: object) -> Inert:
        """Stand for the result of a function as well."""
        return Inert()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(self.state, dict):
            self.state = {}
        self.state[key] = value

    def append(self, item: Any) -> None:
        """Leave out an item of a list-like object."""

    def extend(self, items: Any) -> None:
        """Leave out items of a list-like object."""


class InertUnpickler(pickle.Unpickler):
    """Reads plain values; every class and function becomes `Inert`, tensors are left out."""

    def find_class(self, module: str, name: str) -> Any:
        """Return `Inert` whatever is asked for, except for the ordered dictionary."""
        return dict if (module, name) == ("collections", "OrderedDict") else Inert

    def persistent_load(self, pid: Any) -> Any:  # noqa: ARG002
        """Return nothing for the data of a tensor."""
        return None


def read_inert(path: Path) -> dict[str, Any]:
    """Return the plain values of a checkpoint that holds objects of other programs.

    Raises
    ------
    CheckpointError
        If there are none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            with archive.open(name) as file:
                content = InertUnpickler(file).load()
    # A foreign pickle can fail in any way; whatever the way, it is no checkpoint of ours.
    except Exception as error:
        raise CheckpointError(
            f"{path}: no checkpoint of this program, or one that is damaged"
        ) from error
    return content if isinstance(content, dict) else {}

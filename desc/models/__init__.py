"""The sequence models: a registry of name → class, loaded on use.

`desc.models.base` defines the interface of a model. A new model is a subclass and a line in
`MODELS`; the contract test finds it by that line.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from desc.configuration import ModelConfig
from desc.errors import ConfigurationError

if TYPE_CHECKING:
    from desc.descriptors.config import DescriptorConfig
    from desc.models.base import DescriptorModel
    from desc.models.statistics import TrainingStatistics

MODELS: dict[str, str] = {
    "LSTM": "desc.models.lstm:LSTM",
    "LSTMEncoderDecoderModel": "desc.models.lstm:LSTMEncoderDecoderModel",
    "TransformerEncoderOnlyModel": (
        "desc.models.transformer_encoder_only:TransformerEncoderOnlyModel"
    ),
    "TransformerModel": "desc.models.transformer:TransformerModel",
}
"""Name of each model → "module:Class"."""


def model_class(name: str) -> type[DescriptorModel]:
    """Return the class of the model called `name`.

    Raises
    ------
    ConfigurationError
        If no model has that name; the message lists those there are.
    """
    if name not in MODELS:
        raise ConfigurationError(f"selected_model={name!r} must be one of {', '.join(MODELS)}")
    module, _, attribute = MODELS[name].partition(":")
    found: type[DescriptorModel] = getattr(importlib.import_module(module), attribute)
    return found


def create_model(
    model_config: ModelConfig,
    descriptor_config: DescriptorConfig,
    statistics: TrainingStatistics,
) -> DescriptorModel:
    """Return an untrained model; its parameters come from torch's global generator.

    Raises
    ------
    ConfigurationError
        If the model is unknown or its sizes contradict each other.
    """
    return model_class(model_config.selected_model)(model_config, descriptor_config, statistics)


def unused_options(model_config: ModelConfig, given: Collection[str] | None = None) -> list[str]:
    """Return the options that were set but are not used by the selected model.

    Parameters
    ----------
    model_config : ModelConfig
        The settings.
    given : collection of str, optional
        Names of the given options; by default those that differ from their defaults.
    """
    unused = set(model_class(model_config.selected_model).UNUSED)
    if model_config.head != "mixture":
        unused.add("n_components")
    return [
        field.name
        for field in dataclasses.fields(model_config)
        if field.name in unused
        and (
            getattr(model_config, field.name) != field.default
            if given is None
            else field.name in given
        )
    ]

"""Names, sizes and options of the models."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from desc.configuration import ModelConfig
from desc.errors import ConfigurationError
from desc.models import MODELS, create_model, model_class, unused_options
from desc.models.base import DescriptorModel
from desc.models.statistics import TrainingStatistics

Make = Callable[..., DescriptorModel]


def test_names() -> None:
    assert list(MODELS) == [
        "LSTM",
        "LSTMEncoderDecoderModel",
        "TransformerEncoderOnlyModel",
        "TransformerModel",
    ]
    for name in MODELS:
        assert model_class(name).__name__ == name


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ConfigurationError, match=r"'RNN'.*LSTM, LSTMEncoderDecoderModel"):
        model_class("RNN")


def test_listing_names_does_not_import_torch() -> None:
    code = "import sys, desc.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", list(MODELS))
def test_default_sizes_are_filled_in(name: str, statistics: TrainingStatistics) -> None:
    model = create_model(
        ModelConfig(selected_model=name), statistics.standardizer.config, statistics
    )
    assert model.sizes == model.DEFAULTS
    wider = create_model(
        ModelConfig(selected_model=name, hidden_size=64), statistics.standardizer.config, statistics
    )
    assert wider.sizes.hidden_size == 64
    assert wider.sizes.num_layers == model.sizes.num_layers


@pytest.mark.parametrize("name", ["TransformerEncoderOnlyModel", "TransformerModel"])
def test_heads_must_divide_the_width(name: str, make_model: Make) -> None:
    with pytest.raises(ConfigurationError, match="nhead=5 must divide hidden_size=16"):
        make_model(name, nhead=5)
    with pytest.raises(ConfigurationError, match="must be even"):
        make_model(name, hidden_size=12, nhead=4)


def test_plans_need_a_distribution() -> None:
    with pytest.raises(ConfigurationError, match="plan_size=8 must be 0 with head=mse"):
        ModelConfig(head="mse", plan_size=8)


def test_statistics_must_fit(make_model: Make, statistics: TrainingStatistics) -> None:
    other = replace(statistics.standardizer.config, hop_length=512)
    with pytest.raises(ConfigurationError, match="other settings"):
        create_model(ModelConfig(), other, statistics)


def test_unused_options() -> None:
    for name in MODELS:
        assert unused_options(ModelConfig(selected_model=name)) == []
    settings = {
        "forecast_size": 7,
        "plan_size": 3,
        "nhead": 2,
        "dim_feedforward": 9,
        "hidden_size": 64,
    }
    assert {
        name: unused_options(ModelConfig(selected_model=name, **settings)) for name in MODELS
    } == {
        "LSTM": ["forecast_size", "plan_size", "nhead", "dim_feedforward"],
        "LSTMEncoderDecoderModel": ["nhead", "dim_feedforward"],
        "TransformerEncoderOnlyModel": ["forecast_size", "plan_size"],
        "TransformerModel": [],
    }
    assert unused_options(ModelConfig(head="gaussian", n_components=3)) == ["n_components"]

"""Descriptors made here, and small models over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.models import create_model
from desc.models.base import DescriptorModel
from desc.models.statistics import TrainingStatistics, fit_statistics

Array = npt.NDArray[np.float32]
SMALL = {
    "window_size": 12,
    "forecast_size": 5,
    "context_size": 20,
    "hidden_size": 16,
    "num_layers": 2,
    "nhead": 2,
    "dim_feedforward": 24,
    "n_components": 3,
}


def moving_statics(n_frames: int, n_columns: int, seed: int) -> Array:
    """(n_frames, n_columns) of an autoregression with scales like those of MFCC."""
    random = np.random.default_rng(seed)
    x = np.zeros((n_frames, n_columns))
    x[0] = random.standard_normal(n_columns)
    for t in range(1, n_frames):
        x[t] = 0.95 * x[t - 1] + 0.3 * random.standard_normal(n_columns)
    scales = np.geomspace(80, 4, n_columns)
    return (x * scales + np.linspace(-150, 5, n_columns)).astype(np.float32)


def sequence_of(
    static: Array, config: DescriptorConfig, source: str = "a.wav"
) -> DescriptorSequence:
    """A recording whose complete frames hold `static`; its other frames are zeros."""
    first = config.complete_frames(10**9).start
    values = np.zeros((len(static) + 2 * first, config.n_columns), np.float32)
    values[first : first + len(static), config.static_columns] = static
    n_samples = (first + len(static) - 1) * config.hop_length + config.n_fft // 2
    return DescriptorSequence(values, config, source, f"digest of {source}", n_samples)


@pytest.fixture(scope="session")
def config() -> DescriptorConfig:
    return DescriptorConfig(descriptors=("mfcc",))


@pytest.fixture(scope="session")
def make_sequence(config: DescriptorConfig) -> Callable[..., DescriptorSequence]:
    """make_sequence(n_complete, seed=0, config=…, source=…)"""

    def make(
        n_complete: int,
        seed: int = 0,
        config: DescriptorConfig = config,
        source: str | None = None,
    ) -> DescriptorSequence:
        static = moving_statics(n_complete, len(config.static_columns), seed)
        return sequence_of(static, config, source or f"{n_complete}-{seed}.wav")

    return make


@pytest.fixture(scope="session")
def statistics(make_sequence: Callable[..., DescriptorSequence]) -> TrainingStatistics:
    return fit_statistics([make_sequence(900, seed) for seed in range(3)])


@pytest.fixture(scope="session")
def make_model(statistics: TrainingStatistics) -> Callable[..., DescriptorModel]:
    """make_model(name, statistics=…, seed=0, **settings): untrained, small unless told.

    A name ending in ", planned" gives a model that plans, except with the head mse.
    """

    def make(
        name: str,
        statistics: TrainingStatistics = statistics,
        seed: int = 0,
        **settings: object,
    ) -> DescriptorModel:
        torch.manual_seed(seed)
        name, _, planned = name.partition(", ")
        plans = planned and settings.get("head") != "mse"
        settings = {"plan_size": 4} | settings if plans else settings
        model_config = ModelConfig(**{**SMALL, "selected_model": name, **settings})
        model = create_model(model_config, statistics.standardizer.config, statistics)
        with torch.no_grad():
            # An untrained head hardly listens to its network; tests want to hear it.
            model.head.linear.weight *= 10
        return model.eval()

    return make


def generators(n: int, seed: int = 0) -> list[torch.Generator]:
    """n generators of different seeds."""
    return [torch.Generator().manual_seed(100 * seed + row) for row in range(n)]

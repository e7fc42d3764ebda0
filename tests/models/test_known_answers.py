"""Trained models against processes whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from desc.configuration import ModelConfig, Sampling
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.models import MODELS, create_model
from desc.models.base import DescriptorModel
from desc.models.rollout import continuation
from desc.models.statistics import fit_statistics

pytestmark = pytest.mark.slow

COEFFICIENTS = np.array([[[0.6, 0.1], [-0.1, 0.5]], [[0.2, 0.0], [0.05, 0.25]]])
NOISE = np.array([[0.5, 0.0], [0.2, 0.4]])
SIZES = {"window_size": 32, "forecast_size": 32, "hidden_size": 48, "dropout": 0.0}
TRANSFORMER = {"num_layers": 2, "nhead": 4, "dim_feedforward": 96}


def autoregression(n_frames: int, seed: int) -> np.ndarray:
    """(n_frames, 2) of a VAR(2)."""
    noise = np.random.default_rng(seed).standard_normal((n_frames + 100, 2)) @ NOISE.T
    x = np.zeros((n_frames + 100, 2))
    for t in range(2, len(x)):
        x[t] = COEFFICIENTS[0] @ x[t - 1] + COEFFICIENTS[1] @ x[t - 2] + noise[t]
    return x[100:]


def switching(n_frames: int, seed: int) -> np.ndarray:
    """(n_frames, 2): a column that changes between -2 and 2, noise in both."""
    random = np.random.default_rng(seed)
    regime = np.cumsum(random.random(n_frames) < 0.05) % 2
    x = random.standard_normal((n_frames, 2))
    return np.stack([4.0 * regime - 2 + 0.2 * x[:, 0], x[:, 1]], 1)


def fitted(name: str, static: np.ndarray, steps: int) -> DescriptorModel:
    """A model trained on one recording by AdamW with a cosine schedule."""
    config = DescriptorConfig(n_mfcc=2, descriptors=("mfcc",))
    values = np.zeros((len(static), 6), np.float32)
    values[:, :2] = static
    n_samples = (len(static) - 1) * config.hop_length + config.n_fft // 2
    sequence = DescriptorSequence(values, config, "a", "a", n_samples)
    torch.manual_seed(0)
    statistics = fit_statistics([sequence])
    model_config = ModelConfig(
        selected_model=name,
        context_size=0,
        **SIZES,
        **(TRANSFORMER if "Transformer" in name else {}),
    )
    model = create_model(model_config, config, statistics)
    frames = torch.from_numpy(sequence.complete_static.copy())
    length = model.context_length + model.prediction_length
    windows = frames.unfold(0, length, 1).transpose(1, 2)  # (N, length, 2)
    valid = torch.ones(64, length, dtype=torch.bool)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    random = torch.Generator().manual_seed(1)
    for _ in range(steps):
        batch = windows[torch.randint(len(windows), (64,), generator=random)]
        optimizer.zero_grad()
        model.nll(batch, valid).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


def continued(model: DescriptorModel, process: np.ndarray, n: int, steps: int) -> np.ndarray:
    """(n, steps, 2) continuations of stretches of a process."""
    context = torch.tensor(process[: n * 100].reshape(n, 100, 2), dtype=torch.float32)
    generators = [torch.Generator().manual_seed(row) for row in range(n)]
    valid = torch.ones(n, 100, dtype=torch.bool)
    plain = Sampling(sampling="plain")
    return continuation(model, context, valid, steps, plain, generators=generators).numpy()


@pytest.mark.parametrize("name", list(MODELS))
def test_linear_process(name: str) -> None:
    model = fitted(name, autoregression(60_000, 0), 700)
    fresh = autoregression(30_000, 1)
    length = model.context_length + model.prediction_length
    items = torch.tensor(fresh[: len(fresh) // length * length], dtype=torch.float32)
    items = items.reshape(-1, length, 2)
    with torch.no_grad():
        nll = model.nll(items, torch.ones(items.shape[:2], dtype=torch.bool))
    # The first frames of an item have little to go by: only where the past is known.
    reached = float(nll[:, 8:].mean())
    scale = model.statistics.standardizer.scale[:2]
    determinant = np.linalg.det(NOISE @ NOISE.T)
    entropy_rate = 0.5 * math.log((2 * math.pi * math.e) ** 2 * determinant) - np.log(scale).sum()
    assert reached == pytest.approx(entropy_rate, abs=0.05)
    y = continued(model, fresh, 200, 600)[:, 100:]
    x = autoregression(400_000, 2)
    np.testing.assert_allclose(y.std((0, 1)), x.std(0), rtol=0.03)
    for column in range(2):
        expected = np.corrcoef(x[1:, column], x[:-1, column])[0, 1]
        result = np.corrcoef(y[:, 1:, column].ravel(), y[:, :-1, column].ravel())[0, 1]
        assert result == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("name", list(MODELS))
def test_switching_process(name: str) -> None:
    model = fitted(name, switching(40_000, 0), 500)
    y = continued(model, switching(10_000, 1), 100, 400)[:, :, 0]
    low, high = (np.abs(y + 2) < 0.8).mean(), (np.abs(y - 2) < 0.8).mean()
    assert low + high > 0.95
    assert 0.38 < high < 0.62
    switches = (np.diff(y > 0, axis=1)).mean()
    assert switches == pytest.approx(0.05, abs=0.015)

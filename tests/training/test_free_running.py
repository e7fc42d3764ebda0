"""The loss of free-running continuations: energy score and window features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from desc.configuration import ModelConfig, TrainConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.metrics.windows import window_features
from desc.models import MODELS, create_model
from desc.models.base import DescriptorModel
from desc.models.statistics import fit_statistics
from desc.training.data import TrainingData
from desc.training.free_running import (
    FreeRunningLoss,
    energy_score,
    features,
    items_to_continue,
    with_ends_aligned,
)
from desc.training.task import DescriptorTask
from desc.training.windows import Batch

MakeSequence = Callable[..., DescriptorSequence]
SMALL = ModelConfig(window_size=12, forecast_size=8, context_size=20, hidden_size=16, nhead=2)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def data_of(model: DescriptorModel, sequence: DescriptorSequence) -> TrainingData:
    return TrainingData([sequence], [sequence], model, batch_size=16, seed=0)


def batch_of(model: DescriptorModel, sequence: DescriptorSequence) -> Batch:
    return data_of(model, sequence).batch(0)


@pytest.fixture(params=list(MODELS))
def model(request: pytest.FixtureRequest, make_sequence: MakeSequence) -> DescriptorModel:
    sequence = make_sequence(400)
    torch.manual_seed(0)
    config = replace(SMALL, selected_model=request.param, num_layers=1)
    return create_model(config, sequence.config, fit_statistics([sequence]))


def test_energy_score_is_known_for_points() -> None:
    x, other, y = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 1.0]]), torch.zeros(1, 2)
    expected = 0.5 * (5 + 1) - 0.5 * np.hypot(3, 3)
    assert float(energy_score(x, other, y)) == pytest.approx(expected, abs=1e-3)


def test_energy_score_is_lowest_for_the_right_distribution() -> None:
    """The normal distribution of the data scores lower than narrower, wider or shifted ones."""
    y, x, other = (normal(40_000, 3, seed=i) for i in range(3))
    right = float(energy_score(x, other, y))
    for scale, shift in ((0.5, 0.0), (0.0, 0.0), (1.6, 0.0), (1.0, 0.4)):
        wrong = float(energy_score(scale * x + shift, scale * other + shift, y))
        assert wrong > right + 0.01, (scale, shift)


def test_features_are_those_of_the_metrics() -> None:
    x = normal(43, 5).double()
    expected = window_features(x.numpy(), 43)[0]
    np.testing.assert_allclose(features(x).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_a_frozen_window_has_a_finite_slope() -> None:
    x = torch.ones(43, 5, requires_grad=True)
    features(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_the_loss_falls_along_its_gradient(
    model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    batch, loss = batch_of(model, make_sequence(400)), FreeRunningLoss(model, np.ones(9), 0.0)

    def value() -> torch.Tensor:
        torch.manual_seed(7)
        return loss(model, batch)

    model.train()
    before = value()
    before.backward()
    assert model.training
    with torch.no_grad():
        norm = sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None)
        for p in model.parameters():
            p.sub_(p.grad, alpha=0.01 / norm**0.5)
        assert float(value()) < float(before)


def test_items_are_continued_from_as_many_frames(
    model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    batch, loss = batch_of(model, make_sequence(400)), FreeRunningLoss(model, np.ones(9), 0.0)
    known = torch.tensor([32, 10, 31, 16, 15, 33])
    last = torch.arange(33) >= 33 - known[:, None]
    steps, rows = items_to_continue(last, 16)
    assert (steps, rows.tolist()) == (8, [0, 2, 3, 5])  # of 16 frames only two
    steps, rows = items_to_continue(last[:, 13:], 16)
    assert (steps, rows.tolist()) == (10, [0, 2, 5])
    assert float(loss(model, batch._replace(valid=torch.zeros_like(batch.valid)))) == 0


def test_a_short_recording_is_continued_to_its_end(
    model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    """Frames after its end make no difference, and its last frames do."""
    sequence = make_sequence(400)
    whole = batch_of(model, sequence)
    first = Batch(*(part[:1] for part in whole))
    t = first.valid.shape[1]
    valid = (torch.arange(t) >= t - 30) & (torch.arange(t) < t - 5)
    short = first._replace(valid=valid[None])
    frames, present = with_ends_aligned(short)
    assert present[0].tolist() == [False] * (t - 25) + [True] * 25
    assert torch.equal(frames[0, -25:], first.frames[0, t - 30 : t - 5])

    def loss_of(batch: Batch) -> float:
        torch.manual_seed(7)
        return FreeRunningLoss(model, np.ones(9), 0.0)(model, batch).item()

    changed = first.frames.clone()
    changed[:, t - 5 :] += 100
    assert loss_of(short) == loss_of(short._replace(frames=changed)) != 0
    changed[:, t - 6] += 100
    assert loss_of(short) != loss_of(short._replace(frames=changed))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_the_model_is_the_average_of_what_learned(
    decay: float, model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    training = TrainConfig(ema_decay=decay, rollout_every=0, accelerator="cpu")
    task = DescriptorTask(model, data_of(model, make_sequence(400)), training)
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    for step in range(5):
        task.step(step, 0)
        task.average.update(step)
        kept = min(decay, (1 + step) / (10 + step))
        for name, latest in model.named_parameters():
            expected[name] = expected[name] * kept + latest.detach() * (1 - kept)
    with task.average.in_use():
        for name, p in model.named_parameters():
            torch.testing.assert_close(p.detach(), expected[name], atol=1e-5, rtol=1e-4)


def test_continuations_are_learned_from_every_few_steps(make_sequence: MakeSequence) -> None:
    sequence = make_sequence(400)
    model = create_model(SMALL, sequence.config, fit_statistics([sequence]))
    asked: list[int] = []

    class Counting(FreeRunningLoss):
        def forward(self, model: DescriptorModel, batch: Batch) -> torch.Tensor:
            asked.append(step)
            return super().forward(model, batch)

    training = TrainConfig(rollout_every=3, accelerator="cpu")
    free_running = Counting(model, np.ones(9), 0.0)
    task = DescriptorTask(model, data_of(model, sequence), training, free_running=free_running)
    for step in range(7):
        task.step(step, 0)
    assert asked == [0, 3, 6]

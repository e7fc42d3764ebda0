"""The critic: gradient reversal, bounded slope and effect on the model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from desc.configuration import ModelConfig, TrainConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.models import create_model
from desc.models.base import DescriptorModel
from desc.models.inputs import ContextStatistics
from desc.models.statistics import fit_statistics
from desc.training.critic import Critic, turned_round
from desc.training.data import TrainingData
from desc.training.free_running import FreeRunningLoss
from desc.training.task import DescriptorTask

MakeSequence = Callable[..., DescriptorSequence]


@pytest.fixture
def model(make_sequence: MakeSequence) -> DescriptorModel:
    sequence = make_sequence(400)
    torch.manual_seed(0)
    config = ModelConfig(window_size=12, context_size=20, hidden_size=16)
    return create_model(config, sequence.config, fit_statistics([sequence]))


def stats_of(model: DescriptorModel, n_rows: int) -> ContextStatistics:
    zeros = torch.zeros(n_rows, model.n_features)
    return ContextStatistics(
        zeros, torch.ones(n_rows, 1), torch.zeros(n_rows, 3 * model.n_features)
    )


def critic_of(model: DescriptorModel) -> Critic:
    torch.manual_seed(3)
    return Critic(model.n_features, 3 * model.n_features)


def test_turned_round_is_the_identity_forwards_and_turns_the_gradient_round() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = turned_round(x, 0.5)
    torch.testing.assert_close(y, x)
    (y * torch.tensor([3.0, 4.0])).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([-1.5, -2.0]))


def test_a_continuation_is_moved_to_where_the_critic_finds_it_more_real(
    model: DescriptorModel,
) -> None:
    critic, context_stats = critic_of(model).eval(), stats_of(model, 4)
    drawn = torch.randn(8, 43, model.n_features, requires_grad=True)
    real = torch.randn(4, 43, model.n_features, requires_grad=True)
    critic.loss(drawn, real, context_stats, model.space, 1.0).backward()
    assert drawn.grad is not None
    each = ContextStatistics(*(part.repeat(2, 1) for part in context_stats))
    with torch.no_grad():
        before = critic(drawn, each, model.space).mean()
        after = critic(drawn - drawn.grad, each, model.space).mean()
    assert after > before


def test_a_critic_learns_and_stays_of_bounded_slope(model: DescriptorModel) -> None:
    """It separates windows that move twice as far, with matrices of norm 1 at most."""
    critic, context_stats = critic_of(model), stats_of(model, 16)
    optimizer = torch.optim.Adam(critic.parameters(), 2e-3)
    torch.manual_seed(4)
    for _ in range(150):
        real, drawn = torch.randn(2, 16, 43, model.n_features)
        optimizer.zero_grad()
        critic.loss(2 * drawn, real, context_stats, model.space, 0.0).backward()
        optimizer.step()
    critic.eval()
    with torch.no_grad():
        told = critic(real, context_stats, model.space) > critic(
            2 * drawn, context_stats, model.space
        )
        assert told.float().mean() > 0.9
        for layer in (*critic.convolutions, critic.style, critic.exit):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2) < 1.1


@pytest.mark.slow
def test_what_learns_with_a_critic_comes_to_what_is_real(model: DescriptorModel) -> None:
    critic, context_stats = critic_of(model), stats_of(model, 16)
    shift = torch.nn.Parameter(torch.full((model.n_features,), 1.5))
    groups = [{"params": [shift], "lr": 2e-2}, {"params": critic.parameters(), "lr": 2e-3}]
    optimizer = torch.optim.Adam(groups, betas=(0.5, 0.9))
    torch.manual_seed(5)
    for _ in range(250):
        real, drawn = torch.randn(2, 16, 43, model.n_features)
        optimizer.zero_grad()
        critic.loss(drawn + shift, real, context_stats, model.space, 1.0).backward()
        optimizer.step()
    assert shift.abs().max() < 0.6


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_critic_learns_with_the_model_and_is_saved_with_it(
    weight: float, model: DescriptorModel, make_sequence: MakeSequence
) -> None:
    sequence = make_sequence(400)
    data = TrainingData([sequence], [sequence], model, batch_size=16, seed=0)
    free_running = FreeRunningLoss(model, np.ones(9), weight)
    training = TrainConfig(rollout_every=1, adversarial_weight=weight, accelerator="cpu")
    task = DescriptorTask(model, data, training, free_running=free_running)
    saved = [name for name in task.state_dict()["networks"]["free_running"] if "critic" in name]
    assert bool(saved) == bool(weight)
    before = {name: p.clone() for name, p in free_running.named_parameters()}
    task.step(0, 0)
    for name, parameter in free_running.named_parameters():
        assert not torch.equal(parameter, before[name]), name

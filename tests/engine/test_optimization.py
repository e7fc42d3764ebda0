"""The learning rate as a function of the step, and the running average of parameters."""

from __future__ import annotations

import pytest
import torch

from desc.engine.optimization import LearningRate, RunningAverage


def test_the_rate_rises_then_falls() -> None:
    rate = LearningRate(0.01, 1000, 50, 0.01)
    rates = [rate.at(step) for step in range(1000)]
    assert rates[49] == max(rates) == pytest.approx(0.01)
    assert rates[:50] == sorted(rates[:50])
    assert rates[49:] == sorted(rates[49:], reverse=True)
    assert rates[0] == pytest.approx(0.01 / 50)
    assert rates[-1] == pytest.approx(0.0001, rel=0.01)
    assert rates[525] == pytest.approx(0.505 * 0.01), "half way down"


def test_without_a_lower_share_the_rate_is_constant() -> None:
    assert {LearningRate(3e-4, 10).at(step) for step in range(20)} == {3e-4}


def test_the_cosine_ends_at_the_last_share() -> None:
    assert LearningRate(1.0, 10, last_share=0.05).at(10) == pytest.approx(0.05)


@pytest.mark.parametrize("most", [0.0, 0.9])
def test_the_average_is_that_of_all_steps(most: float) -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    average = RunningAverage(network, most)
    values = [1.0, 5.0, -2.0]
    expected = network.weight.item()
    for step, value in enumerate(values):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update(step)
        decay = min(most, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    with average.in_use():
        assert network.weight.item() == pytest.approx(expected, rel=1e-5)
    assert network.weight.item() == -2.0


def test_buffers_are_those_of_the_network() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = RunningAverage(network, 0.5)
    network.running_mean.fill_(3.0)
    average.update(0)
    state = average.state_dict()
    assert state.keys() == network.state_dict().keys()
    assert torch.equal(state["running_mean"], torch.full((2,), 3.0))
    other = RunningAverage(torch.nn.BatchNorm1d(2), 0.5)
    state["weight"] = torch.tensor([4.0, 5.0])
    other.load(state)
    assert torch.equal(other.values["weight"], state["weight"])

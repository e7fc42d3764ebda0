"""The running average of parameters."""

from __future__ import annotations

import pytest
import torch

from desc.engine.averaging import RunningAverage


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

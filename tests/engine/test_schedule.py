"""The learning rate is a function of the step."""

from __future__ import annotations

import pytest

from desc.engine.schedule import LearningRate


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

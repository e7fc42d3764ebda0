"""Plans of blocks: what they describe, and how the next one is predicted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from desc.metrics.windows import window_features
from desc.models.planner import HISTORY, Block, Planner


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def block_of(x: torch.Tensor) -> Block:
    return Block(x, torch.diff(x, dim=-2))


@pytest.fixture
def planner() -> Planner:
    torch.manual_seed(0)
    return Planner(5, 4, dropout=0.0).eval()


def test_a_block_is_described_as_by_the_metrics(planner: Planner) -> None:
    x = normal(43, 5)
    expected = window_features(x.numpy(), 43)[0]
    result = planner.features(block_of(x[None]))[0]
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-3, atol=1e-3)


def test_plans_are_white_principal_components(planner: Planner) -> None:
    """Blocks that differ in one direction most: the first number of a plan tells it."""
    level = 3 * normal(500, 1, 1, seed=1)
    blocks = block_of(normal(500, 20, 5) + level)
    planner.fit(
        [Block(blocks.statics[:200], blocks.steps[:200]), Block(*(x[200:] for x in blocks))]
    )
    plans = planner.plans(blocks)
    np.testing.assert_allclose(plans.mean(0).numpy(), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(plans.numpy().T), np.eye(4), atol=0.02)
    correlation = np.corrcoef(plans[:, 0].numpy(), level[:, 0, 0].numpy())[0, 1]
    assert abs(correlation) > 0.99


@pytest.mark.parametrize("length", [1, 2])
def test_blocks_that_never_move_have_finite_plans(planner: Planner, length: int) -> None:
    still = torch.ones(6, length, 5)
    planner.fit([block_of(still[:0])])  # no whole block
    for n in (1, 6):
        planner.fit([block_of(still[:n])])
        assert (planner.plans(block_of(still)).abs() < 1e-3).all()


def test_a_prediction_does_not_depend_on_the_plans_themselves(planner: Planner) -> None:
    """Only their differences: the same music in another timbre is planned alike."""
    plans, known = normal(3, HISTORY, 4), torch.ones(3, HISTORY, dtype=torch.bool)
    last = normal(3, 43, 5)
    parameters, former = planner(plans, known, last)
    shifted, moved = planner(plans + 2.0, known, last - 1.0)
    torch.testing.assert_close(shifted, parameters, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(moved, former + 2.0)


def test_what_followed_a_similar_plan_is_an_echo(planner: Planner) -> None:
    """Plans a, b, a, b, …, a: b follows a."""
    a, b = normal(4), normal(4, seed=1) + 3.0
    plans = torch.stack([a, b] * (HISTORY // 2))[None].roll(1, 1)
    weight = torch.ones(1, HISTORY, 1)
    torch.testing.assert_close(planner.echo(plans, weight)[0], b - a, atol=1e-4, rtol=1e-4)
    weight[:, :-1] = 0.0
    assert (planner.echo(plans, weight) == 0).all()


def test_missing_plans_have_no_influence(planner: Planner) -> None:
    plans, known = normal(2, HISTORY, 4), torch.ones(2, HISTORY, dtype=torch.bool)
    known[:, :-3] = False
    plans[:, :-3] = 0.0
    expected, _ = planner(plans, known, normal(2, 9, 5))
    plans[:, :-3] = 100.0
    result, _ = planner(plans, known, normal(2, 9, 5))
    torch.testing.assert_close(result, expected)

"""The length of a run."""

from __future__ import annotations

import pytest

from desc.errors import CheckpointError
from desc.training.plan import (
    TIME_SHARE,
    Interlude,
    Schedule,
    Speed,
    bounded_interval,
    plan_schedule,
)
from desc.training.task import is_due


def test_all_epochs_where_time_allows() -> None:
    plan = plan_schedule([10, 11, 10], 1e-3, 1, Speed(0.1, 1.0))
    assert plan.total_steps == 31
    assert plan.duration_s() == pytest.approx(3.1 + 3)
    assert plan.duration_s(31) == 0
    assert plan_schedule([10, 11, 10], 1e-3, 1, Speed(0.1, 1.0), 100.0) == plan


@pytest.mark.parametrize(
    ("seconds", "steps"), [(5.6, 26), (5.0, 20), (3.5, 15), (1.0, 1), (-3.0, 1)]
)
def test_what_fits_into_the_time(seconds: float, steps: int) -> None:
    # A second per validation: after each ten steps, and at the end.
    plan = plan_schedule([10] * 5, 1e-3, 1, Speed(0.1, 1.0), seconds / TIME_SHARE)
    assert plan.total_steps == steps
    if seconds > 1.1:
        assert plan.duration_s() <= seconds + 1e-9
        assert plan.duration_s() > seconds - 1.1  # one more step might cost a validation


def test_validations_are_fewer_with_a_longer_interval() -> None:
    assert plan_schedule([10] * 4, 1e-3, 2, Speed(0.1, 1.0)).duration_s() == pytest.approx(6)


def test_what_is_done_between_steps_counts() -> None:
    assert [e for e in range(1, 13) if is_due(e, 4, 1)] == [4, 8, 12]
    assert [e for e in range(5, 36, 5) if is_due(e, 7, 5)] == [10, 15, 25, 30, 35]
    speed = Speed(0.1, 1.0, (Interlude(2, 3.0),))
    # After two of four epochs and at the end, which the fourth is.
    assert plan_schedule([10] * 4, 1e-3, 1, speed).duration_s() == pytest.approx(4 + 4 + 6)
    for seconds, steps in ((11.51, 25), (11.0, 20)):
        plan = plan_schedule([10] * 4, 1e-3, 1, speed, seconds / TIME_SHARE)
        assert plan.total_steps == steps


def test_a_schedule_is_stored() -> None:
    schedule = Schedule(123, 0.01, 0.25)
    assert Schedule.from_dict(schedule.to_dict() | {"ended": "time limit"}) == schedule
    with pytest.raises(CheckpointError, match="damaged"):
        Schedule.from_dict({"total_steps": 3})


def test_the_rate_warms_up_for_a_twentieth_of_a_short_run() -> None:
    assert Schedule(1000, 0.01).rates.warmup_steps == 50
    assert Schedule(100_000, 0.01).rates.warmup_steps == 200
    assert Schedule(1, 0.01).rates.at(0) == 0.01
    assert Schedule(100, 1e-3, 0.5).rates.at(30) == Schedule(100, 1e-3, 0.1).rates.at(30)


@pytest.mark.parametrize(
    ("limit_s", "expected"), [(60, 0), (399, 0), (401, 101), (1000, 51), (40_000, 10)]
)
def test_checks_take_a_share_of_the_time_at_most(limit_s: float, expected: int) -> None:
    assert bounded_interval(10, 100, 20.0, 0.05 * limit_s) == expected
    if expected:  # measurements before the end, and the one at the end
        assert (sum(e % expected < 1 for e in range(1, 100)) + 1) * 20 <= 0.05 * limit_s

"""The stop condition: clock, signals, and when the reason changes."""

from __future__ import annotations

import signal

import pytest

from desc.engine.stopping import (
    EARLY,
    INTERRUPTED,
    SIGNALS,
    TIME,
    StopCondition,
    is_interrupt,
    now,
    stop_message,
)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_at_the_next_check(number: int) -> None:
    stop, former = StopCondition(), signal.signal(number, signal.default_int_handler)
    try:
        with stop.on_signals():
            signal.raise_signal(number)
            assert stop.reason is None  # another process may be in the middle of a step
            second = signal.getsignal(number)
            stop.check()
    finally:
        signal.signal(number, former)
    assert second == signal.default_int_handler, "a second signal acts at once"
    assert (stop.reason, stop.signal) == (INTERRUPTED, number)


def test_a_reason_is_kept() -> None:
    stop = StopCondition(deadline=now() - 1)
    stop.reason = EARLY
    stop.check()
    assert stop.reason == EARLY


@pytest.mark.parametrize(("left_s", "reserve_s", "reason"), [(1e6, 0, None), (100, 200, TIME)])
def test_the_last_validation_counts_towards_the_limit(
    left_s: float, reserve_s: float, reason: str | None
) -> None:
    stop = StopCondition(now() + left_s, reserve_s)
    stop.check()
    assert stop.reason == reason


def test_a_signal_handled_like_ctrl_c_is_an_interrupt() -> None:
    assert is_interrupt(None)
    assert is_interrupt(signal.SIGINT)
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        assert is_interrupt(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert not is_interrupt(signal.SIGTERM)


def test_lines_for_the_user() -> None:
    assert stop_message("ab12", EARLY, 3, 9) is None
    assert stop_message("ab12", TIME, 3, 9) == (
        "time limit reached at step 3 of 9; run ab12 can be resumed"
    )

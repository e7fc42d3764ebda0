"""Progress reaches the reporter of the block it is reported in; times are short texts."""

from __future__ import annotations

from desc.progress import clock, duration, part, report, reporting


def test_progress_reaches_the_innermost_reporter_and_nobody_outside() -> None:
    outer: list[tuple[str, int, int]] = []
    inner: list[tuple[str, int, int]] = []
    report("train", 1, 2)
    with reporting(lambda *call: outer.append(call)):
        report("train", 1, 2)
        with reporting(lambda *call: inner.append(call)):
            report("predict", 3, 4)
        with reporting(None):
            report("train", 9, 9)
        report("train", 2, 2)
    assert outer == [("train", 1, 2), ("train", 2, 2)]
    assert inner == [("predict", 3, 4)]


def test_parts_add_up_to_the_whole() -> None:
    calls: list[tuple[str, int, int]] = []
    with reporting(lambda *call: calls.append(call)):
        for index in range(3):
            with part(index, 3):
                for done in (5, 10):
                    report("predict", done, 10)
    assert [done for _, done, _ in calls] == [5, 10, 15, 20, 25, 30]
    assert {total for _, _, total in calls} == {30}


def test_a_reporter_is_restored_after_an_error() -> None:
    calls: list[tuple[str, int, int]] = []
    with reporting(lambda *call: calls.append(call)):
        try:
            with part(1, 2):
                raise ValueError
        except ValueError:
            report("train", 1, 1)
    assert calls == [("train", 1, 1)]


def test_times_as_texts() -> None:
    lengths = [duration(s) for s in (0.2, 40, 720, 12600, 4 * 86400)]
    assert lengths == ["1 s", "40 s", "12 min", "3.5 h", "4 days"]
    assert [clock(s) for s in (0, 5.4, 321, 3921)] == ["0:00", "0:05", "5:21", "1:05:21"]

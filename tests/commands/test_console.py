"""Progress as bars on request, and as plain lines without a terminal."""

from __future__ import annotations

import logging

import pytest

from desc.commands.console import Console
from desc.progress import report


@pytest.mark.parametrize(("bars", "drawn"), [(True, True), (None, False), (False, False)])
def test_bars(bars: bool | None, drawn: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with Console(bars=bars) as console:
        console.progress("train", 1, 2)
        console.progress("train", 2, 2)
    printed = capsys.readouterr().err
    assert ("100%" in printed) == drawn
    assert (printed == "training: 2 steps\n") != drawn


def test_what_the_library_logs_is_printed_while_a_console_is_open(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = logging.getLogger("desc.some.module")
    logger.info("before")
    with Console():
        logger.info("2 files skipped")
        logger.debug("detail")
        report("train", 1, 2)
    logger.info("after")
    with Console(quiet=True):
        logger.info("quiet")
    assert capsys.readouterr().err == "2 files skipped\ntraining: 2 steps\n"


def test_one_of_a_thing_is_singular(capsys: pytest.CaptureFixture[str]) -> None:
    with Console(bars=False):
        report("extract", 0, 1)
        report("extract", 0, 2)
    printed = capsys.readouterr().err
    assert printed == "extracting descriptors: 1 file\nextracting descriptors: 2 files\n"

"""Progress as bars on request, and as plain lines without a terminal."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from desc.commands.console import Console
from desc.commands.main import main
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


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x07\x1b[31m\x9b2Jb\u202egpj.wav"
    shown = "a\\x07\\x1b[31m\\x9b2Jb\\u202egpj.wav"
    with Console() as console:
        console.result(name)
        console.error(name)
        logging.getLogger("desc.corpus").warning("%s: é\tü", name)
    captured = capsys.readouterr()
    assert captured.out == f"{shown}\n"
    assert captured.err == f"{shown}\n{shown}: é\tü\n"
    assert main(["extract", "--audio_db_dir", f"/nowhere/{name}"]) == 1
    assert shown in capsys.readouterr().err
    assert main(["extract", "--audio_db_dir", "x", f"--{name}"]) == 2
    assert shown in capsys.readouterr().err


def test_a_warning_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Console():
        for _ in range(2):
            logging.getLogger("desc.corpus").warning("a.wav: silent")
            logging.getLogger("desc.corpus").info("1 file")
    assert capsys.readouterr().err == "a.wav: silent\n1 file\n1 file\n"


PRINTS = """
import sys
from desc.commands.console import Console
from desc.commands.live_display import Display
from desc.live.engine import Figures

class Stream:
    watchers, pulse = [], 0j
    class settings: mode = "follow"

with Console() as console:
    display = Display(Stream, console, [])  # on a terminal still, so they draw a line and a bar
    sys.stdout.write("ready\\n")  # one write: the terminal is closed once it is read
    sys.stdin.readline()
    display.show(Figures())
    display.end()
    for done in range(3):
        console.progress("train", done, 2)
    console.note("a note")
    console.result("a result")
open(sys.argv[1], "w").close()
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo terminal")
def test_a_closed_terminal_ends_nothing(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PRINTS, str(tmp_path / "done")],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    assert b"ready" in os.read(ours, 100)
    os.close(ours)
    process.communicate(b"go\n")
    assert process.returncode == 0
    assert (tmp_path / "done").exists()

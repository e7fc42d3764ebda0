"""`desc continue`: what it prints and opens, and how it ends."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

import desc.continuing
import desc.training.fit
from desc.commands.main import main
from desc.configuration import STYLES
from desc.errors import TrainingInterruptedError
from desc.takes import list_takes
from tests.small_run import SmallRun

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def words(small_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    recording = small_run.root / "training" / "c.wav"
    return [
        "continue", str(recording), "--with", str(small_run.root / "held_out"), "--duration_s", "1",
        "--jobs", "1", "--offline", *small_run.options,
    ]  # fmt: skip


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that the browser was asked to open."""
    addresses: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: addresses.append(url) or True)
    return addresses


def test_the_page_is_named_and_opened_on_demand(
    words: list[str], opened: list[str], tmp_path: Path, capsys: Captured
) -> None:
    assert main(words) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("c.wav → predictions/c.wav/1/prediction.wav (1.0 s, ")
    page = (tmp_path / "predictions" / "c.wav" / "1" / "report.html").as_uri()
    assert printed.err.splitlines()[-1] == f"listen: {page}"
    assert opened == [], "not without a terminal"
    changed = ["--seed", "3", "--style", "loops", "--match_space", ".5"]
    assert main([*words, "--open_page", *changed]) == 0
    index = (tmp_path / "predictions" / "c.wav" / "index.html").as_uri()
    assert opened == [index]
    (take,) = (take for take in list_takes("predictions/c.wav") if take.number == 2)
    wanted = {"seed": 3, "match_space": 0.5, **STYLES["loops"]}
    assert {name: take.request[name] for name in wanted} == wanted
    settings = (tmp_path / "predictions" / "c.wav" / "2" / "settings.toml").read_text("utf-8")
    assert "\nseed = 3\n" in settings
    assert "\nwith = [" in settings
    assert main([*words, "--quiet"]) == 0
    printed = capsys.readouterr()
    assert "(kept: same request)" in printed.out
    assert printed.err.count("listen") == 1


def test_an_interrupted_training_says_how_to_go_on(
    words: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise TrainingInterruptedError("abcd1234")

    monkeypatch.setattr(desc.continuing, "find_run", lambda *_: None)
    monkeypatch.setattr(desc.training.fit, "train", interrupted)
    assert main(words) == 130
    told = capsys.readouterr().err
    assert "run abcd1234 is kept; the same command continues with it" in told
    assert "desc train --resume_run_id abcd1234" in told


def test_wrong_usage_is_told_before_any_work(
    words: list[str], small_run: SmallRun, capsys: Captured
) -> None:
    assert main([*words, "--duration_s", "0"]) == 2
    assert "duration_s=0.0 must be a number above 0" in capsys.readouterr().err
    inside = str(small_run.root / "held_out" / "out")
    assert main([*words, "--output_dir", inside]) == 2
    assert "results would become sounds of the corpus" in capsys.readouterr().err
    assert main([*words, "--run_id", "nothing-like-it"]) == 1
    assert "run nothing-like-it was not found" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named_before_a_training(
    words: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untimely(*_: object, **__: object) -> None:
        raise AssertionError("nothing is trained")

    monkeypatch.setattr(desc.continuing, "find_run", lambda *_: None)
    monkeypatch.setattr(desc.training.fit, "train", untimely)
    assert main([*words, "--from_s", "99"]) == 2
    assert "from_s=99.0 must be at most 6.00" in capsys.readouterr().err
    Path("predictions").write_text("a file", "utf-8")
    assert main(words) == 1
    assert "predictions is a file" in capsys.readouterr().err
    assert Path("predictions").read_text("utf-8") == "a file"

"""Commands and code of the README run as printed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.commands.main import COMMANDS, build_parser
from tests.documents import ROOT, blocks, commands

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_examples_are_found() -> None:
    assert {words[0] for words in commands("README.md")} >= {"train", "predict", "evaluate"}
    assert {words[0] for words in commands("docs/options.md")} >= {"render", "extract", "generate"}


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Return the options of a parser and of the parsers below it."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found = found.union(*map(options, action.choices.values()))
    return found


def test_every_option_that_is_named_exists() -> None:
    known = set().union(*(options(build_parser(command)) for command in COMMANDS))
    options_page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(--[a-zA-Z_-]+)", README + options_page))
    assert named <= known


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_library_example_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_signal: Callable[..., np.ndarray],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESC_CACHE", str(tmp_path / "cache"))
    for folder, names in {"recordings": ("song", "b"), "large_folder": ("x", "y")}.items():
        (tmp_path / folder).mkdir()
        for seed, name in enumerate(names):
            path = tmp_path / folder / f"{name}.wav"
            soundfile.write(path, make_signal("notes", 5.0, seed=seed), 44100)
    (example,) = blocks("README.md", "python")
    assert len(example.strip().splitlines()) <= 20
    exec(compile(example, "README.md", "exec"), {})
    assert soundfile.info(tmp_path / "continued.wav").frames == 430 * 1024

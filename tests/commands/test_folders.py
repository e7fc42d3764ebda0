"""Options that name recordings, completed from a run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desc.commands.folders import FOLDERS, PATTERNS, recall_inputs
from desc.commands.main import build_parser, main
from desc.errors import ConfigurationError


def options(**given: Any) -> argparse.Namespace:
    names = dict.fromkeys((*FOLDERS, *PATTERNS, "resume_run_id", "from_run"))
    return argparse.Namespace(**{**names, **given})


def test_a_run_completes_what_is_not_given() -> None:
    inputs = {"audio_db_dir": "a", "validation_db_dir": "v", "include": ["x*"]}
    record: Any = SimpleNamespace(run_id="id", inputs=inputs)

    def recalled(**given: Any) -> tuple[Any, Any, Any]:
        args = options(**given)
        recall_inputs(args, record)
        return args.audio_db_dir, args.validation_db_dir, args.include

    assert recalled(resume_run_id="id") == ("a", "v", ["x*"])
    assert recalled(from_run="id") == ("a", "v", ["x*"])
    # Patterns belong to the folder; a new run on other recordings has its own validation.
    assert recalled(resume_run_id="id", audio_db_dir="b") == ("b", "v", None)
    assert recalled(from_run="id", audio_db_dir="b") == ("b", None, None)
    with pytest.raises(ConfigurationError, match="run id does not name one"):
        recall_inputs(options(from_run="id"), SimpleNamespace(run_id="id", inputs={}))  # type: ignore[arg-type]


def test_several_folders_are_one_corpus(
    tmp_path: Path, make_wav: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Files of the same name in two folders stay apart."""
    sounds = (("a", 440.0), ("b", 550.0))
    first, second = (make_wav(f"{name}/kick.wav", frequency=f).parent for name, f in sounds)
    folders = [str(first), str(second)]
    words = ["extract", "--audio_db_dir", *folders, "--cache_dir", str(tmp_path / "cache")]
    assert main([*words, "--jobs", "1"]) == 0
    assert "2 files, " in capsys.readouterr().out
    parser = build_parser()
    for command in (["train"], ["evaluate", "--run_id", "x"]):
        words = [*command, "--audio_db_dir", *folders, "--sample_audio_db_dir", *folders]
        args = parser.parse_args(words)
        assert args.audio_db_dir == args.sample_audio_db_dir == folders


def test_sounds_of_a_run_are_recalled_if_all_are_there(tmp_path: Path) -> None:
    for sounds, recalled in (
        (str(tmp_path), str(tmp_path)),  # of an earlier version
        ([str(tmp_path)], [str(tmp_path)]),
        ([str(tmp_path), str(tmp_path / "gone")], None),
    ):
        args = options(resume_run_id="id")
        inputs = {"audio_db_dir": "a", "sample_audio_db_dir": sounds}
        recall_inputs(args, SimpleNamespace(run_id="id", inputs=inputs))  # type: ignore[arg-type]
        assert args.sample_audio_db_dir == recalled

"""`desc report`: pages of results and runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from desc import outputs
from desc.commands.main import main

Captured = pytest.CaptureFixture[str]


def test_a_result_and_a_folder_of_results(
    result: Path, tmp_path: Path, capsys: Captured
) -> None:  # fmt: skip
    for name in ("a.wav", "more/b.wav"):
        shutil.copytree(result, tmp_path / "out" / name)
        (tmp_path / "out" / name / outputs.REPORT).unlink(missing_ok=True)
    assert main(["report", str(tmp_path / "out" / "a.wav")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'a.wav' / outputs.REPORT}\n"
    assert main(["report", str(tmp_path / "out")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    other = tmp_path / "page.html"
    assert main(["report", str(tmp_path / "out"), "--output_path", str(other)]) == 2
    assert "contains 2 results" in capsys.readouterr().err
    words = ["report", str(tmp_path / "out" / "a.wav"), "--output_path", str(other)]
    assert main(words) == 0
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_what_is_no_run_and_no_result(tmp_path: Path, capsys: Captured) -> None:
    words = ["report", str(tmp_path), "--offline", "--cache_dir", str(tmp_path / "cache")]
    assert main(words) == 1
    assert f"{tmp_path}" in capsys.readouterr().err

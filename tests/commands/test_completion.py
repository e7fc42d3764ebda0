"""The scripts of `desc completion`, each run in its shell."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from desc.commands.completion import SHELLS
from desc.commands.main import COMMANDS, main
from desc.models import MODELS

pytest.importorskip("shtab")


@pytest.fixture(params=SHELLS)
def script(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Path:
    """The script of each shell, in a file."""
    assert main(["completion", request.param]) == 0
    path = tmp_path / f"desc.{request.param}"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def output(shell: str, *arguments: str) -> str:
    """Run a shell without its user's settings."""
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    done = subprocess.run([shell, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_shell_can_read_it(script: Path) -> None:
    output(script.suffix[1:], "-n", str(script))


def test_it_knows_every_command(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert all(command in text for command in COMMANDS)
    assert "prediction_db_dir" in text


@pytest.fixture
def complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """complete(shell, words) -> the shell's suggestions for the last word."""

    def offered(shell: str, *words: str) -> list[str]:
        assert main(["completion", shell]) == 0
        path = tmp_path / f"desc.{shell}"
        path.write_text(capsys.readouterr().out, encoding="utf-8")
        if shell == "fish":
            code = f"source {path}; complete -C '{' '.join(words)}'"
            lines = output("fish", "--no-config", "-c", code).splitlines()
            return [line.split("\t")[0] for line in lines]
        code = (
            f'source {path}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_desc; '
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        return output("bash", "--norc", "-c", code, "bash", *words).split()

    return offered


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_commands_options_values_and_folders(
    complete: Callable[..., list[str]], shell: str, tmp_path: Path
) -> None:
    def offered(*words: str) -> list[str]:
        return sorted(complete(shell, "desc", *words))

    assert offered("tr") == ["train"]
    assert offered("train", "--off") == ["--offline"]
    assert offered("predict", "--test_data") == []  # an older name: understood, not offered
    assert offered("generate", "tr") == ["train-flow", "train-unagan", "train-vocoder"]
    assert offered("train", "--selected_model", "") == sorted(MODELS)
    assert offered("predict", "--selection", "") == ["beam", "causal", "nearest", "sample"]
    (tmp_path / "sounds").mkdir()
    (tmp_path / "score.json").touch()
    begun = str(tmp_path / "s")
    folders = offered("predict", "--audio_db_dir", begun)
    assert [name.rstrip("/") for name in folders] == [str(tmp_path / "sounds")]
    assert str(tmp_path / "score.json") in offered("render", begun)


def test_an_unknown_shell_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "powershell"]) == 2
    assert "bash" in capsys.readouterr().err

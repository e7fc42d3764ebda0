"""Options of a command in a TOML file."""

from __future__ import annotations

import argparse
import shlex
import tomllib
from pathlib import Path

import pytest

from desc.commands.main import COMMANDS, build_parser, main
from desc.commands.settings_file import SETTINGS, with_settings_file, write_settings
from desc.errors import ConfigurationError

NEEDED = ["--run_id", "x", "--prediction_db_dir", "song.wav", "--audio_db_dir", "sounds"]


def parsed(words: list[str]) -> argparse.Namespace:
    parser = build_parser(words[0])
    return parser.parse_args(with_settings_file(words, parser.of(words), COMMANDS))


@pytest.fixture
def piece(tmp_path: Path) -> Path:
    path = tmp_path / "piece.toml"
    path.write_text(
        """
        [predict]
        run_id = "x"
        prediction_db_dir = "song.wav"
        audio_db_dir = ["a", "b c"]
        silence_gate_db = -60
        max_use = "none"
        report = false
        crossfade = 20       # an older name of crossfade_ms
        include = ["strings/*"]
        [generate.audio]
        generator_run_id = "g"
        """
    )
    return path


def test_a_file_stands_for_the_options_of_its_command(piece: Path) -> None:
    args = parsed(["predict", "--config", str(piece)])
    assert args.run_id == "x"
    assert args.audio_db_dir == ["a", "b c"]
    assert args.silence_gate_db == -60.0
    assert args.max_use is None
    assert args.report is False
    assert args.crossfade_ms == 20.0
    assert args.include == ["strings/*"]
    assert parsed(["generate", "audio", f"--config={piece}"]).generator_run_id == ["g"]


def test_the_command_line_replaces_the_file(piece: Path) -> None:
    words = ["predict", "--config", str(piece), "--include", "drums/*", "--crossfade_ms=5"]
    args = parsed([*words, "--no-report", "--audio_db_dir", "c"])
    assert (args.include, args.crossfade_ms, args.audio_db_dir) == (["drums/*"], 5.0, ["c"])
    assert args.run_id == "x"


def test_positional_arguments_stay_apart_from_lists(tmp_path: Path) -> None:
    path = tmp_path / "piece.toml"
    path.write_text("[render]\noutput_path = 'new.wav'\n")
    assert parsed(["render", "playlist.json", "--config", str(path)]).output_path == "new.wav"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temprature = 1", "no option 'temprature'; did you mean temperature?"),
        ("config = 'other.toml'", "no option 'config'"),
        ("report = 1", "report must be true or false, not 1"),
        ("seed = [1, 2]", "seed must be one value, not 2"),
        ("seed = true", "seed must be a text or a number"),
        ("seed = 1979-05-27", "seed must be a text or a number"),
        ("seed = 'x'", "seed='x' must be an integer"),
        ("predict = 3", "no option 'predict'"),
        ("[predict.sampling]", "sampling must be a text or a number"),
        ("[predicts]", "no option 'predicts'"),
        ("seed = ", "is not a settings file"),
        ("[train]\nseed = 1", "these are options of desc train, not of predict"),
    ],
)
def test_a_wrong_file_is_a_usage_error_that_names_it(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "piece.toml"
    path.write_text(text + "\n")
    assert main(["predict", "--config", str(path), *NEEDED]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"config='.*' cannot be read"):
        parsed(["predict", "--config", str(tmp_path / name)])


def test_a_written_file_gives_the_same_call_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / 'a "b" \x7f.wav').touch()
    monkeypatch.chdir(tmp_path)
    words = ["predict", "--run_id", "x", "--audio_db_dir", "sounds", "--overwrite"]
    words += ["--prediction_db_dir", 'a "b" \x7f.wav', "--speeds", ".5", "2", "--style", "loops"]
    first = parsed([*words, "--max_unit_s", "none", "--silence_gate_db=-60", "--quiet"])
    write_settings(tmp_path, first)
    content = tomllib.loads((tmp_path / SETTINGS).read_text("utf-8"))["predict"]
    assert content == {
        "run_id": "x",
        "prediction_db_dir": str(tmp_path / 'a "b" \x7f.wav'),
        "audio_db_dir": [str(tmp_path / "sounds")],
        "speeds": [0.5, 2.0],
        "style": "loops",
        "max_unit_s": "none",
        "silence_gate_db": -60.0,
    }
    monkeypatch.chdir("/")
    again = parsed(["predict", "--config", str(tmp_path / SETTINGS)])
    differing = {k for k, v in vars(again).items() if vars(first)[k] != v} - {"parser"}
    assert differing == {"config", "overwrite", "quiet", "prediction_db_dir", "audio_db_dir"}


def test_the_first_line_is_the_command_that_reads_the_file(tmp_path: Path) -> None:
    write_settings(tmp_path, parsed(["continue", "my song.wav", "--with", "sounds"]))
    first, *_ = (tmp_path / SETTINGS).read_text("utf-8").splitlines()
    words = shlex.split(first.removeprefix("# desc "))
    words[-1] = str(tmp_path / words[-1])
    assert parsed(words).recording == "my song.wav"


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"generate", "completion"}))
def test_every_default_in_a_written_file_is_accepted(command: str, tmp_path: Path) -> None:
    parser = build_parser(command).of([command])
    given = dict.fromkeys(parser.positionals, "x")
    write_settings(tmp_path, argparse.Namespace(parser=parser, **given))
    lines = (tmp_path / SETTINGS).read_text("utf-8").splitlines()
    settings = [line.removeprefix("# ") for line in lines if " = " in line]
    text = "\n".join(line for line in settings if not line.endswith('"none"'))
    (tmp_path / SETTINGS).write_text(f"[{command}]\n{text}\n")
    words = [command, "--config", str(tmp_path / SETTINGS)]
    assert len(with_settings_file(words, parser, COMMANDS)) >= 3

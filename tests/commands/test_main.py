"""Dispatch, help, exit statuses."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import desc
from desc.commands import main as module
from desc.commands.main import COMMANDS, INTERRUPTED, build_parser, main
from desc.engine.stopping import SIGNALS
from desc.errors import AudioError

LONG = [
    *(["train"], ["predict"], ["evaluate"], ["explore"], ["extract"], ["index"], ["export"]),
    *(["generate", task] for task in ("train-vocoder", "train-unagan", "train-flow", "audio")),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help-all"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: desc {command}" in text
    assert "--quiet" in text
    assert "--config" in text


@pytest.mark.parametrize("words", LONG)
def test_the_short_help_has_eight_options_and_two_examples(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert sum(line.startswith("  --") for line in text.splitlines()) == 8
    assert f"desc {' '.join(words)} --help-all" in text
    examples = [shlex.split(line) for line in text.split("examples:\n")[1].splitlines()]
    assert len(examples) == 2
    for example in examples:
        assert example[: len(words) + 1] == ["desc", *words]
        if "--config" not in example:  # the file may hold the options that are required
            build_parser(words[0]).parse_args(example[1:])


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 0
    assert "COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["predict", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    heavy = ("torch", "librosa", "scipy", "wandb", "lightning_fabric", "soundfile", "joblib")
    code = (
        "import sys\nfrom desc.commands.main import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        f"print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys, desc; names = [m for m in sys.modules if m.startswith('desc')]\n"
        "print(len(names), 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 False"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.strip() == f"desc {desc.__version__}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quiet"], "unknown option --quiet"),
        (["trian"], "'trian' is not a command; did you mean train?"),
        (["predct", "--run_id", "x"], "'predct' is not a command; did you mean predict?"),
        (["generate", "audoi"], "'audoi' is not a task; did you mean audio?"),
        (["predict", "--tempreature", "2"], "--tempreature; did you mean --temperature?"),
        (["generate", "audio", "--sed=1"], "unknown option --sed; did you mean --seed?"),
        (["export", "--format", "npy"], "invalid choice: 'npy'; did you mean npz?"),
        (["train"], "--audio_db_dir"),
        (["predict", "--run_id", "x"], "required: --prediction_db_dir, --audio_db_dir"),
        (["train", "--audio_db_dir", "x", "--window_size", "0"], "window_size=0 must"),
        (["train", "--audio_db_dir", "x", "--bath_size", "1"], "did you mean --batch_size?"),
        (["train", "--audio_db_dir", "x", "--selected_model", "GRU"], "TransformerModel"),
    ],
)
def test_wrong_usage_is_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def raising(error: BaseException) -> object:
    class Module:
        @staticmethod
        def add_arguments(parser: object) -> None: ...

        @staticmethod
        def run(args: object) -> int:
            raise error

    return Module


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (AudioError("a.wav: no audio"), 1, "desc: error: a.wav: no audio"),
        (ModuleNotFoundError(name="scipy.signal"), 1, "the Python package scipy is missing"),
        (ModuleNotFoundError(name="desc.gone"), 1, "unexpected error: ModuleNotFoundError"),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
        (RuntimeError("surprise"), 1, "unexpected error: RuntimeError: surprise"),
    ],
)
def test_errors_become_a_line_and_a_status(
    error: BaseException,
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module.importlib, "import_module", lambda name: raising(error))
    assert main(["cache"]) == status
    text = capsys.readouterr().err
    assert message in text
    assert "Traceback" not in text


@pytest.mark.parametrize("number", SIGNALS)
def test_sigterm_ends_a_command_as_ctrl_c_does(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait(args: object) -> int:
        signal.raise_signal(number)
        pytest.fail("the signal did nothing")

    monkeypatch.setattr("desc.commands.cache.run", wait)
    handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    former = signal.signal(number, handler)
    try:
        assert main(["cache"]) == INTERRUPTED
        assert signal.getsignal(number) == handler
    finally:
        signal.signal(number, former)
    assert capsys.readouterr().err == "interrupted\n"


def test_debug_shows_the_traceback_and_keeps_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module.importlib, "import_module", lambda name: raising(OSError("gone")))
    monkeypatch.setattr(module.logging, "basicConfig", lambda **kw: Path(kw["filename"]).touch())
    assert main(["cache", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert (tmp_path / "desc-debug.log").exists()


def test_a_missing_folder_is_an_error_that_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "--audio_db_dir", "no/such/folder"]) == 1
    assert "no/such/folder" in capsys.readouterr().err

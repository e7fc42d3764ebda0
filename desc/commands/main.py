"""`desc`: dispatch to the sub-commands, error messages and exit statuses."""

from __future__ import annotations

import gc
import importlib
import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import desc
from desc.commands.console import show
from desc.commands.options import add_common_options
from desc.commands.parser import Parser, UsageError
from desc.commands.settings_file import with_settings_file
from desc.devices import is_first_process
from desc.engine.stopping import SIGNALS
from desc.errors import DescError

COMMANDS = {
    "continue": "continue a recording in one go: find or train a run, predict, open the page",
    "demo": "synthesise a small corpus, train on it and continue one of its recordings",
    "train": "train a model on a folder of recordings; prints the run id",
    "predict": "continue recordings with the sounds of another folder",
    "live": "play along: a continuation that plays while you play",
    "evaluate": "compare runs with baselines and real music on held-out recordings",
    "explore": "show a folder of sounds as a map in the browser, for listening and selecting",
    "studio": "open the studio in the browser: train, continue, compare and edit takes",
    "generate": "train networks for sound generation, and generate sound with them",
    "extract": "extract a folder's descriptors into the cache",
    "index": "build the search index of a large folder ahead of time",
    "runs": "list the runs of this machine, or upload one to W&B",
    "render": "render a playlist or an edited project, with another crossfade, format or loudness",
    "export-playlist": "export a playlist for a DAW or Audacity, or as stems, CSV, EDL or MIDI",
    "report": "write the HTML page of a result or a run",
    "plot": "plot a result or a run as PNG, SVG or PDF",
    "export": "export a folder's descriptors as npz, json, csv or parquet",
    "cache": "show, limit or prune the cache",
    "completion": "print the completion script for bash, zsh or fish",
}
INTERRUPTED = 130  # 128 + SIGINT, what a shell expects; also of the other endings


MODULES = {"continue": "continue_recording", "render": "playlist", "export-playlist": "playlist"}
"""Modules of sub-commands that are not called like them."""


def _module(command: str) -> str:
    return f"desc.commands.{MODULES.get(command, command)}"


def build_parser(command: str | None = None) -> Parser:
    """Return the parser with the options of one command, or of all commands without a name."""
    parser = Parser(prog="desc", description=desc.__doc__)
    parser.add_argument("--version", action="version", version=f"desc {desc.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary)
        if command is None or command == name:
            module = importlib.import_module(_module(name))
            module.add_arguments(sub)
            add_common_options(sub)
            sub.summarise(getattr(module, "MOST_USED", ""), getattr(module, "EXAMPLES", ()))
            sub.set_defaults(parser=sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 failure, 2 usage, 130 interrupted.

    SIGTERM, with which services and schedulers end a process, interrupts as Ctrl-C does, and so
    does SIGHUP, sent when the terminal closes.
    Of several processes of a training only the first has a status other than 0: Fabric kills it
    as soon as another one fails, even while it saves the run.
    """
    with _endings_as_interrupt():
        status = _status(argv)
    return status if is_first_process() else 0


@contextmanager
def _endings_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP as Ctrl-C, unless they are handled or this is another thread."""
    is_main = threading.current_thread() is threading.main_thread()
    handled = [n for n in SIGNALS if is_main and signal.getsignal(n) == signal.SIG_DFL]
    for number in handled:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def _status(argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    command = next((a for a in arguments if a in COMMANDS), None)
    debug = "--debug" in arguments
    _print_anything()
    try:
        parser = build_parser(command or "")
        words = with_settings_file(arguments, parser.of(arguments), COMMANDS)
        args = parser.parse_args(words)
        if debug:
            _log_to_file()
        if getattr(args, "former", ()) and not args.quiet and is_first_process():
            show(f"ignored, without effect: {', '.join(args.former)}", sys.stderr)
        status: int = importlib.import_module(_module(args.command)).run(args)
        sys.stdout.flush()
        return status
    except UsageError as error:
        _complain(f"{error.program}: error: {error}\nsee {error.program} --help", debug)
        return error.exit_status
    except DescError as error:
        _complain(f"desc: error: {error}", debug)
        return error.exit_status
    except KeyboardInterrupt:
        _complain("interrupted", debug)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`desc runs | head`) is done; avoid a second error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        _complain(f"desc: {_described(error, debug)}", debug)
        return 1


def _described(error: Exception, debug: bool) -> str:
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("desc"):
        package = str(error.name).split(".")[0]
        return (
            f"error: the Python package {package} is missing; install desc with all its extras: "
            "python -m pip install '.[all]'"
        )
    hint = "" if debug else " (run again with --debug for a traceback)"
    return f"unexpected error: {type(error).__name__}: {error}{hint}"


def _complain(message: str, debug: bool) -> None:
    """Print an error; of several processes of a training only the first prints."""
    if debug:
        show(traceback.format_exc(), sys.stderr)
        logging.getLogger("desc").error(message, exc_info=True)
    if debug or is_first_process():
        show(message, sys.stderr)


def _print_anything() -> None:
    """Escape characters that the encoding of a pipe lacks, instead of raising an error.

    On Windows a pipe has the system's code page: no arrow, and not every file name.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _log_to_file() -> None:
    logging.basicConfig(
        filename="desc-debug.log",
        encoding="utf-8",
        level=logging.DEBUG,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )


def run() -> None:
    """Entry point of the `desc` command."""
    # Torch makes so many objects that Python would look for garbage among them for .1 s.
    gc.set_threshold(10_000)
    status = main()
    # At exit Python looks for garbage among all objects: for half a second, once torch is imported.
    gc.freeze()
    sys.exit(status)


if __name__ == "__main__":
    run()

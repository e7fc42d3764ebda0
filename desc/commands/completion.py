"""`desc completion`: shell completion of commands, options and their values."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from typing import Any

SHELLS = ("bash", "zsh", "fish")
FOLDERS = ("DIR", "FOLDER")
FILES = ("FILE", "PATH", "RUN_OR_FOLDER")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument of `desc completion`."""
    parser.add_argument("shell", choices=SHELLS, help="shell that the script is for")


def run(args: argparse.Namespace) -> int:
    """Print the script: the parser, written out, so that completing starts no Python."""
    import shtab

    from desc.commands.main import build_parser

    parser = build_parser()
    for action in _actions(parser):
        _describe(action, {"file": shtab.FILE, "folder": shtab.DIRECTORY})
    print(shtab.complete(parser, args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the actions that take a value, of a parser and its sub-parsers."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
        elif action.nargs != 0:
            yield action


def _describe(action: argparse.Action, kinds: dict[str, Any]) -> None:
    """Set the values of an action that shtab offers, and hide the option's older names."""
    from desc.descriptors.families import FAMILIES
    from desc.models import MODELS

    registries: dict[str, Collection[str]] = {"selected_model": MODELS, "descriptors": FAMILIES}
    if not isinstance(action, argparse.BooleanOptionalAction):
        action.option_strings = action.option_strings[:1]
    shown = str(action.metavar)
    if action.dest in registries:
        action.choices = tuple(registries[action.dest])
    elif "|" in shown:
        action.choices = tuple(shown.split("|"))
    elif shown in FOLDERS or action.dest.endswith("_dir"):
        action.complete = kinds["folder"]  # type: ignore[attr-defined]
    elif shown in FILES or "." in shown:
        action.complete = kinds["file"]  # type: ignore[attr-defined]

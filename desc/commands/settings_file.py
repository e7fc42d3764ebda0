"""Settings files: options of commands as TOML, instead of long command lines.

A key is the name of an option. Keys at the top apply to the command that reads the file; a table
named like a command, such as `[train]`, applies to that command alone. An option on the command
line replaces that of the file. Paths are relative to the current folder, as on the command line.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import tomllib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from desc.commands.parser import Parser, suggestion
from desc.errors import ConfigurationError
from desc.files import write_text

SETTINGS = "settings.toml"
"""Name of the file written beside a result, and into a run's folder."""
LEFT_OUT = ("config", "help", "overwrite", "quiet", "debug", "resume_run_id")
"""Options of one call rather than of a piece."""
PATHS = ("DIR", "PATH", "FILE", "ID", "WHEEL")


def with_settings_file(
    words: Sequence[str], parser: Parser, commands: Collection[str]
) -> list[str]:
    """Return the words of a command line with the options of its `--config` file.

    Parameters
    ----------
    words : sequence of str
        The command line.
    parser : Parser
        Parser of its command.
    commands : collection of str
        Names of all commands, allowed as tables of the file.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, has a key that is no option of the command, or a wrong value.
    """
    path = _config_path(words)
    if path is None:
        return list(words)
    known = parser.options
    given = {known[name].dest for name in (w.split("=")[0] for w in words) if name in known}
    added: list[str] = []
    for key, value in _read(path, parser.prog.split(), commands).items():
        action = known.get(f"--{key}")
        if action is None or action.dest in LEFT_OUT:
            hint = suggestion(key, [name.removeprefix("--") for name in known])
            raise ConfigurationError(f"{path}: {parser.prog} has no option {key!r}{hint}")
        if action.dest not in given:
            added += _words(f"{path}: {key}", f"--{key}", action, value)
    end = words.index("--") if "--" in words else len(words)
    return [*words[:end], *added, *words[end:]]


def _config_path(words: Sequence[str]) -> str | None:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name == "--config" and (value or following):
            return value or following
    return None


def _read(path: str, names: Sequence[str], commands: Collection[str]) -> dict[str, Any]:
    """Return the settings of a file for the command of these names, such as desc, train."""
    try:
        content = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"config={path!r} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise ConfigurationError(f"config={path!r} is not a settings file: {error}") from error
    command = names[1] if len(names) > 1 else ""
    tables = [key for key, value in content.items() if key in commands and isinstance(value, dict)]
    if tables and tables == list(content) and command not in tables:
        raise ConfigurationError(f"{path}: these are options of desc {tables[0]}, not of {command}")
    settings = _without_tables(content, commands)
    for index, name in enumerate(names[1:], 2):
        table = content.get(name, {})
        content = table if isinstance(table, dict) else {}
        settings |= _without_tables(content, content if index < len(names) else ())
    return settings


def _without_tables(content: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the values of a table but for the tables of these names."""
    return {k: v for k, v in content.items() if not (isinstance(v, dict) and k in names)}


def _words(place: str, name: str, action: argparse.Action, value: Any) -> list[str]:
    """Return the words of one option with a value of the file."""
    values = value if isinstance(value, list) else [value]
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ConfigurationError(f"{place} must be true or false, not {value!r}")
        if isinstance(action, argparse.BooleanOptionalAction):
            return [name if value else f"--no-{name[2:]}"]
        return [name] if value else []
    if any(isinstance(item, bool) or not isinstance(item, (str, int, float)) for item in values):
        raise ConfigurationError(f"{place} must be a text or a number, or a list of them")
    if action.nargs == "+":
        return [name, *map(str, values)] if values else []
    if len(values) != 1:
        raise ConfigurationError(f"{place} must be one value, not {len(values)}")
    return [f"{name}={values[0]}"]


def write_settings(folder: str | Path, args: argparse.Namespace) -> None:
    """Write the settings file of a call into a folder: given options, others as comments."""
    parser: Parser = args.parser
    words = [shlex.quote(str(vars(args)[name])) for name in parser.positionals]
    lines = [
        f"# {' '.join([parser.prog, *words])} --config {SETTINGS}",
        f"[{'.'.join(parser.prog.split()[1:])}]",
    ]
    for title, actions in parser.groups():
        found = [line for action in actions for line in _lines(action, vars(args))]
        lines += ["", f"# {title}", *found] if found else []
    write_text(Path(folder) / SETTINGS, "\n".join(lines) + "\n")


def _lines(action: argparse.Action, given: dict[str, Any]) -> Iterator[str]:
    """Yield the line of an option: as a comment if it has its default, paths absolute."""
    names = [name[2:] for name in action.option_strings]
    hidden = action.help == argparse.SUPPRESS or action.dest in LEFT_OUT
    if hidden or action.dest not in names:  # it has no value, or sets that of another option
        return
    default = getattr(action, "fallback", action.default)
    value = given.get(action.dest, default)
    is_default = value == default
    if str(action.metavar) in PATHS and value:
        paths = [_absolute(path) for path in (value if isinstance(value, list) else [value])]
        is_default = is_default and not os.path.exists(paths[0])
        value = paths if isinstance(value, list) else paths[0]
    yield f"{'# ' * is_default}{names[0]} = {_toml(value)}"


def _absolute(value: str) -> str:
    return os.path.abspath(value) if os.path.exists(value) else value


def _toml(value: Any) -> str:
    """Return a value as TOML, which has no null."""
    value = list(value) if isinstance(value, tuple) else value
    text = json.dumps("none" if value is None else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")

"""Command line options from the fields of configurations, and back."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

UNITS = {"dB": "DB", "Hz": "HZ"} | {
    unit: unit.upper()
    for unit in ("epochs", "frames", "ms", "samples", "seconds", "semitones", "steps")
}
"""Units that stand for the value in `--help`."""


class FormerOption(argparse.Action):
    """An option without effect, still accepted; `former` of the namespace collects its names."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,  # noqa: ARG002
        option_string: str | None = None,
    ) -> None:
        """Collect the name of the option."""
        namespace.former = [*getattr(namespace, "former", ()), option_string]


def add_options(
    parser: argparse._ActionsContainer, cls: type, *, exclude: Sequence[str] = ()
) -> None:
    """Add an option for each field of a configuration class.

    Parameters
    ----------
    parser : argparse container
        A parser or an argument group.
    cls : type
        A dataclass whose fields were made by `desc.configuration.option`.
    exclude : sequence of str
        Fields that get no option.
    """
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.name in exclude:
            continue
        _add_option(parser, field, hints[field.name])
    for name in getattr(cls, "FORMER", ()):
        parser.add_argument(
            *(f"--{name}", f"--no-{name}"),
            action=FormerOption,
            nargs="?",
            dest="former",
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )


def _add_option(parser: argparse._ActionsContainer, field: Any, hint: Any) -> None:
    metadata = field.metadata
    names = [f"--{name}" for name in (field.name, *metadata["aliases"])]
    kwargs: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS}
    if hint is bool:
        kwargs["action"] = argparse.BooleanOptionalAction
    elif typing.get_origin(hint) is tuple:
        kind = typing.get_args(hint)[0]
        kwargs |= {"nargs": "+", "type": _converter(kind, field.name)}
        kwargs["metavar"] = metadata["metavar"] or {int: "N", float: "X"}.get(kind, "NAME")
    else:
        kind = metadata["kind"] or type(field.default)
        kwargs["type"] = _converter(kind, field.name)
        metavar = metadata["metavar"] or UNITS.get(metadata["unit"].split(" ")[0])
        metavar = metavar or {int: "N", str: "NAME"}.get(kind, "X")
        kwargs["metavar"] = "|".join(metadata["choices"] or [metavar])
    action = parser.add_argument(*names, **kwargs, help=option_help(field).replace("%", "%%"))
    action.fallback = field.default  # type: ignore[attr-defined]


def option_help(field: dataclasses.Field[Any]) -> str:
    """Return the help of a field made by `desc.configuration.option`, with unit and default."""
    text, unit, default = field.metadata["help"], field.metadata["unit"], field.default
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    if isinstance(default, bool):
        default = "on" if default else "off"
    shown = "" if default is None or default == "" else f"default {default}"
    notes = ", ".join(part for part in (unit, shown) if part)
    return f"{text} [{notes}]" if notes else str(text)


def _converter(kind: Callable[[str], Any], name: str) -> Any:
    def convert(text: str) -> Any:
        if kind is not str and text.lower() == "none":
            return None
        try:
            return kind(text)
        except ValueError:
            nouns = {int: "an integer", float: "a number"}
            noun = nouns.get(kind, kind.__name__.replace("_", " "))  # type: ignore[call-overload]
            raise argparse.ArgumentTypeError(f"{name}={text!r} must be {noun}") from None

    return convert


def from_options(cls: type[T], args: argparse.Namespace, **overrides: Any) -> T:
    """Build a configuration from the given options; other fields keep their defaults."""
    given = vars(args)
    values = {
        field.name: tuple(value) if isinstance(value, list) else value
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if field.name in given
        for value in [given[field.name]]
    }
    return cls(**(values | overrides))


def given_options(cls: type, args: argparse.Namespace) -> tuple[str, ...]:
    """Return the names of the fields given on the command line."""
    return tuple(f.name for f in dataclasses.fields(cls) if f.name in vars(args))


def add_switch(
    parser: argparse._ActionsContainer, name: str, text: str, *, default: bool = False
) -> None:
    """Add `--name` and `--no-name`."""
    shown = "on" if default else "off"
    action = argparse.BooleanOptionalAction
    parser.add_argument(name, action=action, default=default, help=f"{text} [default {shown}]")


def add_audio_option(
    parser: argparse._ActionsContainer,
    text: str = "folder of recordings",
    *,
    required: bool = True,
) -> None:
    """Add `--audio_db_dir`, also under its former name."""
    names = "--audio_db_dir", "--audio_dir"
    text += ", or several" + ("" if required else " [default: that of the run to continue]")
    add_folders(parser, *names, required=required, text=text)


def add_folders(
    parser: argparse._ActionsContainer, *names: str, text: str, required: bool = False
) -> None:
    """Add an option for one or several folders."""
    parser.add_argument(*names, required=required, nargs="+", metavar="DIR", help=text)


def add_output_option(parser: argparse._ActionsContainer, default: str, text: str) -> None:
    """Add `--output_dir`."""
    text = f"{text} [default {default}]"
    parser.add_argument("--output_dir", default=default, metavar="DIR", help=text)


def add_accelerator_option(parser: argparse._ActionsContainer) -> None:
    """Add `--accelerator`, the device of a model that is not trained."""
    text = "device that runs the model [default auto]"
    choices = ("auto", "cpu", "cuda", "mps")
    parser.add_argument("--accelerator", default="auto", choices=choices, help=text)


def add_speeds_option(parser: argparse._ActionsContainer, text: str) -> None:
    """Add `--speeds`."""
    text += " played at these speeds, like a tape; 1.06 is a semitone higher [default: none]"
    parser.add_argument("--speeds", nargs="+", type=float, default=[], metavar="X", help=text)


def add_tempo_option(parser: argparse._ActionsContainer) -> None:
    """Add `--tempo`."""

    def tempo(text: str) -> float | str | None:
        if text in ("auto", "none"):
            return None if text == "none" else text
        try:
            return float(text)
        except ValueError as error:
            message = f"{text!r} must be a number, auto or none"
            raise argparse.ArgumentTypeError(message) from error

    text = (
        "also play each sound of audio_db_dir at the speed, at most 12 %% from its own, that gives "
        "it this tempo (or half or twice it) in beats per minute; auto: the median tempo of the "
        "recordings [default: none]"
    )
    parser.add_argument("--tempo", type=tempo, metavar="BPM", help=text)


def add_common_options(parser: argparse.ArgumentParser, *, suppress: bool = False) -> None:
    """Add `--config`, `--quiet`, `--debug`; with `suppress` the values of a parent parser stay."""
    default = argparse.SUPPRESS if suppress else None
    group = parser.add_argument_group("settings and messages")
    text = "settings file, such as settings.toml of a result; options given here replace its own"
    group.add_argument("--config", metavar="FILE.toml", default=default, help=text)
    for name, text in (
        ("--quiet", "print results and errors only"),
        ("--debug", "show tracebacks, and write desc-debug.log"),
    ):
        off = argparse.SUPPRESS if suppress else False
        group.add_argument(name, action="store_true", default=off, help=text)


def add_cache_option(parser: argparse._ActionsContainer) -> None:
    """Add `--cache_dir`."""
    parser.add_argument(
        "--cache_dir",
        metavar="DIR",
        help="folder of the descriptor cache [default $DESC_CACHE, else the platform's]",
    )


def add_pattern_options(parser: argparse._ActionsContainer) -> None:
    """Add `--include`, `--exclude` and `--include_from`."""
    for name, verb in (("include", "use only"), ("exclude", "leave out")):
        parser.add_argument(
            f"--{name}",
            nargs="+",
            action="extend",
            default=[],
            metavar="PATTERN",
            help=f"{verb} files whose path in audio_db_dir matches, such as 'strings/*.wav'",
        )
    parser.add_argument(
        "--include_from",
        action=LinesOfFile,
        dest="include",
        metavar="FILE",
        help="use only files whose path or name is in this text file, a path or pattern per line",
    )


class LinesOfFile(argparse.Action):
    """An option that adds the lines of a text file to a list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        """Add the lines that are not empty."""
        try:
            lines = Path(values).read_text("utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a text in UTF-8"
            parser.error(f"include_from={values!r} cannot be read: {reason}")
        given = [line for line in lines if line.strip()]
        if not given:
            parser.error(f"include_from={values!r} is empty")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), *given])


def add_jobs_option(parser: argparse._ActionsContainer) -> None:
    """Add `--jobs`."""
    text = "parallel processes [default: all cores]"
    parser.add_argument("--jobs", type=int, default=-1, metavar="N", help=text)


def add_cluster_options(parser: argparse._ActionsContainer) -> None:
    """Add `--backend` and `--scheduler`."""
    text = "where the work is done: processes of this machine, or workers of Dask [default local]"
    parser.add_argument("--backend", default="local", choices=("local", "dask"), help=text)
    text = "Dask's scheduler, such as tcp://192.168.0.5:8786; its workers share folders and cache"
    parser.add_argument("--scheduler", metavar="ADDRESS", help=text)


def add_corpus_options(parser: argparse._ActionsContainer) -> None:
    """Add the options of every folder of audio: patterns, jobs and the cache."""
    add_pattern_options(parser)
    add_jobs_option(parser)
    add_cache_option(parser)

"""Fields of settings: options, checks, and conversion to and from dictionaries."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, TypeVar

from desc.errors import ConfigurationError

T = TypeVar("T")
SHOWN = 200
"""Characters of a value that a message shows."""


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    metavar: str = "",
    aliases: tuple[str, ...] = (),
    choices: tuple[str, ...] | None = None,
    kind: Callable[[str], Any] | None = None,
) -> Any:
    """Return a dataclass field with the metadata of a command line option.

    Parameters
    ----------
    default : object
        The default value.
    help : str
        Text of `--help`.
    unit : str
        Unit of the number, appended to the help.
    metavar : str
        What stands for the value in `--help`; by default its unit, or a word for its type.
    aliases : tuple of str
        Older names of the option, hidden from `--help`.
    choices : tuple of str, optional
        Allowed values.
    kind : callable, optional
        Type of a value given on the command line, or a function that reads it; by default the type
        of `default`.
    """
    words = {"help": help, "unit": unit, "metavar": metavar}
    metadata = {**words, "aliases": aliases, "choices": choices, "kind": kind}
    return dataclasses.field(default=default, metadata=metadata)


def check(condition: bool, name: str, value: object, rule: str) -> None:
    """Raise `ConfigurationError` saying `name=value must rule` unless the condition holds.

    A long value is shortened.
    """
    if not condition:
        shown = repr(value)
        shown = shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"
        raise ConfigurationError(f"{name}={shown} must {rule}")


def check_type(name: str, value: object, kind: type, remedy: str) -> None:
    """Raise `ConfigurationError` unless the value is of a class; the remedy says how to get one."""
    if not isinstance(value, kind):
        raise ConfigurationError(
            f"{name} must be a {kind.__name__}, not a {type(value).__name__}; {remedy}"
        )


def check_integer(name: str, value: object, minimum: int, maximum: int | None = None) -> None:
    """Raise `ConfigurationError` unless the value is an integer in [minimum, maximum]."""
    rule = f"be an integer of at least {minimum}"
    if maximum is not None:
        rule += f" and at most {maximum}"
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    fits = is_integer and minimum <= value  # type: ignore[operator]
    check(fits and (maximum is None or value <= maximum), name, value, rule)  # type: ignore[operator]


def check_jobs(jobs: int) -> None:
    """Raise `ConfigurationError` unless `jobs` is -1 or at least 1."""
    check(jobs == -1 or jobs >= 1, "jobs", jobs, "be -1 (all cores) or at least 1")


def check_number(
    name: str,
    value: object,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    *,
    above: float | None = None,
) -> None:
    """Raise `ConfigurationError` unless the value is in [minimum, maximum], or above `above`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else math.nan  # type: ignore[arg-type]
    except OverflowError:  # an integer beyond all floats
        number = math.nan
    if above is not None:
        check(math.isfinite(number) and number > above, name, value, f"be a number above {above:g}")
        return
    bounds = f"be a number of at least {minimum:g}"
    if math.isfinite(maximum):
        bounds = f"be a number from {minimum:g} to {maximum:g}"
    check(math.isfinite(number) and minimum <= number <= maximum, name, value, bounds)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise `ConfigurationError` unless the value is one of the choices."""
    check(value in choices, name, value, "be one of " + ", ".join(choices))


def to_dict(config: Any) -> dict[str, Any]:
    """Return the fields of a configuration as plain JSON values (tuples become lists)."""
    names = [field.name for field in dataclasses.fields(config)]
    return {name: _as_lists(getattr(config, name)) for name in names}


def _as_lists(value: Any) -> Any:
    return [_as_lists(one) for one in value] if isinstance(value, tuple) else value


def as_tuples(value: Any) -> Any:
    """Return a JSON value with tuples for lists, also for lists in lists."""
    return tuple(as_tuples(one) for one in value) if isinstance(value, list) else value


def from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """Return the configuration of a dictionary made by `to_dict`.

    Keys of former settings (`FORMER`) are ignored.

    Raises
    ------
    ConfigurationError
        If a key is unknown, or a value has the wrong type or is out of range.
    """
    check(isinstance(values, dict), cls.__name__, values, "be a set of settings by name")
    hints = _field_types(cls)  # type: ignore[arg-type]
    values = {k: v for k, v in values.items() if k not in getattr(cls, "FORMER", ())}
    unknown = sorted(map(str, set(values) - set(hints)))
    if unknown:
        raise ConfigurationError(
            f"{cls.__name__} has no setting {', '.join(unknown)}; it has {', '.join(sorted(hints))}"
        )
    for name, value in values.items():
        rule = f"be of type {getattr(hints[name], '__name__', hints[name])}"
        check(_fits(value, hints[name]), name, value, rule)
    return cls(**{k: as_tuples(v) for k, v in values.items()})


@cache
def _field_types(cls: type) -> dict[str, Any]:
    """Return the type of each field of a dataclass."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _fits(value: object, hint: Any) -> bool:
    """Return whether a JSON value has a field's type, such as `float | None`."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return isinstance(value, (list, tuple)) and all(_fits(part, parts[0]) for part in value)
    if parts:  # a union; other types with arguments are not checked
        return typing.get_origin(hint) is not UnionType or any(_fits(value, p) for p in parts)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)

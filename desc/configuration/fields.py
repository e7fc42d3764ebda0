"""Fields of settings: options, checks, and conversion to and from dictionaries."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

from desc.errors import ConfigurationError

T = TypeVar("T")


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
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
    aliases : tuple of str
        Older names of the option, hidden from `--help`.
    choices : tuple of str, optional
        Allowed values.
    kind : callable, optional
        Type of a value given on the command line, or a function that reads it; by default the type
        of `default`.
    """
    metadata = {"help": help, "unit": unit, "aliases": aliases, "choices": choices, "kind": kind}
    return dataclasses.field(default=default, metadata=metadata)


def check(condition: bool, name: str, value: object, rule: str) -> None:
    """Raise `ConfigurationError` saying `name=value must rule` unless the condition holds."""
    if not condition:
        raise ConfigurationError(f"{name}={value!r} must {rule}")


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
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
    }


def from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """Return the configuration of a dictionary made by `to_dict`.

    Keys of former settings (`FORMER`) are ignored; any other unknown key is an error.
    """
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = {k: v for k, v in values.items() if k not in getattr(cls, "FORMER", ())}
    unknown = sorted(set(values) - names)
    if unknown:
        raise ConfigurationError(
            f"{cls.__name__} has no setting {', '.join(unknown)}; it has {', '.join(sorted(names))}"
        )
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

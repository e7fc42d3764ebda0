"""Settings of a resumed run: its own, and those that may change per call."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import replace
from typing import Any, TypeVar

from desc.errors import ConfigurationError

T = TypeVar("T")

PER_CALL = frozenset(
    [
        "max_time_s",
        "accelerator",
        "devices",
        "num_nodes",
        "strategy",
        "notes",
        "sample_every_epochs",
    ]
)
"""Settings that a resumed run may change."""


def resumed_settings(given: T, stored: T, names: Collection[str] | None = None) -> T:
    """Return the settings to resume a run with: its own, changed by those given for this call.

    Parameters
    ----------
    given, stored : dataclass
        The settings of this call, and those of the run.
    names : collection of str, optional
        Names of the settings that were given; by default those away from their default.

    Raises
    ------
    ConfigurationError
        If a setting is given that the run cannot change; the message names them all.
    """
    conflicts: list[str] = []
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(stored):  # type: ignore[arg-type]
        value, own = getattr(given, field.name), getattr(stored, field.name)
        is_given = value != field.default if names is None else field.name in names
        if value == own or not is_given:
            continue
        if field.name in PER_CALL:
            changes[field.name] = value
        else:
            conflicts.append(f"{field.name}={value!r} (the run has {own!r})")
    if conflicts:
        raise ConfigurationError(
            f"a run keeps the settings it was started with: {', '.join(conflicts)}; leave these "
            "out, or train a new run"
        )
    return replace(stored, **changes)  # type: ignore[type-var]

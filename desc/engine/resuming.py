"""Settings of a resumed run: the stored ones, and those that may change."""

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
    """Return the stored settings of a run, updated with the ones that may change.

    Parameters
    ----------
    given, stored : dataclass
        The settings of this call, and those of the run.
    names : collection of str, optional
        Names of the given settings; by default those that differ from their defaults.

    Raises
    ------
    ConfigurationError
        If a given setting cannot change in a resumed run.
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
            f"a resumed run keeps its settings: {', '.join(conflicts)}; omit these options, or "
            "train a new run"
        )
    return replace(stored, **changes)  # type: ignore[type-var]

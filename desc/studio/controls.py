"""Settings of a take as controls of the page: sliders and choices.

Names, defaults, choices and texts are those of the settings' fields. This table adds the range in
which a slider is useful, and what one hears at its ends.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from desc.configuration import (
    STYLES,
    PredictConfig,
    QueryConfig,
    RenderConfig,
    SelectionConfig,
    check,
    from_dict,
)

N_ALTERNATIVES = 8
"""Nearest sounds of a frame that a take lists, from which its units are replaced."""
SPEEDS = {
    "as recorded": (),
    "also a tone lower and higher": (0.89, 1.12),
    "also an octave": (0.5, 2.0),
}


@dataclass(frozen=True)
class Control:
    """A slider, or a choice where the field has choices.

    Attributes
    ----------
    name : str
        The setting.
    label : str
        Its name on the page.
    low, high, step : float
        Range of a slider.
    ends : tuple of str
        What one hears at the low and at the high end.
    value : object
        The first value, where it is not the default.
    """

    name: str
    label: str
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    ends: tuple[str, str] = ("", "")
    value: Any = None


CONTROLS = (
    Control("duration_s", "length", 2, 60, 1, ("short", "long"), 10.0),
    Control(
        "temperature", "temperature", 0, 2, 0.05, ("calm, repeats itself", "restless, far out")
    ),
    Control("sampling", "sampling"),
    Control("continuity", "continuity", 0, 10, 0.25, ("changes often", "stays in one sound")),
    Control("layers", "layers", 1, 4, 1, ("one voice", "dense")),
    Control("seed", "seed", 0, 999, 1, ("another number, another draw", "")),
)
CLASSES = (PredictConfig, QueryConfig, SelectionConfig, RenderConfig)


def controls() -> list[dict[str, Any]]:
    """Return the controls of the page as JSON values, with the texts of their fields."""
    known = {field.name: field for kind in CLASSES for field in fields(kind)}
    found = []
    for control in CONTROLS:
        field = known[control.name]
        found.append(
            vars(control)
            | {
                "value": field.default if control.value is None else control.value,
                "help": field.metadata["help"],
                "unit": field.metadata["unit"],
                "choices": field.metadata["choices"],
            }
        )
    return found


@dataclass(frozen=True)
class TakeSettings:
    """Settings of a take: of prediction, distance, selection and rendering, and the speeds."""

    prediction: PredictConfig
    query: QueryConfig
    selection: SelectionConfig
    rendering: RenderConfig
    speeds: tuple[float, ...]

    @classmethod
    def read(cls, values: dict[str, Any]) -> TakeSettings:
        """Return the settings of a page's values, by name.

        Raises
        ------
        ConfigurationError
            If a name is unknown, or a value has the wrong type or is out of range.
        """
        values = dict(values)
        style, speeds = values.pop("style", "phrases"), values.pop("speeds", [])
        check(style in STYLES, "style", style, "be one of " + ", ".join(STYLES))
        numbers = isinstance(speeds, list) and all(isinstance(x, (int, float)) for x in speeds)
        check(numbers, "speeds", speeds, "be a list of numbers")
        parts = []
        for kind in CLASSES:
            names = {field.name for field in fields(kind)}
            given = {name: values.pop(name) for name in sorted(names & values.keys())}
            if kind is SelectionConfig:
                given = STYLES[style] | given
            parts.append(from_dict(kind, given))
        check(not values, "settings", sorted(values), "be known by name")
        prediction, query, selection, rendering = parts
        query = replace(query, neighbours=max(query.neighbours, N_ALTERNATIVES))
        return cls(prediction, query, selection, rendering, tuple(map(float, speeds)))

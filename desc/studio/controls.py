"""Settings of a take, and those of a live continuation, as controls of a page: sliders and choices.

Names, defaults, choices and texts are those of the settings' fields. This table adds the range in
which a slider is useful, and what one hears at its ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from desc.configuration import (
    STYLES,
    LiveConfig,
    PredictConfig,
    QueryConfig,
    RenderConfig,
    SelectionConfig,
    check,
    from_dict,
)

T = TypeVar("T")

N_ALTERNATIVES = 8
"""Nearest sounds of a frame that a take lists, from which its units are replaced."""
STYLE_WORDS = {
    "granular": "fragments of a tenth of a second",
    "phrases": "pieces of a quarter to one second, on the beat",
    "loops": "longer pieces",
}
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
    words : dict of str to str
        What one hears with each choice.
    """

    name: str
    label: str
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    ends: tuple[str, str] = ("", "")
    value: Any = None
    words: dict[str, str] = field(default_factory=dict)


CONTROLS = (
    Control("duration_s", "length", 2, 60, 1, ("short", "long"), 10.0),
    Control(
        "temperature", "temperature", 0, 2, 0.05, ("calm, repeats itself", "restless, far out")
    ),
    Control(
        "sampling",
        "sampling",
        words={
            "replay": "as lively as the recording, in its pulse",
            "plain": "freer, as the model has learned",
            "mean": "smooth, always the same",
        },
    ),
    Control("continuity", "continuity", 0, 10, 0.25, ("changes often", "stays in one sound")),
    Control("layers", "layers", 1, 4, 1, ("one voice", "dense")),
    Control("seed", "seed", 0, 999, 1, ("another number, another draw", "")),
)
CLASSES = (PredictConfig, QueryConfig, SelectionConfig, RenderConfig)
_OF_TAKES = {control.name: control for control in CONTROLS}
LIVE_CONTROLS = (
    Control(
        "mode",
        "mode",
        words={
            "listen": "silence",
            "continue": "go on alone from now",
            "follow": "answer the player",
            "duet": "go on together",
        },
    ),
    Control("style", "style", words=STYLE_WORDS),
    *(_OF_TAKES[name] for name in ("temperature", "continuity")),
    Control("level_db", "level", -60, 12, 0.5, ("soft", "loud")),
    _OF_TAKES["layers"],
    Control("files", "files"),
    *(_OF_TAKES[name] for name in ("sampling", "seed")),
    Control("replay_block", "replayed blocks", 10, 400, 10, ("short", "long")),
)
"""Controls of a live continuation, one for each of its settings."""


def controls(
    table: tuple[Control, ...] = CONTROLS, classes: tuple[type, ...] = CLASSES
) -> list[dict[str, Any]]:
    """Return the controls of a page as JSON values, with the texts of their fields."""
    known = {one.name: one for kind in classes for one in fields(kind)}
    found = []
    for control in table:
        setting = known[control.name]
        texts = {name: setting.metadata[name] for name in ("help", "unit", "choices")}
        value = setting.default if control.value is None else control.value
        found.append(vars(control) | texts | {"value": value})
    return found


def live_controls() -> list[dict[str, Any]]:
    """Return the controls of a live continuation as JSON values."""
    return controls(LIVE_CONTROLS, (LiveConfig,))


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

        def part(kind: type[T], defaults: dict[str, Any]) -> T:
            names = {one.name for one in fields(kind)}  # type: ignore[arg-type]
            given = {name: values.pop(name) for name in sorted(names & values.keys())}
            return from_dict(kind, defaults | given)

        found = cls(
            part(PredictConfig, {}),
            part(QueryConfig, {}),
            part(SelectionConfig, STYLES[style]),
            part(RenderConfig, {}),
            tuple(map(float, speeds)),
        )
        check(not values, "settings", sorted(values), "be known by name")
        neighbours = max(found.query.neighbours, N_ALTERNATIVES)
        return replace(found, query=replace(found.query, neighbours=neighbours))

"""Settings of a live continuation, which may change while it plays."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration.fields import check, check_choice, check_integer, check_number, option
from desc.configuration.matching import STYLES
from desc.configuration.prediction import SamplingConfig

MODES = ("listen", "continue", "follow", "duet")
MAX_LAYERS = 4
LARGEST_INTEGER = (1 << 63) - 1
"""Largest integer that OSC sends."""


@dataclass(frozen=True)
class LiveConfig(SamplingConfig):
    """Settings of a live continuation."""

    mode: str = option(
        "follow",
        "listen: silence; continue: go on alone from now; follow: answer each frame that is "
        "played; duet: go on with what is played as the context, alone in its pauses",
        choices=MODES,
    )
    style: str | None = option(
        None,
        "length of the units (default: as the selection's settings say)",
        metavar="|".join(STYLES),
        kind=str,
    )
    continuity: float | None = option(
        None,
        "constant cost of a jump; higher values give longer units (default: that of the style)",
        kind=float,
    )
    level_db: float = option(0.0, "level of what is played", unit="dB")
    layers: int | None = option(
        None, f"number of layers, at most {MAX_LAYERS} (default: that of the selection)", kind=int
    )
    files: tuple[str, ...] = option(
        (), "patterns of the files to play, such as 'strings/*' (default: all)", metavar="PATTERN"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("mode", self.mode, MODES)
        for name in ("seed", "replay_block"):
            check_integer(name, getattr(self, name), 0, LARGEST_INTEGER)
        if self.style is not None:
            check_choice("style", self.style, tuple(STYLES))
        if self.continuity is not None:
            check_number("continuity", self.continuity, 0.0, 1000.0)
        check_number("level_db", self.level_db, -100.0, 24.0)
        if self.layers is not None:
            check_integer("layers", self.layers, 1, MAX_LAYERS)
        texts = isinstance(self.files, tuple) and all(isinstance(f, str) for f in self.files)
        check(texts, "files", self.files, "be a tuple of patterns")

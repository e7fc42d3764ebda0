"""`ExportConfig`: settings of projects for other programs."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration import check_choice, check_integer, option

MEDIA = ("collect", "reference")
FADES = ("handles", "curves")
MAX_ALTERNATIVES = 32


@dataclass(frozen=True)
class ExportConfig:
    """Settings of projects for other programs."""

    media: str | None = option(
        None,
        "collect: put copies of the sound files into the project; reference: name the files by "
        "paths relative to the project (default: collect for dawproject, reference for reaper)",
        choices=MEDIA,
        kind=str,
    )
    fades: str = option(
        "handles",
        "handles: the program's own fades, easy to drag, nearly those of rendering; "
        "curves: gain curves that sound exactly as rendered",
        choices=FADES,
    )

    alternatives: int = option(
        0,
        "number of other sounds for each unit, as takes (reaper) or muted tracks (dawproject); "
        "matches.json beside the playlist must list them: predict with --neighbours 8",
    )

    def __post_init__(self) -> None:
        if self.media is not None:
            check_choice("media", self.media, MEDIA)
        check_choice("fades", self.fades, FADES)
        check_integer("alternatives", self.alternatives, 0, MAX_ALTERNATIVES)

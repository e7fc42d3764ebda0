"""What the evaluation of generated sound found: figures, their file and their tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

FORMAT, VERSION = "desc-generated-evaluation", 1


@dataclass(frozen=True)
class SoundRow:
    """A set of sounds and its figures; one that means nothing for it is left out."""

    name: str
    figures: dict[str, float]


@dataclass(frozen=True)
class SoundEvaluation:
    """Figures of generated sound.

    Attributes
    ----------
    sets : tuple of SoundRow
        References first, the generated folder last.
    vocoders : tuple of SoundRow
        On held-out clips; empty where no vocoder was named.
    settings : dict
        What was compared.
    """

    sets: tuple[SoundRow, ...]
    vocoders: tuple[SoundRow, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; figures that are not finite are null."""

        def plain(rows: tuple[SoundRow, ...]) -> list[dict[str, Any]]:
            return [
                {
                    "name": row.name,
                    "figures": {k: v if np.isfinite(v) else None for k, v in row.figures.items()},
                }
                for row in rows
            ]

        return {
            "format": FORMAT, "version": VERSION, "settings": self.settings,
            "sets": plain(self.sets), "vocoders": plain(self.vocoders),
        }  # fmt: skip


SET_COLUMNS = (
    ("FD39", "fd39", 2), ("FD80", "fd80", 1), ("NDB", "ndb", 0), ("JS", "js", 3),
    ("diversity", "diversity", 2), ("coverage", "coverage", 2), ("rms dB", "rms_db", 1),
    ("clipped", "clipped", 5), ("DC", "dc", 5), ("end click dB", "end_click_db", 1),
)  # fmt: skip
VOCODER_COLUMNS = (("mel L1", "mel_l1", 3), ("MR-STFT", "mr_stft", 3))


def lines(result: SoundEvaluation) -> list[str]:
    """Return the tables as lines of text."""
    text = _table("generated sound", SET_COLUMNS, result.sets)
    if result.vocoders:
        text += ["", *_table("vocoder, held-out clips", VOCODER_COLUMNS, result.vocoders)]
    return text


def _table(
    title: str, columns: tuple[tuple[str, str, int], ...], rows: tuple[SoundRow, ...]
) -> list[str]:
    text = [title.ljust(26) + "".join(name.rjust(13) for name, _, _ in columns)]
    for row in rows:
        cells = ""
        for _, key, digits in columns:
            value = row.figures.get(key, float("nan"))
            cells += (f"{value:.{digits}f}" if np.isfinite(value) else "–").rjust(13)
        text.append(row.name[:26].ljust(26) + cells)
    return text

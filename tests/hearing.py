"""Source positions that units play, and the rules of `hold_s` and `max_use`, by loops."""

from __future__ import annotations

from collections import Counter
from math import floor

from desc.database import DescriptorDatabase
from desc.matching import Unit

Heard = tuple[str, int, int]
Units = tuple[Unit, ...]


def heard(units: Units, database: DescriptorDatabase, layer: int = 0) -> list[Heard]:
    """Return recording, hop and number of the unit of each frame of a layer."""
    found = []
    for number, unit in enumerate(u for u in units if u.layer == layer):
        for row in range(unit.first_row, unit.first_row + unit.n_frames):
            hop = floor(int(database.centre_samples[row]) / database.config.hop_length + 0.5)
            found.append((database.files[database.file_index[row]].digest, hop, number))
    return found


def comes_back(units: Units, database: DescriptorDatabase, hold: int, layer: int = 0) -> bool:
    """Return whether another unit plays a nearby source position within `hold` frames."""
    frames = heard(units, database, layer)
    return any(
        name == other and abs(hop - earlier) <= 2 and unit != before
        for t, (name, hop, unit) in enumerate(frames)
        for other, earlier, before in frames[max(0, t - hold) : t]
    )


def most_heard(units: Units, database: DescriptorDatabase, layer: int = 0) -> int:
    """Return the largest number of uses of a position; lasting in a unit counts once."""
    frames = heard(units, database, layer)
    lasting = [False, *(a == b for a, b in zip(frames[1:], frames, strict=False))]
    uses = Counter(f[:2] for f, lasts in zip(frames, lasting, strict=True) if not lasts)
    return max(uses.values())

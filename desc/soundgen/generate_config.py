"""`GenerateConfig`: how many files of new sound, how long, from which seed."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration import check_choice, check_integer, check_number, option

SUBTYPES = ("PCM_16", "PCM_24", "PCM_32")
"""Float WAVs are left out: libsndfile writes the time of day into them."""


@dataclass(frozen=True)
class GenerateConfig:
    """What to generate."""

    duration_s: float = option(10.0, "length of a file", unit="seconds", aliases=("duration",))
    num_samples: int = option(10, "files for each generator and vocoder")
    seed: int = option(123, "seed of the first file; each next has one more")
    randomize_seed: bool = option(False, "draw the seed")
    random_merge_audio: bool = option(
        False, "also put files side by side as the channels of one, chosen at random"
    )
    channel_per_merge: int = option(3, "channels of such a file")
    num_combine_audio: int = option(3, "how many of them")
    subtype: str = option("PCM_24", "sample format", choices=SUBTYPES)

    def __post_init__(self) -> None:
        check_number("duration_s", self.duration_s, above=0.0)
        for name in ("num_samples", "channel_per_merge", "num_combine_audio"):
            check_integer(name, getattr(self, name), 1)
        check_integer("seed", self.seed, 0)
        check_choice("subtype", self.subtype, SUBTYPES)

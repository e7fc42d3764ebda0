"""`EvaluateConfig`: how runs are compared."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration import SAMPLINGS, check_choice, check_integer, check_number, option


@dataclass(frozen=True)
class EvaluateConfig:
    """How many excerpts are continued, how often and in which way."""

    n_samples: int = option(8, "continuations of each excerpt")
    seeds: int = option(1, "times everything is drawn anew; the table shows means")
    sampling: str = option(
        "plain",
        "plain: draw from the model; replay: the excerpt's own surprises; mean: no draw",
        choices=SAMPLINGS,
    )
    temperature: float = option(1.0, "spread of the draws: 1 as learned")
    replay_block: int = option(20, "mean length of a block of replayed surprises", unit="frames")
    seed: int = option(0, "first seed")
    excerpts: int = option(6, "evenly spaced excerpts of a recording at the most")
    excerpt_frames: int = option(512, "length of a context, and of its continuation", unit="frames")
    long: bool = option(False, "also continue for four times as long, and judge the end")

    rendered: bool = option(
        False,
        "also render a continuation of each excerpt with the sounds of sample_audio_db_dir, and "
        "judge what is heard",
    )

    def __post_init__(self) -> None:
        for name in ("n_samples", "seeds", "replay_block", "excerpts"):
            check_integer(name, getattr(self, name), 1)
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_number("temperature", self.temperature, 0.0, 10.0)
        check_integer("seed", self.seed, 0)
        check_integer("excerpt_frames", self.excerpt_frames, 64)  # a window of 43, and then some

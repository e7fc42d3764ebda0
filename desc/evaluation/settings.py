"""`EvaluateConfig`: how runs are compared."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration import SamplingConfig, check_integer, option


@dataclass(frozen=True)
class EvaluateConfig(SamplingConfig):
    """Settings of an evaluation: how excerpts are sampled, how many, and how often."""

    n_draws: int = option(8, "continuations of each excerpt", aliases=("n_samples",))
    seeds: int = option(1, "number of seeds, counted from `seed`; the table shows means")
    excerpts: int = option(6, "evenly spaced excerpts of a recording at the most")
    excerpt_frames: int = option(512, "length of a context, and of its continuation", unit="frames")
    long: bool = option(False, "also continue for four times as long, and judge the end")

    rendered: bool = option(
        False,
        "also render a continuation of each excerpt with the sounds of sample_audio_db_dir, and "
        "judge what is heard",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_draws", "seeds", "excerpts"):
            check_integer(name, getattr(self, name), 1)
        check_integer("excerpt_frames", self.excerpt_frames, 64)  # a window of 43, and then some

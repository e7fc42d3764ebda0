"""`EvaluateConfig`: settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration import SamplingConfig, check_integer, option


@dataclass(frozen=True)
class EvaluateConfig(SamplingConfig):
    """Settings of an evaluation: which excerpts are continued, how often and how."""

    n_draws: int = option(8, "number of continuations drawn per excerpt", aliases=("n_samples",))
    seeds: int = option(1, "number of seeds, starting at `seed`; the tables show means")
    excerpts: int = option(6, "maximum number of excerpts per recording, evenly spaced")
    excerpt_frames: int = option(512, "length of a context, and of its continuation", unit="frames")
    long: bool = option(False, "also evaluate continuations four times as long as the context")
    allow_training_files: bool = option(
        False, "also evaluate on recordings from a run's training or validation set"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_draws", "seeds", "excerpts"):
            check_integer(name, getattr(self, name), 1)
        check_integer("excerpt_frames", self.excerpt_frames, 64)  # a window has 43 frames

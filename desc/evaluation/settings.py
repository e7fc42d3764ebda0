"""`EvaluateConfig`: settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration import SAMPLINGS, check_choice, check_integer, check_number, option


@dataclass(frozen=True)
class EvaluateConfig:
    """Which excerpts are continued, how often, and how the continuations are drawn."""

    n_draws: int = option(8, "continuations drawn for each excerpt", aliases=("n_samples",))
    seeds: int = option(1, "repetitions with other seeds; the tables show the means")
    sampling: str = option(
        "plain",
        "plain: draw from the model; replay: reuse the excerpt's own innovations; mean: no draw",
        choices=SAMPLINGS,
    )
    temperature: float = option(1.0, "spread of the draws; 1: as trained")
    replay_block: int = option(20, "mean length of a block of replayed innovations", unit="frames")
    seed: int = option(0, "first seed")
    excerpts: int = option(6, "largest number of excerpts per recording, evenly spaced")
    excerpt_frames: int = option(512, "length of a context and of its continuation", unit="frames")
    long: bool = option(False, "also evaluate continuations four times as long as their context")
    allow_training_files: bool = option(
        False, "also evaluate on recordings from a run's training or validation set"
    )

    def __post_init__(self) -> None:
        for name in ("n_draws", "seeds", "replay_block", "excerpts"):
            check_integer(name, getattr(self, name), 1)
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_number("temperature", self.temperature, 0.0, 10.0)
        check_integer("seed", self.seed, 0)
        check_integer("excerpt_frames", self.excerpt_frames, 64)  # a window has 43 frames

    @property
    def is_point_forecast(self) -> bool:
        """Whether nothing is drawn, so that all continuations of an excerpt are equal."""
        return self.sampling == "mean" or self.temperature == 0

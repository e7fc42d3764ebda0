"""Settings of continuations: how they are sampled, how long, how many."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from desc.configuration.fields import check_choice, check_integer, check_number, option

SAMPLINGS = ("replay", "plain", "mean")


def seconds_or_end(text: str) -> float | str:
    """Read `--from_s`: a number, or `end`."""
    return text if text == "end" else float(text)


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of random sampling, the same for every draw."""

    temperature: float = option(
        1.0, "spread of the draws around their mean; 1: as learned, 0: the mean", unit="0 to 10"
    )
    sampling: str = option(
        "replay",
        "replay: reuse the innovations of the context, in phase with its pulse; plain: sample "
        "from the model; mean: the mean, without randomness",
        choices=SAMPLINGS,
    )
    replay_block: int = option(
        60,
        "mean length of a block of replayed innovations; whole beats where the music has a pulse",
        unit="frames",
    )
    seed: int = option(0, "random seed")

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0.0, 10.0)
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_integer("replay_block", self.replay_block, 1)
        check_integer("seed", self.seed, 0)

    @property
    def is_mean(self) -> bool:
        """Whether sampling is deterministic: every draw is the mean."""
        return self.sampling == "mean" or self.temperature == 0

    def one_draw(self, draw: int = 1) -> Sampling:
        """Return the settings of one draw, counted from 1."""
        return Sampling(self.temperature, self.sampling, self.replay_block, self.seed, draw)


@dataclass(frozen=True)
class Sampling(SamplingConfig):
    """Settings of one random draw of a continuation.

    Attributes
    ----------
    temperature : float
        Factor on the distance of a draw from its mean, 0 to 10: 1 as learned, 0 the mean.
    sampling : str
        `replay` reuses the innovations of the context in blocks, `plain` samples from the model,
        `mean` takes the mean.
    replay_block : int
        Mean length of a block of replayed innovations, in frames. Where the context has a pulse,
        blocks last whole beats and keep in phase with it.
    seed : int
        Random seed, at least 0. It is combined with the content of the recording.
    draw : int
        Number of the draw, counted from 1.

    Raises
    ------
    ConfigurationError
        If a value is out of range.
    """

    draw: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("draw", self.draw, 1)

    @property
    def draw_seed(self) -> int:
        """Seed of this draw; that of the first draw is `seed` itself."""
        if self.draw == 1:
            return self.seed
        key = hashlib.blake2b(f"{self.seed}:{self.draw}".encode(), digest_size=8).digest()
        return int.from_bytes(key, "big") >> 1


@dataclass(frozen=True)
class PredictConfig(SamplingConfig):
    """Settings of the continuations of a recording: how they are sampled, how long, how many."""

    prediction_length: int = option(430, "frames to predict", unit="frames of hop_length samples")
    duration_s: float | None = option(
        None, "length to predict, instead of prediction_length", unit="seconds", kind=float
    )
    from_s: float | str | None = option(
        None,
        "where to continue from, in seconds from the start of the recording, or end for its very "
        "end (default: the end of the music, before a fade-out or silence)",
        metavar="SECONDS",
        kind=seconds_or_end,
    )
    keep_frames: tuple[int, ...] = option(
        (),
        "numbers of frames up to which the sounds are those of a shorter result with these "
        "settings; what follows is matched on its own",
        unit="frames",
    )
    n_draws: int = option(
        1,
        "number of continuations of each recording; more than one are written to "
        "1/, 2/ … in its folder",
        aliases=("n_samples",),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("prediction_length", self.prediction_length, 1)
        check_integer("n_draws", self.n_draws, 1)
        for frames in self.keep_frames:
            check_integer("keep_frames", frames, 1)
        if self.from_s is not None and self.from_s != "end":
            check_number("from_s", self.from_s, above=0.0)
        if self.duration_s is not None:
            check_number("duration_s", self.duration_s, above=0.0)

    def n_steps(self, frame_rate: float) -> int:
        """Return the number of frames to predict at `frame_rate` frames per second."""
        if self.duration_s is None:
            return self.prediction_length
        return max(1, math.ceil(self.duration_s * frame_rate - 1e-9))

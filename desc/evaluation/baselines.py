"""References and baselines: real music, and continuations that need no training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from desc.metrics.windows import WINDOW_LENGTH, nearest_windows
from desc.scoring.excerpts import Continuations, Excerpts
from desc.scoring.reference_scales import ReferenceScales
from desc.scoring.scorer import REAL
from desc.scoring.verdict import PEER

Array = npt.NDArray[np.float64]

OTHER = "real, other music"
VAR_NOISE, VAR_REPLAY = "VAR + noise", PEER
N_BASELINES = 9  # rows, where training recordings are known


def baselines(
    excerpts: Excerpts,
    scales: ReferenceScales,
    training: Sequence[Array],
    n_draws: int,
    seed: int,
) -> Iterator[Continuations]:
    """Yield references and baselines, one at a time.

    Parameters
    ----------
    excerpts : Excerpts
    scales : ReferenceScales
    training : sequence of ndarray, (T, F)
        The training recordings, standardised. Without any that are long enough, other music and
        nearest neighbours are left out.
    n_draws : int
        Draws of the random baselines.
    seed : int
    """
    steps = excerpts.protocol.steps
    contexts = excerpts.contexts
    rng = np.random.default_rng(seed)
    yield Continuations(REAL, "reference", excerpts.preceding[None], "none")
    long_enough = [x for x in training if len(x) >= steps + WINDOW_LENGTH]
    if long_enough:
        yield Continuations(OTHER, "reference", other_music(excerpts, long_enough, n_draws, rng))
    shape = (1, len(excerpts), steps, contexts.shape[2])
    yield Continuations("mean", "baseline", np.zeros(shape), "point")
    last = np.broadcast_to(contexts[None, :, -1:], shape)
    yield Continuations("persistence", "baseline", last, "point")
    loop = contexts[:, np.arange(steps) % contexts.shape[1]]
    yield Continuations("loop of the context", "baseline", loop[None], "point")
    yield Continuations("shuffled context", "baseline", shuffled(contexts, steps, n_draws, rng))
    if long_enough:
        found = nearest_continuations(contexts, long_enough, steps, n_draws)
        yield Continuations("nearest neighbours", "baseline", found)
    for name, sampling in ((VAR_NOISE, "gaussian"), (VAR_REPLAY, "replay")):
        drawn = [
            [
                scales.var.continuation(context, steps, rng, sampling=sampling, period=period)
                for context, period in zip(contexts, excerpts.periods, strict=True)
            ]
            for _ in range(n_draws)
        ]
        yield Continuations(name, "baseline", np.array(drawn))


def other_music(
    excerpts: Excerpts, training: Sequence[Array], n_draws: int, rng: np.random.Generator
) -> Array:
    """Cut stretches (M, E, T, F) from random places of the training recordings."""
    steps = excerpts.protocol.steps
    room = np.array([len(x) - steps + 1 for x in training])
    ends = np.cumsum(room)
    flat = rng.integers(ends[-1], size=n_draws * len(excerpts))
    recording = np.searchsorted(ends, flat, side="right")
    starts = flat - (ends - room)[recording]
    cut = [training[r][s : s + steps] for r, s in zip(recording, starts, strict=True)]
    return np.stack(cut).reshape(n_draws, len(excerpts), steps, -1)


def shuffled(contexts: Array, steps: int, n_draws: int, rng: np.random.Generator) -> Array:
    """Shuffle the frames of contexts (E, C, F) into (M, E, steps, F), repeating them if needed."""
    n = contexts.shape[1]
    n_rounds = -(-steps // n)

    def order() -> npt.NDArray[np.int64]:
        return np.concatenate([rng.permutation(n) for _ in range(n_rounds)])[:steps]

    return np.stack([np.stack([context[order()] for context in contexts]) for _ in range(n_draws)])


def nearest_continuations(
    contexts: Array, training: Sequence[Array], steps: int, n_draws: int
) -> Array:
    """Copy the continuations of the training stretches nearest to each context's last second.

    Each training recording contributes its nearest stretch. The nearest `n_draws` of these are
    used, or all where there are fewer recordings.

    Parameters
    ----------
    contexts : ndarray, (E, C, F)
    training : sequence of ndarray, (T, F)
        At least steps + 43 frames each.
    steps, n_draws : int

    Returns
    -------
    ndarray, (M, E, steps, F)
    """
    windows = contexts[:, -WINDOW_LENGTH:]
    found = [nearest_windows(windows, x[: len(x) - steps]) for x in training]
    distance = np.stack([d for d, _ in found])  # (recordings, E)
    after = np.stack([start for _, start in found]) + windows.shape[1]
    order = np.argsort(distance, axis=0, kind="stable")[:n_draws]
    return np.stack(
        [
            np.stack([training[r][after[r, e] : after[r, e] + steps] for e, r in enumerate(ranks)])
            for ranks in order
        ]
    )

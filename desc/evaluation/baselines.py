"""What runs are compared with: real music, and continuations that need no learning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from desc.metrics import WINDOW_LENGTH, nearest_windows
from desc.scoring.continuations import Continuations
from desc.scoring.excerpts import Excerpts
from desc.scoring.scorer import REAL
from desc.scoring.yardstick import Yardstick

Array = npt.NDArray[np.float64]

OTHER = "real, other music"
N_BASELINES = 9  # where there is training music
VAR_NOISE, VAR_REPLAY = "VAR + noise", "VAR, replay"


def baselines(
    excerpts: Excerpts,
    yardstick: Yardstick,
    training: Sequence[Array],
    n_samples: int,
    seed: int,
) -> Iterator[Continuations]:
    """Yield floors and peers, one at a time.

    Parameters
    ----------
    excerpts : Excerpts
    yardstick : Yardstick
    training : sequence of ndarray, (T, F)
        The training recordings, standardised; those that are too short or absent leave other
        music and the nearest neighbours out.
    n_samples : int
        Draws of the peers that draw.
    seed : int
    """
    steps = excerpts.protocol.steps
    contexts = excerpts.contexts
    rng = np.random.default_rng(seed)
    yield Continuations(REAL, "floor", excerpts.preceding[None], "none")
    long_enough = [x for x in training if len(x) >= steps + WINDOW_LENGTH]
    if long_enough:
        yield Continuations(OTHER, "floor", other_music(excerpts, long_enough, n_samples, rng))
    shape = (1, len(excerpts), steps, contexts.shape[2])
    yield Continuations("mean", "peer", np.zeros(shape), "point")
    last = np.broadcast_to(contexts[None, :, -1:], shape)
    yield Continuations("persistence", "peer", last, "point")
    loop = contexts[:, np.arange(steps) % contexts.shape[1]]
    yield Continuations("loop of the context", "peer", loop[None], "point")
    yield Continuations("shuffled context", "peer", shuffled(contexts, steps, n_samples, rng))
    if long_enough:
        found = nearest_continuations(contexts, long_enough, steps, n_samples)
        yield Continuations("nearest neighbours", "peer", found)
    for name, sampling in ((VAR_NOISE, "gaussian"), (VAR_REPLAY, "replay")):
        drawn = [
            [yardstick.var.continuation(c, steps, rng, sampling=sampling) for c in contexts]
            for _ in range(n_samples)
        ]
        yield Continuations(name, "peer", np.array(drawn))


def other_music(
    excerpts: Excerpts, training: Sequence[Array], n_samples: int, rng: np.random.Generator
) -> Array:
    """Return stretches (M, E, T, F) from anywhere in the training recordings."""
    steps = excerpts.protocol.steps
    room = np.array([len(x) - steps + 1 for x in training])
    ends = np.cumsum(room)
    flat = rng.integers(ends[-1], size=n_samples * len(excerpts))
    recording = np.searchsorted(ends, flat, side="right")
    starts = flat - (ends - room)[recording]
    cut = [training[r][s : s + steps] for r, s in zip(recording, starts, strict=True)]
    return np.stack(cut).reshape(n_samples, len(excerpts), steps, -1)


def shuffled(contexts: Array, steps: int, n_samples: int, rng: np.random.Generator) -> Array:
    """Return frames of contexts (E, C, F) in any order, (M, E, steps, F), each as often."""
    n = contexts.shape[1]
    rounds = -(-steps // n)
    return np.stack(
        [
            np.stack(
                [c[np.concatenate([rng.permutation(n) for _ in range(rounds)])[:steps]]
                 for c in contexts]
            )
            for _ in range(n_samples)
        ]
    )  # fmt: skip


def nearest_continuations(
    contexts: Array, training: Sequence[Array], steps: int, n_samples: int
) -> Array:
    """Return what followed the stretches of training music nearest to each context's last second.

    Of each training recording its nearest stretch; the nearest n_samples of these, or as many as
    there are recordings.

    Parameters
    ----------
    contexts : ndarray, (E, C, F)
    training : sequence of ndarray, (T, F)
        Of at least steps + 43 frames each.
    steps, n_samples : int

    Returns
    -------
    ndarray, (M, E, steps, F)
    """
    windows = contexts[:, -WINDOW_LENGTH:]
    found = [nearest_windows(windows, x[: len(x) - steps]) for x in training]
    distance = np.stack([d for d, _ in found])  # (recordings, E)
    after = np.stack([start for _, start in found]) + windows.shape[1]
    order = np.argsort(distance, axis=0, kind="stable")[:n_samples]
    return np.stack(
        [
            np.stack([training[r][after[r, e] : after[r, e] + steps] for e, r in enumerate(ranks)])
            for ranks in order
        ]
    )

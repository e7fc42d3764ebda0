"""What follows excerpts: according to a model, or to anybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from desc.configuration import Progress, Sampling
from desc.models.base import DescriptorModel
from desc.models.rollout import continuation
from desc.prediction import one_thread, recording_generator
from desc.progress import reporting
from desc.scoring.excerpts import Excerpts

Array = npt.NDArray[np.float64]

MOST_ROWS = 256  # continuations in a batch


@dataclass(frozen=True, eq=False)
class Continuations:
    """What follows the excerpts, according to somebody.

    Attributes
    ----------
    name : str
    kind : str
        floor, peer or run.
    samples : ndarray, (M, E, T, F)
        Standardised.
    forecast : str
        `samples` where they are draws of a distribution, `point` for a point forecast, `none`
        where it is no forecast of this excerpt.
    """

    name: str
    kind: str
    samples: Array
    forecast: str = "samples"


def continue_excerpts(
    model: DescriptorModel,
    excerpts: Excerpts,
    sampling: Sampling,
    *,
    n_draws: int,
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Continue excerpts in batches, by a generator of its own for each.

    Parameters
    ----------
    model : DescriptorModel
    excerpts : Excerpts
    sampling : Sampling
        Its seed, together with an excerpt's recording and place, decides that excerpt's draws.
    n_draws : int
        Continuations of each excerpt.
    progress : callable, optional
        Called as progress("continue", continuations done, continuations in all).

    Returns
    -------
    ndarray of float32, (M, E, T, F)
        Static columns in their own units.
    """
    n, steps = len(excerpts), excerpts.protocol.steps
    rows = [(m, e) for m in range(n_draws) for e in range(n)]
    parts = []
    for first in range(0, len(rows), MOST_ROWS):
        some = rows[first : first + MOST_ROWS]
        context = torch.from_numpy(excerpts.raw_contexts[[e for _, e in some]])
        generators = [recording_generator(sampling.seed, _row_key(excerpts, e, m)) for m, e in some]
        with one_thread(), reporting(None):
            values = continuation(
                model,
                context,
                torch.ones(context.shape[:2], dtype=torch.bool),
                steps,
                sampling,
                generators=generators,
            )
        parts.append(values.cpu().numpy())
        if progress is not None:
            progress("continue", first + len(some), len(rows))
    return np.concatenate(parts).reshape(n_draws, n, steps, -1)


def _row_key(excerpts: Excerpts, excerpt: int, draw: int) -> str:
    digest = excerpts.digests[excerpts.tracks[excerpt]]
    return f"{digest}:{excerpts.positions[excerpt]}:{draw}"

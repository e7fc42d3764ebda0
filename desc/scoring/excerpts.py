"""Evaluation protocol: excerpts of recordings, and continuations of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from desc import progress
from desc.configuration import Sampling
from desc.descriptors.sequence import DescriptorSequence
from desc.devices import one_thread
from desc.errors import CorpusError
from desc.models.base import DescriptorModel
from desc.models.replay import context_period
from desc.models.rollout import continuation
from desc.prediction import recording_generator
from desc.scoring.reference_scales import ReferenceScales

Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

MAX_BATCH = 256  # continuations computed at once, those of one excerpt always together


@dataclass(frozen=True)
class Protocol:
    """Number and length of excerpts: contexts of `context` frames, continued for `steps`.

    Each recording gives up to `per_recording` excerpts. At least max(context, steps) frames
    precede each continuation, so that real music of the same length can be compared.
    """

    name: str
    context: int
    steps: int
    per_recording: int

    @property
    def n_before(self) -> int:
        """Frames needed before a continuation."""
        return max(self.context, self.steps)

    @property
    def n_needed(self) -> int:
        """Complete frames a recording needs for one excerpt."""
        return self.n_before + self.steps


@dataclass(frozen=True, eq=False)
class Excerpts:
    """Excerpts of recordings: the context before a position and the real frames after it.

    Attributes
    ----------
    protocol : Protocol
    tracks : ndarray of int, (E,)
        Recording of each excerpt, an index into `sources`.
    positions : ndarray of int, (E,)
        First predicted frame, counted from the recording's first complete frame.
    sources, digests : tuple of str
        The recordings used.
    left_out : dict of str to str
        Recordings left out, with the reason.
    raw_contexts, raw_targets : ndarray of float32, (E, C, F) and (E, T, F)
        Static columns in descriptor units: what models read, and the real continuation.
    contexts : ndarray, (E, C, F)
        Contexts, standardised.
    preceding, targets : ndarray, (E, T, F)
        The T frames before the position and the T frames from it on, standardised.
    periods : ndarray, (E,)
        Period of each context's pulse in frames, NaN without a pulse.
    """

    protocol: Protocol
    tracks: Positions
    positions: Positions
    sources: tuple[str, ...]
    digests: tuple[str, ...]
    left_out: dict[str, str]
    raw_contexts: Values
    raw_targets: Values
    contexts: Array
    preceding: Array
    targets: Array
    periods: Array

    def __len__(self) -> int:
        return len(self.positions)

    def chosen(self, keep: npt.NDArray[np.bool_]) -> Excerpts:
        """Return the excerpts for which `keep` (E,) is true."""
        arrays: dict[str, Any] = {
            name: x[keep] for name, x in vars(self).items() if isinstance(x, np.ndarray)
        }
        return replace(self, **arrays)


@dataclass(frozen=True, eq=False)
class Continuations:
    """Continuations of the excerpts by a model or a baseline.

    Attributes
    ----------
    name : str
    kind : str
        reference, baseline or run.
    draws : ndarray, (M, E, T, F)
        Standardised.
    forecast : str
        `draws` for draws from a distribution, `point` for a point forecast, `none` where it is
        not a forecast of these excerpts.
    """

    name: str
    kind: str
    draws: Array
    forecast: str = "draws"


def positions(n_frames: int, protocol: Protocol) -> Positions:
    """Choose the first predicted frames in a recording of `n_frames` complete frames.

    They are evenly spaced where enough frames precede and follow, at least half a continuation
    apart. Short recordings give fewer; those below `protocol.n_needed` frames give none.
    """
    first = protocol.n_before
    room = n_frames - protocol.n_needed
    if room < 0:
        return np.zeros(0, dtype=np.int64)
    n = min(protocol.per_recording, 1 + room // max(1, protocol.steps // 2))
    if n == 1:
        return np.array([first + room // 2])
    return (first + np.round(np.linspace(0, room, n))).astype(np.int64)


def cut_excerpts(
    sequences: Sequence[DescriptorSequence], protocol: Protocol, scales: ReferenceScales
) -> Excerpts:
    """Cut the excerpts of recordings; recordings that are too short are left out by name.

    Raises
    ------
    CorpusError
        If no recording is long enough.
    """
    left_out: dict[str, str] = {}
    used: list[DescriptorSequence] = []
    tracks, starts, raw = [], [], []
    before, context, steps = protocol.n_before, protocol.context, protocol.steps
    for sequence in sequences:
        frames = sequence.complete_static
        reason = _reason_against(frames, protocol)
        if reason:
            left_out[sequence.source] = reason
            continue
        for start in positions(len(frames), protocol):
            tracks.append(len(used))
            starts.append(int(start))
            raw.append(frames[start - before : start + steps])
        used.append(sequence)
    if not used:
        names = "\n".join(f"  {source}: {reason}" for source, reason in left_out.items())
        raise CorpusError(f"no recording is long enough to evaluate on:\n{names}")
    spans = np.stack(raw)  # (E, before + T, F)
    z = scales.standardise(spans)
    return Excerpts(
        protocol=protocol,
        tracks=np.array(tracks),
        positions=np.array(starts),
        sources=tuple(s.source for s in used),
        digests=tuple(s.digest for s in used),
        left_out=left_out,
        raw_contexts=spans[:, before - context : before],
        raw_targets=spans[:, before:],
        contexts=z[:, before - context : before],
        preceding=z[:, before - steps : before],
        targets=z[:, before:],
        periods=np.array(
            [context_period(x[before - context : before], scales.standardizer) for x in spans]
        ),
    )


def _reason_against(frames: Values, protocol: Protocol) -> str | None:
    """Say why a recording's frames (C, F) cannot be used; None where they can."""
    if len(frames) < protocol.n_needed:
        return f"{len(frames)} complete frames, {protocol.n_needed} are needed"
    if not np.isfinite(frames).all():
        return "its descriptors contain NaN or infinity"
    return None


def continue_excerpts(
    model: DescriptorModel,
    excerpts: Excerpts,
    sampling: Sampling,
    *,
    n_draws: int,
) -> Values:
    """Continue excerpts in batches, with a random generator for each continuation.

    Parameters
    ----------
    model : DescriptorModel
    excerpts : Excerpts
    sampling : Sampling
        Its seed, with an excerpt's recording and position, determines that excerpt's draws.
    n_draws : int
        Continuations of each excerpt.

    Returns
    -------
    ndarray of float32, (M, E, T, F)
        Static columns in descriptor units.
    """
    n, steps = len(excerpts), excerpts.protocol.steps
    at_once = max(1, MAX_BATCH // n_draws)
    parts = []
    for first in range(0, n, at_once):
        chosen = range(first, min(first + at_once, n))
        context = torch.from_numpy(excerpts.raw_contexts[chosen.start : chosen.stop])
        keys = [
            f"{excerpts.digests[excerpts.tracks[e]]}:{excerpts.positions[e]}:{m}"
            for e in chosen
            for m in range(n_draws)
        ]
        with one_thread(), progress.reporting(None):
            values = continuation(
                model,
                context,
                torch.ones(context.shape[:2], dtype=torch.bool),
                steps,
                sampling,
                generators=[recording_generator(sampling.seed, key) for key in keys],
            )
        parts.append(values.cpu().numpy().reshape(len(chosen), n_draws, steps, -1))
        progress.report("continue", chosen.stop * n_draws, n * n_draws)
    return np.concatenate(parts).swapaxes(0, 1)

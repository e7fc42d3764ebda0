"""Where the contexts of an evaluation begin and end: the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from desc.descriptors.sequence import DescriptorSequence
from desc.errors import CorpusError
from desc.scoring.yardstick import Yardstick

Array = npt.NDArray[np.float64]

LONG_FACTOR = 4  # 2048 frames after contexts of 512


@dataclass(frozen=True)
class Protocol:
    """Contexts of `context` frames are continued for `steps`, up to `per_recording` of each.

    Before a context's end there are at least max(context, steps) frames, so that real music of the
    same length can be compared.
    """

    name: str
    context: int
    steps: int
    per_recording: int


@dataclass(frozen=True, eq=False)
class Excerpts:
    """Places in recordings, with what came before and what really followed.

    Attributes
    ----------
    protocol : Protocol
    tracks : ndarray of int, (E,)
        Recording of each excerpt, an index of `sources`.
    positions : ndarray of int, (E,)
        First frame that is predicted, counted from the first complete frame.
    sources, digests : tuple of str
        The recordings used.
    left_out : dict of str to str
        Recordings that are too short, and why.
    raw_contexts, raw_targets : ndarray of float32, (E, C, F) and (E, T, F)
        Static columns in their own units: what models read, and what really followed.
    contexts : ndarray, (E, C, F)
        The same, standardised.
    preceding, targets : ndarray, (E, T, F)
        The T frames before the position, and those from it on, standardised.
    """

    protocol: Protocol
    tracks: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    sources: tuple[str, ...]
    digests: tuple[str, ...]
    left_out: dict[str, str]
    raw_contexts: npt.NDArray[np.float32]
    raw_targets: npt.NDArray[np.float32]
    contexts: Array
    preceding: Array
    targets: Array

    def __len__(self) -> int:
        return len(self.positions)

    def chosen(self, keep: npt.NDArray[np.bool_]) -> Excerpts:
        """Return the excerpts for which `keep` (E,) holds."""
        return replace(
            self,
            tracks=self.tracks[keep],
            positions=self.positions[keep],
            raw_contexts=self.raw_contexts[keep],
            raw_targets=self.raw_targets[keep],
            contexts=self.contexts[keep],
            preceding=self.preceding[keep],
            targets=self.targets[keep],
        )


def positions(n_frames: int, protocol: Protocol) -> npt.NDArray[np.int64]:
    """Return the first predicted frames in a recording of so many complete frames.

    Evenly spaced over where there are frames enough before and after, at least half a
    continuation apart; fewer in short recordings, none in those of less than
    max(context, steps) + steps frames.
    """
    first = max(protocol.context, protocol.steps)
    room = n_frames - protocol.steps - first
    if room < 0:
        return np.zeros(0, dtype=np.int64)
    n = min(protocol.per_recording, 1 + room // max(1, protocol.steps // 2))
    if n == 1:
        return np.array([first + room // 2])
    return (first + np.round(np.linspace(0, room, n))).astype(np.int64)


def cut_excerpts(
    sequences: Sequence[DescriptorSequence], protocol: Protocol, yardstick: Yardstick
) -> Excerpts:
    """Cut the excerpts of recordings; those too short are left out by name.

    Raises
    ------
    CorpusError
        If no recording is long enough.
    """
    left_out: dict[str, str] = {}
    used: list[DescriptorSequence] = []
    tracks, starts, raw = [], [], []
    needed = max(protocol.context, protocol.steps) + protocol.steps
    for sequence in sequences:
        frames = sequence.complete_static
        found = positions(len(frames), protocol)
        if not len(found) or not np.isfinite(frames).all():
            left_out[sequence.source] = (
                f"{len(frames)} complete frames, {needed} are needed"
                if not len(found)
                else "its descriptors hold values that are no numbers"
            )
            continue
        reach = needed - protocol.steps
        for start in found:
            tracks.append(len(used))
            starts.append(int(start))
            raw.append(frames[start - reach : start + protocol.steps])
        used.append(sequence)
    if not used:
        names = "\n".join(f"  {source}: {reason}" for source, reason in left_out.items())
        raise CorpusError(f"no recording is long enough to be continued and compared:\n{names}")
    spans = np.stack(raw)  # (E, reach + T, F)
    z = yardstick.standardise(spans)
    end, context, steps = needed - protocol.steps, protocol.context, protocol.steps
    return Excerpts(
        protocol=protocol,
        tracks=np.array(tracks),
        positions=np.array(starts),
        sources=tuple(s.source for s in used),
        digests=tuple(s.digest for s in used),
        left_out=left_out,
        raw_contexts=spans[:, end - context : end],
        raw_targets=spans[:, end:],
        contexts=z[:, end - context : end],
        preceding=z[:, end - steps : end],
        targets=z[:, end:],
    )

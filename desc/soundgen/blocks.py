"""A spectrogram of any length rendered in blocks, so that memory does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

BLOCK = 1024  # frames that a block adds
CONTEXT = 24  # frames on either side that are rendered and not used: more than MelGAN hears
# Both are multiples of 8: networks that count frames (vocos) count each block alike.
FADE = 8  # frames over which a block passes into the next
END = 10  # frames rendered behind the end and cut off: networks click where a spectrogram ends


def render_blocks(
    mels: Iterable[Tensor], render: Callable[[Tensor], Tensor], hop_length: int, silence: float
) -> Iterator[Tensor]:
    """Yield the sound of a spectrogram that comes in pieces.

    Parameters
    ----------
    mels : iterable of Tensor, (n_mels, T)
        Consecutive pieces of any length.
    render : callable
        (n_mels, T) → (T · hop_length,)
    hop_length : int
        Samples.
    silence : float
        Value of the bands behind the end.

    Yields
    ------
    Tensor, (S,)
        Consecutive samples, in all those of the frames.
    """
    fade = torch.linspace(0, 1, FADE * hop_length)
    held = torch.zeros(0)  # what the block before has to say about the first frames
    kept: Tensor | None = None  # the context, then what is not rendered yet
    before = 0  # frames of context in `kept`
    for mel in mels:
        kept = mel if kept is None else torch.cat([kept, mel], 1)
        while kept.shape[1] >= before + BLOCK + FADE + CONTEXT:
            whole = render(kept[:, : before + BLOCK + FADE + CONTEXT])
            piece = whole[before * hop_length : (before + BLOCK + FADE) * hop_length]
            piece = _faded(held, piece, fade)
            yield piece[: BLOCK * hop_length]
            held = piece[BLOCK * hop_length :]
            kept = kept[:, before + BLOCK - min(CONTEXT, before + BLOCK) :]
            before = CONTEXT
    if kept is not None and kept.shape[1] > before:
        n_frames = kept.shape[1]
        end = torch.full((len(kept), END), silence, dtype=kept.dtype)
        whole = render(torch.cat([kept, end], 1))
        yield _faded(held, whole[before * hop_length : n_frames * hop_length], fade)


def _faded(held: Tensor, piece: Tensor, fade: Tensor) -> Tensor:
    """Let what was held pass into the beginning of a piece."""
    if not len(held):
        return piece
    n = len(fade)
    return torch.cat([held * (1 - fade) + piece[:n] * fade, piece[n:]])

"""Multi-head attention with rotary positions, and the blocks of both transformers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from desc.errors import ConfigurationError

CosSin = tuple[Tensor, Tensor]
"""Cosines and sines of positions, each (T, head_size); see `rotation`."""

ROPE_BASE = 10_000.0  # slowest rotation, Su et al. 2021
STRETCH = 256  # positions whose angles are computed at once


def check_heads(hidden_size: int, nhead: int) -> None:
    """Refuse a number of heads that does not fit the width.

    Raises
    ------
    ConfigurationError
        If nhead does not divide hidden_size into heads of an even width.
    """
    if hidden_size % nhead:
        raise ConfigurationError(
            f"nhead={nhead} must divide hidden_size={hidden_size} "
            f"({hidden_size} / {nhead} = {hidden_size / nhead:g})"
        )
    if hidden_size // nhead % 2:
        raise ConfigurationError(
            f"hidden_size={hidden_size} / nhead={nhead} = {hidden_size // nhead} must be even: "
            "positions rotate pairs of columns"
        )


def rotation(start: int, n_frames: int, head_size: int, like: Tensor) -> CosSin:
    """Return cosines and sines (n_frames, head_size) of the positions from `start` on.

    Columns i and i + head_size/2 are rotated as a pair, hence the signs of the sines. Angles are
    computed in float64, so that hours of frames lose no digits.
    """
    pairs = torch.arange(head_size // 2, dtype=torch.float64)
    frequencies = ROPE_BASE ** (-2 * pairs / head_size)
    positions = torch.arange(start, start + n_frames, dtype=torch.float64)
    angles = positions[:, None] * frequencies
    cos = torch.cat([angles.cos(), angles.cos()], -1)
    sin = torch.cat([-angles.sin(), angles.sin()], -1)
    return cos.float().to(like.device), sin.float().to(like.device)


class Rotations:
    """Cache of the `rotation` of a range of positions, for decoding step by step."""

    def __init__(self, head_size: int) -> None:
        self.head_size = head_size
        self.start = 0
        self.table: CosSin | None = None

    def at(self, position: int, like: Tensor) -> CosSin:
        """Return cosines and sines (1, head_size) of a position."""
        i = position - self.start
        if self.table is None or not 0 <= i < STRETCH or self.table[0].device != like.device:
            self.start, i = position, 0
            with torch.inference_mode(False):  # the table must also serve training
                self.table = rotation(position, STRETCH, self.head_size, like)
        cos, sin = self.table
        return cos[i : i + 1], sin[i : i + 1]


def rotate(x: Tensor, cos_sin: CosSin) -> Tensor:
    """Rotate the pairs of columns of x (..., T, head_size) by their positions' angles."""
    cos, sin = cos_sin
    first, second = x.chunk(2, -1)
    return torch.addcmul(x * cos, torch.cat([second, first], -1), sin)


def band_mask(valid: Tensor, attention_window: int) -> Tensor:
    """Return the mask of causal attention within a sliding window.

    Frame i attends to the valid frames i - attention_window + 1 … i, and always to itself.

    Parameters
    ----------
    valid : Tensor of bool (B, T)
    attention_window : int

    Returns
    -------
    Tensor of bool (B, 1, T, T)
        True where the row's frame attends to the column's.
    """
    t = torch.arange(valid.shape[1], device=valid.device)
    distance = t[:, None] - t[None, :]
    band = (distance >= 0) & (distance < attention_window)
    # A missing frame still attends to itself: a softmax over nothing is not a number.
    return ((band & valid[:, None, :]) | (distance == 0))[:, None]


class Attention(nn.Module):
    """Multi-head attention of given queries, keys and values.

    Parameters
    ----------
    width : int
        Columns of queries, keys and values together.
    nhead : int
        Heads; divides the width.
    dropout : float
        Share of the attention weights dropped in training.
    """

    def __init__(self, width: int, nhead: int, dropout: float) -> None:
        super().__init__()
        self.nhead = nhead
        self.dropout = dropout
        self.output = nn.Linear(width, width)

    def split(self, x: Tensor, n: int) -> Tensor:
        """Return x (B, T, n · width) as (n, B, nhead, T, head_size)."""
        return x.reshape(*x.shape[:2], n, self.nhead, -1).permute(2, 0, 3, 1, 4)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return the attention output (B, Q, width).

        Parameters
        ----------
        queries : Tensor (B, nhead, Q, d)
        keys, values : Tensor (B, nhead, T, d)
        mask : Tensor (B, 1, Q, T), optional
            True, or 0 where it is added, at the keys that a query attends to.
        """
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(queries, keys, values, mask, dropout)
        return self.output(mixed.transpose(1, 2).flatten(2))


class SelfAttention(Attention):
    """Self-attention."""

    def __init__(self, width: int, nhead: int, dropout: float) -> None:
        super().__init__(width, nhead, dropout)
        self.entry = nn.Linear(width, 3 * width)

    def project(self, x: Tensor, cos_sin: CosSin) -> tuple[Tensor, Tensor, Tensor]:
        """Return rotated queries, rotated keys, and values of x (B, T, width)."""
        parts = self.split(self.entry(x), 3)
        queries, keys = rotate(parts[:2], cos_sin)
        return queries, keys, parts[2]


class CrossAttention(Attention):
    """Cross-attention."""

    def __init__(self, width: int, nhead: int, dropout: float) -> None:
        super().__init__(width, nhead, dropout)
        self.query = nn.Linear(width, width)
        self.keyvalue = nn.Linear(width, 2 * width)

    def queries(self, x: Tensor, cos_sin: CosSin) -> Tensor:
        """Return rotated queries (B, nhead, T, head_size) of x (B, T, width)."""
        return rotate(self.split(self.query(x), 1)[0], cos_sin)

    def keys_values(self, x: Tensor, cos_sin: CosSin) -> tuple[Tensor, Tensor]:
        """Return rotated keys, and values, of x (B, T, width)."""
        keys, values = self.split(self.keyvalue(x), 2)
        return rotate(keys, cos_sin), values


class SelfBlock(nn.Module):
    """Pre-norm self-attention and feed-forward.

    Parameters
    ----------
    width, nhead, inner : int
        Columns, heads, columns inside the feed-forward part.
    dropout : float
    """

    def __init__(self, width: int, nhead: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, nhead, dropout)
        self.forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, inner),
            nn.GELU(approximate="tanh"),  # a third of the time of the exact one
            nn.Linear(inner, width),
            nn.Dropout(dropout),
        )

    def project(self, x: Tensor, cos_sin: CosSin) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of x (B, T, width)."""
        return self.attention.project(self.attention_norm(x), cos_sin)

    def mix(
        self, x: Tensor, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Add the outputs of attention and of the feed-forward part to x (B, T, width)."""
        return self.feed(x + self.attention(queries, keys, values, mask))

    def feed(self, x: Tensor) -> Tensor:
        """Add the output of the feed-forward part to x."""
        return x + self.feed_forward(self.forward_norm(x))

    def forward(self, x: Tensor, cos_sin: CosSin, mask: Tensor | None) -> Tensor:
        """Return x (B, T, width) transformed."""
        return self.mix(x, *self.project(x, cos_sin), mask)


class CrossBlock(SelfBlock):
    """A `SelfBlock` that also attends to a memory, between self-attention and feed-forward."""

    def __init__(self, width: int, nhead: int, inner: int, dropout: float) -> None:
        super().__init__(width, nhead, inner, dropout)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = CrossAttention(width, nhead, dropout)

    def mix_memory(
        self,
        x: Tensor,
        own: tuple[Tensor, Tensor, Tensor],
        mask: Tensor | None,
        memory: tuple[Tensor, Tensor, Tensor],
        cos_sin: CosSin,
    ) -> Tensor:
        """Return x (B, T, width) transformed.

        Parameters
        ----------
        x : Tensor (B, T, width)
        own : queries, keys and values of `project`
        mask : Tensor, optional
            Mask of the self-attention.
        memory : keys and values (B, nhead, M, d) of the memory, and its mask (B, 1, 1, M)
        cos_sin : cosines and sines of x's positions, counted from the start of the memory
        """
        x = x + self.attention(*own, mask)
        x = x + self.cross(self.cross.queries(self.cross_norm(x), cos_sin), *memory)
        return self.feed(x)


BlockT = TypeVar("BlockT", bound=SelfBlock)


class Stack(nn.ModuleList, Generic[BlockT]):
    """A list of blocks."""

    def __iter__(self) -> Iterator[BlockT]:
        return super().__iter__()  # type: ignore[return-value]

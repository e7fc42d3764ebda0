"""`TransformerEncoderOnlyModel`: a causal transformer that predicts the next frame."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from desc.models.attention import Rotations, SelfBlock, Stack, band_mask, check_heads, rotation
from desc.models.base import DescriptorModel, Sizes, update_cache


class TransformerEncoderOnlyModel(DescriptorModel):
    """A causal pre-norm transformer with an attention window of `window_size` frames.

    The window slides, in training as in a rollout. Keys and values of its frames are kept in a ring
    buffer; positions are relative, so the number of steps is unlimited.
    """

    DEFAULTS: ClassVar[Sizes] = Sizes(hidden_size=128, num_layers=3, nhead=4, dim_feedforward=256)
    STEPS: ClassVar[int] = 480
    CONTINUED: ClassVar[int] = 8
    UNUSED = frozenset({"forecast_size", "plan_size"})

    def build(self) -> None:
        """Make the layers."""
        sizes = self.sizes
        check_heads(sizes.hidden_size, sizes.nhead)
        self.attention_window = self.model_config.window_size
        self.head_size = sizes.hidden_size // sizes.nhead
        self.rotations = Rotations(self.head_size)
        dropout = self.model_config.dropout
        self.entry = nn.Linear(self.n_inputs, sizes.hidden_size)
        self.blocks = Stack[SelfBlock](
            SelfBlock(sizes.hidden_size, sizes.nhead, sizes.dim_feedforward, dropout)
            for _ in range(sizes.num_layers)
        )
        self.exit = nn.LayerNorm(sizes.hidden_size)

    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the window."""
        mask = band_mask(valid, self.attention_window)
        cos_sin = rotation(0, inputs.shape[1], self.head_size, inputs)
        x = self.entry(inputs)
        for block in self.blocks:
            x = block(x, cos_sin, mask)
        return self.exit(x)

    def teacher_forced(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the whole context through the sliding window."""
        return self(inputs[:, :-1], valid[:, :-1])

    def prefill(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Read the whole context; cache keys and values of the last `attention_window` frames."""
        n_frames = inputs.shape[1]
        first = self.context_frames - n_frames
        mask = band_mask(valid, self.attention_window)
        cos_sin = rotation(first, n_frames, self.head_size, inputs)
        x = self.entry(inputs)
        # The frame of position t lives in slot t modulo attention_window.
        frames = torch.arange(n_frames - self.attention_window, n_frames)
        order = torch.argsort((first + frames) % self.attention_window)
        cache = {}
        for i, block in enumerate(self.blocks):
            own = block.project(x, cos_sin)
            cache[f"keys{i}"] = own[1][:, :, frames[order]]
            cache[f"values{i}"] = own[2][:, :, frames[order]]
            x = block.mix(x, *own, mask)
        hidden = inputs.new_zeros(len(inputs), 1, 1, self.attention_window)
        empty = ~valid[:, frames[order]]
        cache["mask"] = hidden.masked_fill(empty[:, None, None], float("-inf"))
        return self.exit(x[:, -1]), cache

    def decode_step(self, inputs: Tensor, cache: dict[str, Tensor], position: int) -> Tensor:
        """Read one frame, which takes the slot of the oldest."""
        at = self.context_frames + position - 1
        slot = at % self.attention_window
        cos_sin = self.rotations.at(at, inputs)
        free = cache["mask"].new_zeros(cache["mask"].shape[:-1])
        mask = update_cache(cache, "mask", 3, slot, free)
        x = self.entry(inputs)[:, None]
        for i, block in enumerate(self.blocks):
            queries, key, value = block.project(x, cos_sin)
            keys = update_cache(cache, f"keys{i}", 2, slot, key[:, :, 0])
            values = update_cache(cache, f"values{i}", 2, slot, value[:, :, 0])
            x = block.mix(x, queries, keys, values, mask)
        return self.exit(x[:, 0])

"""`TransformerEncoderOnlyModel`: a causal transformer that predicts one frame ahead."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.models.attention import Rotations, SelfBlock, SelfStack, band_mask, check_heads, rotation
from desc.models.base import DescriptorModel, Sizes, written
from desc.models.statistics import TrainingStatistics


class TransformerEncoderOnlyModel(DescriptorModel):
    """A causal pre-norm transformer in which a frame sees the last `window_size` frames.

    The window slides, in training as in a rollout. Keys and values of the frames in it are
    kept in a ring; positions are relative, so nothing limits the number of steps.
    """

    DEFAULTS: ClassVar[Sizes] = Sizes(hidden_size=128, num_layers=4, nhead=4, dim_feedforward=512)
    STEPS: ClassVar[int] = 480
    UNUSED = frozenset({"forecast_size"})

    def __init__(
        self,
        model_config: ModelConfig,
        descriptor_config: DescriptorConfig,
        statistics: TrainingStatistics,
    ) -> None:
        super().__init__(model_config, descriptor_config, statistics)
        sizes = self.sizes
        check_heads(sizes.hidden_size, sizes.nhead)
        self.reach = model_config.window_size
        self.head_size = sizes.hidden_size // sizes.nhead
        self.rotations = Rotations(self.head_size)
        self.entry = nn.Linear(self.n_inputs, sizes.hidden_size)
        self.blocks = SelfStack(
            SelfBlock(sizes.hidden_size, sizes.nhead, sizes.dim_feedforward, model_config.dropout)
            for _ in range(sizes.num_layers)
        )
        self.exit = nn.LayerNorm(sizes.hidden_size)

    @property
    def lookback(self) -> int:
        """The frames of the style, and the first one read."""
        return self.context_size + 1

    @property
    def horizon(self) -> int:
        """The frames of the window."""
        return self.model_config.window_size

    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the window."""
        mask = band_mask(valid, self.reach)
        turn = rotation(0, inputs.shape[1], self.head_size, inputs)
        x = self.entry(inputs)
        for block in self.blocks:
            x = block(x, turn, mask)
        h: Tensor = self.exit(x)
        return h

    def trace(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the whole context through the sliding window."""
        h: Tensor = self(inputs[:, :-1], valid[:, :-1])
        return h

    def begin(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Read the whole context and keep keys and values of the last `reach` frames."""
        n_frames = inputs.shape[1]
        first = self.context_frames - n_frames
        mask = band_mask(valid, self.reach)
        turn = rotation(first, n_frames, self.head_size, inputs)
        x = self.entry(inputs)
        # The frame of position t lives in slot t modulo reach.
        frames = torch.arange(n_frames - self.reach, n_frames)
        order = torch.argsort((first + frames) % self.reach)
        memory = {}
        for i, block in enumerate(self.blocks):
            own = block.project(x, turn)
            memory[f"keys{i}"] = own[1][:, :, frames[order]]
            memory[f"values{i}"] = own[2][:, :, frames[order]]
            x = block.mix(x, *own, mask)
        hidden = inputs.new_zeros(len(inputs), 1, 1, self.reach)
        empty = ~valid[:, frames[order]]
        memory["mask"] = hidden.masked_fill(empty[:, None, None], float("-inf"))
        return self.exit(x[:, -1]), memory

    def advance(self, inputs: Tensor, memory: dict[str, Tensor], position: int) -> Tensor:
        """Read one frame, which takes the slot of the oldest."""
        at = self.context_frames + position - 1
        slot = at % self.reach
        turn = self.rotations.at(at, inputs)
        free = memory["mask"].new_zeros(memory["mask"].shape[:-1])
        memory["mask"] = written(memory["mask"], 3, slot, free)
        x = self.entry(inputs)[:, None]
        for i, block in enumerate(self.blocks):
            queries, key, value = block.project(x, turn)
            keys = written(memory[f"keys{i}"], 2, slot, key[:, :, 0])
            values = written(memory[f"values{i}"], 2, slot, value[:, :, 0])
            memory[f"keys{i}"], memory[f"values{i}"] = keys, values
            x = block.mix(x, queries, keys, values, memory["mask"])
        h: Tensor = self.exit(x[:, 0])
        return h

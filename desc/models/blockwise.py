"""`BlockwiseModel`: what the two sequence models share, forecasts of `forecast_size` frames."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from desc.models.base import DescriptorModel, written


class BlockwiseModel(DescriptorModel):
    """An encoder reads the window, a decoder continues it frame by frame.

    After `forecast_size` frames the window, now ending with generated frames, is encoded again:
    time stays linear in the number of frames. A subclass implements `encode`, `decode` and
    `decode_step`.
    """

    @property
    def lookback(self) -> int:
        """The frames of the style and of the window."""
        return self.context_size + self.model_config.window_size

    @property
    def horizon(self) -> int:
        """The frames of a forecast."""
        return self.model_config.forecast_size

    @abstractmethod
    def encode(self, inputs: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Read a window (B, W, I) and return the decoder's memory, ready for a first step."""

    @abstractmethod
    def decode(self, inputs: Tensor, valid: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """Return h (B, forecast_size, H), the frames before each target given.

        The first input is the last frame of the window.
        """

    @abstractmethod
    def decode_step(self, inputs: Tensor, memory: dict[str, Tensor], i: int) -> Tensor:
        """Read input i (B, I) of a forecast; return h (B, H). Changes the memory in place."""

    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Encode the window, decode the forecast."""
        w = self.model_config.window_size
        memory = self.encode(inputs[:, :w], valid[:, :w])
        return self.decode(inputs[:, w - 1 :], valid[:, w - 1 :], memory)

    def trace(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Forecast the context's frames block by block, the last block ending with it."""
        n_frames = inputs.shape[1]
        w, step = self.model_config.window_size, self.horizon
        n_blocks = (n_frames - w) // step
        length = w + step - 1
        starts = n_frames - w - step * torch.arange(n_blocks, 0, -1)
        index = (starts[:, None] + torch.arange(length)).flatten()  # (n_blocks · length)
        blocks = inputs[:, index].reshape(-1, length, inputs.shape[2])  # (B · n_blocks, length, I)
        h: Tensor = self(blocks, valid[:, index].reshape(-1, length))
        return h.reshape(len(inputs), n_blocks * step, -1)

    def begin(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Encode the last window of the context."""
        w = self.model_config.window_size
        window, present = inputs[:, -w:], valid[:, -w:]
        memory = self.encode(window, present)
        # The window, and room for the frames up to the next encoding.
        room = inputs.new_zeros(len(inputs), self.horizon, inputs.shape[2])
        memory["recent"] = torch.cat([window, room], 1)
        memory["present"] = torch.cat([present, torch.ones_like(room[..., 0], dtype=torch.bool)], 1)
        return self.decode_step(inputs[:, -1], memory, 0), memory

    def advance(self, inputs: Tensor, memory: dict[str, Tensor], position: int) -> Tensor:
        """Step the decoder; every `forecast_size` frames encode the window again."""
        w, step = self.model_config.window_size, self.horizon
        i = position % step
        memory["recent"] = written(memory["recent"], 1, w + (position - 1) % step, inputs)
        if i == 0:
            for name in ("recent", "present"):
                memory[name] = memory[name].roll(-step, 1)
            memory["present"][:, w:] = True
            memory.update(self.encode(memory["recent"][:, :w], memory["present"][:, :w]))
        return self.decode_step(inputs, memory, i)

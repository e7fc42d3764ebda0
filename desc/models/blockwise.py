"""`BlockwiseModel`: what the two sequence models share, forecasts of `forecast_size` frames."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from desc.models.base import DescriptorModel, written

OVERLAP = 3  # one frame in so many of the window is the decoder's


class BlockwiseModel(DescriptorModel):
    """An encoder reads the window's first frames; a decoder reads its last ones and goes on.

    A decoder that begins with the forecast knows nothing by itself at its first frames, and is
    weak there; so it is under way by then, and what it says of the window's last frames is scored,
    too. After `forecast_size` frames the window, now ending with generated frames, is encoded
    again: time stays linear in the number of frames. A subclass implements `encode`, `decode` and
    `decode_step`.
    """

    @property
    def overlap(self) -> int:
        """Last frames of the window that the decoder reads instead of the encoder."""
        return self.model_config.window_size // OVERLAP

    @property
    def encoded(self) -> int:
        """First frames of the window, which the encoder reads."""
        return self.model_config.window_size - self.overlap

    @property
    def lookback(self) -> int:
        """The frames of the style and of the encoder."""
        return self.context_size + self.encoded

    @property
    def horizon(self) -> int:
        """The frames of the decoder: the window's last ones and the forecast."""
        return self.overlap + self.model_config.forecast_size

    @abstractmethod
    def encode(self, inputs: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Read the first frames of a window (B, encoded, I) and return the decoder's memory."""

    @abstractmethod
    def decode(self, inputs: Tensor, valid: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """Read frames (B, T, I), T <= horizon; return h (B, T, H), each of the frame after.

        The first input is the last encoded frame. The memory is ready for a step afterwards.
        """

    @abstractmethod
    def decode_step(self, inputs: Tensor, memory: dict[str, Tensor], i: int) -> Tensor:
        """Read the decoder's input i (B, I); return h (B, H). Changes the memory in place."""

    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Encode the window's first frames, decode the others and the forecast."""
        n = self.encoded
        memory = self.encode(inputs[:, :n], valid[:, :n])
        return self.decode(inputs[:, n - 1 :], valid[:, n - 1 :], memory)

    def trace(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Forecast the context's frames block by block, the last block ending with it."""
        n_frames = inputs.shape[1]
        w, step = self.model_config.window_size, self.model_config.forecast_size
        n_blocks = (n_frames - w) // step
        length = w + step - 1
        starts = n_frames - w - step * torch.arange(n_blocks, 0, -1)
        index = (starts[:, None] + torch.arange(length)).flatten()  # (n_blocks · length)
        blocks = inputs[:, index].reshape(-1, length, inputs.shape[2])  # (B · n_blocks, length, I)
        h: Tensor = self(blocks, valid[:, index].reshape(-1, length))
        return h[:, -step:].reshape(len(inputs), n_blocks * step, -1)

    def begin(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Read the last window of the context."""
        w = self.model_config.window_size
        window, present = inputs[:, -w:], valid[:, -w:]
        # The window, and room for the frames up to the next encoding.
        room = inputs.new_zeros(len(inputs), self.model_config.forecast_size, inputs.shape[2])
        memory = {
            "recent": torch.cat([window, room], 1),
            "present": torch.cat([present, torch.ones_like(room[..., 0], dtype=torch.bool)], 1),
        }
        return self.read_window(memory), memory

    def read_window(self, memory: dict[str, Tensor]) -> Tensor:
        """Encode and decode the window in the memory; return h (B, H) of the frame after it."""
        w, n = self.model_config.window_size, self.encoded
        window, present = memory["recent"][:, :w], memory["present"][:, :w]
        memory.update(self.encode(window[:, :n], present[:, :n]))
        return self.decode(window[:, n - 1 :], present[:, n - 1 :], memory)[:, -1]

    def advance(self, inputs: Tensor, memory: dict[str, Tensor], position: int) -> Tensor:
        """Step the decoder; every `forecast_size` frames read the window again."""
        w, step = self.model_config.window_size, self.model_config.forecast_size
        i = position % step
        memory["recent"] = written(memory["recent"], 1, w + (position - 1) % step, inputs)
        if i:
            return self.decode_step(inputs, memory, self.overlap + i)
        for name in ("recent", "present"):
            memory[name] = memory[name].roll(-step, 1)
        memory["present"][:, w:] = True
        return self.read_window(memory)

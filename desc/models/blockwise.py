"""`BlockwiseModel`: encoder-decoder models that forecast blocks of `forecast_size` frames."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from desc.models.base import DescriptorModel, update_cache

OVERLAP = 3  # one frame in so many of the window is the decoder's


class BlockwiseModel(DescriptorModel):
    """Base of the encoder-decoder models.

    The encoder reads the first frames of the window, the decoder its last frames and the forecast.
    The decoder is also scored on the last frames of the window. Otherwise it would start the
    forecast without a state of its own, and its first frames would be poor. After `forecast_size`
    frames the window, now ending with generated frames, is encoded again, so time stays linear in
    the number of frames. A subclass implements `encode`, `decode` and `decoder_step`.
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
    def context_length(self) -> int:
        """Frames of the context statistics and of the encoder."""
        return self.context_size + self.encoded

    @property
    def prediction_length(self) -> int:
        """Frames of the decoder: the end of the window and the forecast."""
        return self.overlap + self.model_config.forecast_size

    @abstractmethod
    def encode(self, inputs: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Read the first frames of a window (B, encoded, I) and return the decoder's cache."""

    @abstractmethod
    def decode(self, inputs: Tensor, valid: Tensor, cache: dict[str, Tensor]) -> Tensor:
        """Read frames (B, T, I), T <= prediction_length; return h (B, T, H) for the next frames.

        The first input is the last encoded frame. The cache is ready for a step afterwards.
        """

    @abstractmethod
    def decoder_step(self, inputs: Tensor, cache: dict[str, Tensor], i: int) -> Tensor:
        """Read the decoder's input i (B, I); return h (B, H). Changes the cache in place."""

    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Encode the window's first frames, decode the others and the forecast."""
        n = self.encoded
        cache = self.encode(inputs[:, :n], valid[:, :n])
        return self.decode(inputs[:, n - 1 :], valid[:, n - 1 :], cache)

    def teacher_forced(self, inputs: Tensor, valid: Tensor) -> Tensor:
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

    def prefill(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Read the last window of the context."""
        w = self.model_config.window_size
        window, present = inputs[:, -w:], valid[:, -w:]
        # The window, and space for the frames up to the next encoding.
        room = inputs.new_zeros(len(inputs), self.model_config.forecast_size, inputs.shape[2])
        cache = {
            "recent": torch.cat([window, room], 1),
            "present": torch.cat([present, torch.ones_like(room[..., 0], dtype=torch.bool)], 1),
        }
        return self.read_window(cache), cache

    def read_window(self, cache: dict[str, Tensor]) -> Tensor:
        """Encode and decode the window in the cache; return h (B, H) for the next frame."""
        w, n = self.model_config.window_size, self.encoded
        window, present = cache["recent"][:, :w], cache["present"][:, :w]
        cache.update(self.encode(window[:, :n], present[:, :n]))
        return self.decode(window[:, n - 1 :], present[:, n - 1 :], cache)[:, -1]

    def decode_step(self, inputs: Tensor, cache: dict[str, Tensor], position: int) -> Tensor:
        """Step the decoder; every `forecast_size` frames read the window again."""
        w, step = self.model_config.window_size, self.model_config.forecast_size
        i = position % step
        update_cache(cache, "recent", 1, w + (position - 1) % step, inputs)
        if i:
            return self.decoder_step(inputs, cache, self.overlap + i)
        for name in ("recent", "present"):
            cache[name] = cache[name].roll(-step, 1)
        cache["present"][:, w:] = True
        return self.read_window(cache)

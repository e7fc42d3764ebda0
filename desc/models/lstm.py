"""The recurrent models: `LSTM` and `LSTMEncoderDecoderModel`."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from desc.models.base import DescriptorModel, Sizes
from desc.models.blockwise import BlockwiseModel

RecurrentState = tuple[Tensor, Tensor]
"""Output and cell of an LSTM, each (layers, B, H)."""


class LSTM(DescriptorModel):
    """An LSTM over the frames of the window; a rollout continues its state."""

    DEFAULTS: ClassVar[Sizes] = Sizes(hidden_size=128, num_layers=1)
    STEPS: ClassVar[int] = 900
    BATCH_SIZE: ClassVar[int] = 32
    UNUSED = frozenset({"forecast_size", "plan_size", "nhead", "dim_feedforward"})

    def build(self) -> None:
        """Make the layers."""
        self.network = RecurrentStack(self, self.n_inputs)

    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the window from an empty state."""
        return self.network(inputs, valid)[0]

    def teacher_forced(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the whole context from an empty state."""
        return self(inputs[:, :-1], valid[:, :-1])

    def prefill(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Read the whole context from an empty state."""
        outputs, (h, c) = self.network(inputs, valid)
        return outputs[:, -1], {"h": h, "c": c}

    def decode_step(self, inputs: Tensor, cache: dict[str, Tensor], position: int) -> Tensor:  # noqa: ARG002
        """Step the network."""
        return self.network.step(inputs, cache)


class LSTMEncoderDecoderModel(BlockwiseModel):
    """An LSTM encoder-decoder; the decoder starts from the encoder's state."""

    DEFAULTS: ClassVar[Sizes] = Sizes(hidden_size=160, num_layers=1)
    STEPS: ClassVar[int] = 1050
    UNUSED = frozenset({"nhead", "dim_feedforward"})

    def build(self) -> None:
        """Make the layers."""
        super().build()
        self.encoder = RecurrentStack(self, self.n_inputs)
        self.decoder = RecurrentStack(self, self.n_decoder_inputs)

    def encode(self, inputs: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Return the encoder's state after its frames."""
        _, (h, c) = self.encoder(inputs, valid)
        return {"h": h, "c": c}

    def decode(self, inputs: Tensor, valid: Tensor, cache: dict[str, Tensor]) -> Tensor:
        """Run the decoder over the given frames, keeping its state."""
        outputs, (cache["h"], cache["c"]) = self.decoder(inputs, valid, (cache["h"], cache["c"]))
        return outputs

    def decoder_step(self, inputs: Tensor, cache: dict[str, Tensor], i: int) -> Tensor:  # noqa: ARG002
        """Step the decoder."""
        return self.decoder.step(inputs, cache)


class RecurrentStack(nn.Module):
    """An LSTM that can step, and that skips the frames missing at the start of a row.

    Its sizes and the dropout between layers are those of the model.
    """

    def __init__(self, model: DescriptorModel, n_inputs: int) -> None:
        super().__init__()
        hidden_size, num_layers = model.sizes.hidden_size, model.sizes.num_layers
        dropout = model.model_config.dropout if num_layers > 1 else 0.0
        self.lstm = nn.LSTM(n_inputs, hidden_size, num_layers, batch_first=True, dropout=dropout)
        with torch.no_grad():
            for name, parameter in self.lstm.named_parameters():
                if name.startswith("bias_ih"):
                    # Forget gates open at first: the state spans a phrase from the start.
                    parameter[hidden_size : 2 * hidden_size] += 1.0

    def forward(
        self, inputs: Tensor, valid: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """Read (B, T, I); return outputs (B, T, H) and the state after the last valid frame."""
        if state is not None:
            state = state[0].float(), state[1].float()
        # Autocast would run cuDNN's networks in float16, whose gradients need scaling. And cuDNN
        # has no gradient of a network that is not in training mode.
        with (
            torch.autocast(inputs.device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=self.training or not torch.is_grad_enabled()),
        ):
            return self._read(inputs.float(), valid, state)

    def _read(
        self, inputs: Tensor, valid: Tensor, state: RecurrentState | None
    ) -> tuple[Tensor, RecurrentState]:
        if bool(valid.all()):
            return self.lstm(inputs, state)
        if state is None:  # nothing was read yet
            zeros = inputs.new_zeros(self.lstm.num_layers, len(inputs), self.lstm.hidden_size)
            state = zeros, zeros
        frames = torch.arange(inputs.shape[1], device=inputs.device)
        first = valid.int().argmax(1, keepdim=True)  # (B, 1)
        shifted = take(inputs, (frames + first).clamp(max=inputs.shape[1] - 1))
        lengths = valid.sum(1)
        packed = pack_padded_sequence(
            shifted, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        packed, (h, c) = self.lstm(packed, state)
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        outputs = take(outputs, (frames - first).clamp(min=0))
        empty = (lengths == 0)[None, :, None]
        return outputs, (torch.where(empty, state[0], h), torch.where(empty, state[1], c))

    def step(self, inputs: Tensor, cache: dict[str, Tensor]) -> Tensor:
        """Read one frame (B, I), change the state `h`, `c` in the cache; return h (B, H)."""
        hs, cs = [], []
        for layer, weights in enumerate(self.lstm.all_weights):
            state = cache["h"][layer], cache["c"][layer]
            inputs, c = torch.lstm_cell(inputs, state, *weights)
            hs.append(inputs[None])
            cs.append(c[None])
        several = len(hs) > 1
        cache["h"], cache["c"] = (torch.cat(x) if several else x[0] for x in (hs, cs))
        return inputs


def take(x: Tensor, index: Tensor) -> Tensor:
    """Return frames (B, T) of x (B, T, H)."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))

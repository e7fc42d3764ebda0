"""`RecurrentStack`: the LSTM of both recurrent models."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

RecurrentState = tuple[Tensor, Tensor]
"""Output and cell of an LSTM, each (layers, B, H)."""


class RecurrentStack(nn.Module):
    """An LSTM that can step, and that skips the frames missing at the start of a row.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    dropout : float
        Between layers, 0 to 1.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True, dropout=between)
        with torch.no_grad():
            for name, parameter in self.lstm.named_parameters():
                if name.startswith("bias_ih"):
                    # Forget gates open at first: the state spans a phrase from the start.
                    parameter[hidden_size : 2 * hidden_size] += 1.0

    def zeros(self, like: Tensor) -> RecurrentState:
        """Return the state before anything was read, for a batch such as `like`."""
        zeros = like.new_zeros(self.lstm.num_layers, len(like), self.lstm.hidden_size)
        return zeros, zeros

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
        state = self.zeros(inputs) if state is None else state
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

    def step(self, inputs: Tensor, state: RecurrentState) -> RecurrentState:
        """Read one frame (B, I)."""
        h, c = state
        hs, cs = [], []
        for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(self.lstm.all_weights):
            new_h, new_c = torch.lstm_cell(inputs, (h[layer], c[layer]), w_ih, w_hh, b_ih, b_hh)
            hs.append(new_h)
            cs.append(new_c)
            inputs = new_h
        return torch.stack(hs), torch.stack(cs)


def take(x: Tensor, index: Tensor) -> Tensor:
    """Return frames (B, T) of x (B, T, H)."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))

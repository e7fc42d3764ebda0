"""`TransformerModel`: a bidirectional encoder of the window and a causal decoder."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from desc.models.attention import (
    CrossBlock,
    Rotations,
    SelfBlock,
    Stack,
    band_mask,
    check_heads,
    rotation,
)
from desc.models.base import Sizes, update_cache
from desc.models.blockwise import BlockwiseModel


class TransformerModel(BlockwiseModel):
    """`num_layers` encoder blocks and as many decoder blocks, all with relative positions.

    Position 0 is the first frame of the window. The decoder, whose first input is the last encoded
    frame, counts on from there.
    """

    DEFAULTS: ClassVar[Sizes] = Sizes(hidden_size=128, num_layers=2, nhead=4, dim_feedforward=512)
    STEPS: ClassVar[int] = 450
    CONTINUED: ClassVar[int] = 8

    def build(self) -> None:
        """Make the layers."""
        super().build()
        sizes = self.sizes
        check_heads(sizes.hidden_size, sizes.nhead)
        width, nhead, inner = sizes.hidden_size, sizes.nhead, sizes.dim_feedforward
        layers, dropout = range(sizes.num_layers), self.model_config.dropout
        self.head_size = width // nhead
        self.rotations = Rotations(self.head_size)
        self.encoder_entry = nn.Linear(self.n_inputs, width)
        self.encoder = Stack[SelfBlock](SelfBlock(width, nhead, inner, dropout) for _ in layers)
        self.encoder_exit = nn.LayerNorm(width)
        self.decoder_entry = nn.Linear(self.n_decoder_inputs, width)
        self.decoder = Stack[CrossBlock](CrossBlock(width, nhead, inner, dropout) for _ in layers)
        self.decoder_exit = nn.LayerNorm(width)

    def encode(self, inputs: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Return keys and values of the encoded frames for each decoder block.

        Where no frame is valid, the decoder attends to one empty frame.
        """
        n = inputs.shape[1]
        seen = valid.clone()
        seen[:, -1] = True
        mask = seen[:, None, None]
        cos_sin = rotation(0, n, self.head_size, inputs)
        x = self.encoder_entry(inputs)
        for block in self.encoder:
            x = block(x, cos_sin, mask)
        x = self.encoder_exit(x)
        cache = {"seen": mask}
        for i, block in enumerate(self.decoder):
            cache[f"keys{i}"], cache[f"values{i}"] = block.cross.keys_values(x, cos_sin)
        return cache

    def decode(self, inputs: Tensor, valid: Tensor, cache: dict[str, Tensor]) -> Tensor:
        """Run the decoder over the given frames, keeping keys and values."""
        n_frames = inputs.shape[1]
        cos_sin = rotation(self.read_length - 1, n_frames, self.head_size, inputs)
        mask = band_mask(valid, n_frames)
        room = (0, 0, 0, self.prediction_length - n_frames)
        x = self.decoder_entry(inputs)
        for layer, block in enumerate(self.decoder):
            own = block.project(x, cos_sin)
            cache[f"own_keys{layer}"] = nn.functional.pad(own[1], room)
            cache[f"own_values{layer}"] = nn.functional.pad(own[2], room)
            x = block.mix_memory(x, own, mask, encoded(layer, cache), cos_sin)
        cache["own_seen"] = nn.functional.pad(valid, room[2:], value=True)[:, None, None]
        return self.decoder_exit(x)

    def decoder_step(self, inputs: Tensor, cache: dict[str, Tensor], i: int) -> Tensor:
        """Run the decoder over one frame, keeping its keys and values."""
        cos_sin = self.rotations.at(self.read_length - 1 + i, inputs)
        mask = cache["own_seen"][..., : i + 1]
        x = self.decoder_entry(inputs)[:, None]
        for layer, block in enumerate(self.decoder):
            queries, key, value = block.project(x, cos_sin)
            keys = update_cache(cache, f"own_keys{layer}", 2, i, key[:, :, 0])
            values = update_cache(cache, f"own_values{layer}", 2, i, value[:, :, 0])
            own = queries, keys[:, :, : i + 1], values[:, :, : i + 1]
            x = block.mix_memory(x, own, mask, encoded(layer, cache), cos_sin)
        return self.decoder_exit(x[:, 0])


def encoded(layer: int, cache: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return keys, values and mask of the encoded frames for a decoder block."""
    return cache[f"keys{layer}"], cache[f"values{layer}"], cache["seen"]

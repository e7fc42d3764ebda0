"""`TransformerModel`: a bidirectional encoder of the window and a causal decoder."""

from __future__ import annotations

from typing import ClassVar, TypedDict

from torch import Tensor, nn

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.models.attention import (
    CrossBlock,
    CrossStack,
    Rotations,
    SelfBlock,
    SelfStack,
    Turn,
    band_mask,
    check_heads,
    rotation,
)
from desc.models.base import Sizes, written
from desc.models.blockwise import BlockwiseModel
from desc.models.statistics import TrainingStatistics


class Encoded(TypedDict):
    """What a decoder block attends to: keys and values (B, nhead, T, d), and which exist."""

    memory: tuple[Tensor, Tensor]
    memory_mask: Tensor


class TransformerModel(BlockwiseModel):
    """`num_layers` encoder blocks and as many decoder blocks; positions are relative in all.

    The first position is that of the window's first frame; the decoder, whose first input is
    the window's last frame, counts on from there.
    """

    DEFAULTS: ClassVar[Sizes] = Sizes(hidden_size=128, num_layers=2, nhead=4, dim_feedforward=512)

    def __init__(
        self,
        model_config: ModelConfig,
        descriptor_config: DescriptorConfig,
        statistics: TrainingStatistics,
    ) -> None:
        super().__init__(model_config, descriptor_config, statistics)
        sizes = self.sizes
        check_heads(sizes.hidden_size, sizes.nhead)
        width, nhead, inner = sizes.hidden_size, sizes.nhead, sizes.dim_feedforward
        layers, dropout = range(sizes.num_layers), model_config.dropout
        self.head_size = width // nhead
        self.rotations = Rotations(self.head_size)
        self.encoder_entry = nn.Linear(self.n_inputs, width)
        self.encoder = SelfStack(SelfBlock(width, nhead, inner, dropout) for _ in layers)
        self.encoder_exit = nn.LayerNorm(width)
        self.decoder_entry = nn.Linear(self.n_inputs, width)
        self.decoder = CrossStack(CrossBlock(width, nhead, inner, dropout) for _ in layers)
        self.decoder_exit = nn.LayerNorm(width)

    def turns(self, start: int, n_frames: int, like: Tensor) -> Turn:
        """Return the rotation of positions of the window and the forecast."""
        return rotation(start, n_frames, self.head_size, like)

    def encode(self, inputs: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Return keys and values of the encoded frames for each decoder block.

        Frames of which nothing exists are seen as one empty frame.
        """
        n = inputs.shape[1]
        seen = valid.clone()
        seen[:, -1] = True
        mask = seen[:, None, None]
        turn = self.turns(0, n, inputs)
        x = self.encoder_entry(inputs)
        for block in self.encoder:
            x = block(x, turn, mask)
        x = self.encoder_exit(x)
        memory = {"seen": mask}
        for i, block in enumerate(self.decoder):
            memory[f"keys{i}"], memory[f"values{i}"] = block.cross.keys_values(x, turn)
        return memory

    def decode(self, inputs: Tensor, valid: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """Run the decoder over the given frames, keeping keys and values."""
        n_frames = inputs.shape[1]
        turn = self.turns(self.encoded - 1, n_frames, inputs)
        mask = band_mask(valid, n_frames)
        room = (0, 0, 0, self.horizon - n_frames)
        x = self.decoder_entry(inputs)
        for layer, block in enumerate(self.decoder):
            own = block.project(x, turn)
            memory[f"own_keys{layer}"] = nn.functional.pad(own[1], room)
            memory[f"own_values{layer}"] = nn.functional.pad(own[2], room)
            x = block.mix_memory(x, own, mask, **self.attended(layer, memory), turn=turn)
        memory["own_seen"] = nn.functional.pad(valid, room[2:], value=True)[:, None, None]
        h: Tensor = self.decoder_exit(x)
        return h

    def decode_step(self, inputs: Tensor, memory: dict[str, Tensor], i: int) -> Tensor:
        """Run the decoder over one frame, keeping its keys and values."""
        turn = self.rotations.at(self.encoded - 1 + i, inputs)
        mask = memory["own_seen"][..., : i + 1]
        x = self.decoder_entry(inputs)[:, None]
        for layer, block in enumerate(self.decoder):
            queries, key, value = block.project(x, turn)
            keys = written(memory[f"own_keys{layer}"], 2, i, key[:, :, 0])
            values = written(memory[f"own_values{layer}"], 2, i, value[:, :, 0])
            memory[f"own_keys{layer}"], memory[f"own_values{layer}"] = keys, values
            own = queries, keys[:, :, : i + 1], values[:, :, : i + 1]
            x = block.mix_memory(x, own, mask, **self.attended(layer, memory), turn=turn)
        h: Tensor = self.decoder_exit(x[:, 0])
        return h

    def attended(self, layer: int, memory: dict[str, Tensor]) -> Encoded:
        """Return what a decoder block attends to of the encoded frames."""
        keys_values = memory[f"keys{layer}"], memory[f"values{layer}"]
        return {"memory": keys_values, "memory_mask": memory["seen"]}

"""`LSTMEncoderDecoderModel`: an LSTM encoder and an LSTM decoder."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.models.base import Sizes
from desc.models.blockwise import BlockwiseModel
from desc.models.layers import RecurrentStack
from desc.models.statistics import TrainingStatistics


class LSTMEncoderDecoderModel(BlockwiseModel):
    """An LSTM encoder-decoder; the decoder starts from the encoder's state."""

    DEFAULTS: ClassVar[Sizes] = Sizes(hidden_size=160, num_layers=1)
    STEPS: ClassVar[int] = 1050
    UNUSED = frozenset({"nhead", "dim_feedforward"})

    def __init__(
        self,
        model_config: ModelConfig,
        descriptor_config: DescriptorConfig,
        statistics: TrainingStatistics,
    ) -> None:
        super().__init__(model_config, descriptor_config, statistics)
        sizes = (self.n_inputs, self.sizes.hidden_size, self.sizes.num_layers)
        self.encoder = RecurrentStack(*sizes, model_config.dropout)
        self.decoder = RecurrentStack(*sizes, model_config.dropout)

    def encode(self, inputs: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Return the encoder's state after its frames."""
        _, (h, c) = self.encoder(inputs, valid)
        return {"h": h, "c": c}

    def decode(self, inputs: Tensor, valid: Tensor, cache: dict[str, Tensor]) -> Tensor:
        """Run the decoder over the given frames, keeping its state."""
        outputs: Tensor
        outputs, state = self.decoder(inputs, valid, (cache["h"], cache["c"]))
        cache["h"], cache["c"] = state
        return outputs

    def decoder_step(self, inputs: Tensor, cache: dict[str, Tensor], i: int) -> Tensor:  # noqa: ARG002
        """Step the decoder."""
        cache["h"], cache["c"] = self.decoder.step(inputs, (cache["h"], cache["c"]))
        return cache["h"][-1]

"""`LSTM`: a recurrent network that predicts the next frame."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.models.base import DescriptorModel, Sizes
from desc.models.layers import RecurrentStack
from desc.models.statistics import TrainingStatistics


class LSTM(DescriptorModel):
    """An LSTM over the frames of the window; a rollout continues its state."""

    DEFAULTS: ClassVar[Sizes] = Sizes(hidden_size=192, num_layers=1)
    UNUSED = frozenset({"forecast_size", "nhead", "dim_feedforward"})

    def __init__(
        self,
        model_config: ModelConfig,
        descriptor_config: DescriptorConfig,
        statistics: TrainingStatistics,
    ) -> None:
        super().__init__(model_config, descriptor_config, statistics)
        sizes = self.sizes
        self.network = RecurrentStack(
            self.n_inputs, sizes.hidden_size, sizes.num_layers, model_config.dropout
        )

    @property
    def context_length(self) -> int:
        """Frames of the context statistics, and the first frame read."""
        return self.context_size + 1

    @property
    def prediction_length(self) -> int:
        """Frames of the window."""
        return self.model_config.window_size

    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the window from an empty state."""
        return self.network(inputs, valid)[0]

    def teacher_forced(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the whole context from an empty state."""
        return self.network(inputs[:, :-1], valid[:, :-1])[0]

    def prefill(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Read the whole context from an empty state."""
        outputs, (h, c) = self.network(inputs, valid)
        return outputs[:, -1], {"h": h, "c": c}

    def decode_step(self, inputs: Tensor, cache: dict[str, Tensor], position: int) -> Tensor:  # noqa: ARG002
        """Step the network."""
        cache["h"], cache["c"] = self.network.step(inputs, (cache["h"], cache["c"]))
        return cache["h"][-1]

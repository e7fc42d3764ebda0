"""`LSTM`: a recurrent network that predicts one frame ahead."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.models.base import DescriptorModel, Sizes
from desc.models.layers import RecurrentStack
from desc.models.statistics import TrainingStatistics


class LSTM(DescriptorModel):
    """An LSTM over the frames of the window; its state goes on in a rollout."""

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
    def lookback(self) -> int:
        """The frames of the style, and the first one read."""
        return self.context_size + 1

    @property
    def horizon(self) -> int:
        """The frames of the window."""
        return self.model_config.window_size

    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the window from an empty state."""
        outputs: Tensor = self.network(inputs, valid)[0]
        return outputs

    def trace(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Read the whole context from an empty state."""
        outputs: Tensor = self.network(inputs[:, :-1], valid[:, :-1])[0]
        return outputs

    def begin(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Read the whole context from an empty state."""
        outputs, (h, c) = self.network(inputs, valid)
        return outputs[:, -1], {"h": h, "c": c}

    def advance(self, inputs: Tensor, memory: dict[str, Tensor], position: int) -> Tensor:  # noqa: ARG002
        """Step the network."""
        memory["h"], memory["c"] = self.network.step(inputs, (memory["h"], memory["c"]))
        return memory["h"][-1]

"""The contract of every model: score items, and continue a context frame by frame.

An item is `lookback + horizon` consecutive frames: the first describe the music so far, the last
`horizon` are scored, each given all frames before it. Frames go in and out as raw static
columns; inside they are standardised. Rows may be padded on the left, `valid` says where.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.errors import ConfigurationError
from desc.models.heads import create_head
from desc.models.inputs import Anchor, FrameSpace
from desc.models.statistics import TrainingStatistics

CONTEXT_FRAMES = 512  # of a context, are read at the least: 12 s, what innovations are drawn from


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network; a model's class lists its defaults."""

    hidden_size: int
    num_layers: int
    nhead: int = 1
    dim_feedforward: int = 0


def written(memory: Tensor, dim: int, at: int, value: Tensor) -> Tensor:
    """Return a memory with slice `at` of `dim` replaced: in place unless gradients are wanted."""
    if torch.is_grad_enabled():
        index = torch.tensor([at], device=memory.device)
        return memory.index_copy(dim, index, value.unsqueeze(dim))
    memory.select(dim, at).copy_(value)
    return memory


@dataclass
class State:
    """A rollout between two frames. `step` changes it in place.

    Attributes
    ----------
    h : Tensor (B, H)
        The network's output, from which the head projects the next frame's distribution.
    last : Tensor (B, F)
        The last frame, standardised.
    anchor : Anchor
        What the frames refer to, fixed during a rollout.
    position : int
        Frames consumed since the context ended.
    memory : dict of Tensor
        What the network keeps: recurrent state, or keys and values.
    """

    h: Tensor
    last: Tensor
    anchor: Anchor
    position: int = 0
    memory: dict[str, Tensor] = field(default_factory=dict)


class DescriptorModel(nn.Module, ABC):
    """A distribution of the next frame of static descriptors given the frames before it.

    A subclass builds its network and implements `forward`, `trace`, `begin` and `advance`,
    which see inputs (B, T, I) per frame and return hidden vectors (…, H) for the head.

    Parameters
    ----------
    model_config : ModelConfig
    descriptor_config : DescriptorConfig
    statistics : TrainingStatistics
        Of the training recordings.

    Attributes
    ----------
    lookback : int
        Frames an item holds before its first scored frame.
    horizon : int
        Frames an item scores.
    sizes : Sizes
        The sizes in use, the model's defaults filled in.

    Raises
    ------
    ConfigurationError
        If sizes contradict each other.
    """

    DEFAULTS: ClassVar[Sizes]
    STEPS: ClassVar[int] = 1100  # after which little is learned any more
    UNUSED: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        model_config: ModelConfig,
        descriptor_config: DescriptorConfig,
        statistics: TrainingStatistics,
    ) -> None:
        super().__init__()
        if statistics.standardizer.config != descriptor_config:
            raise ConfigurationError("the statistics are of descriptors with other settings")
        self.model_config = model_config
        self.descriptor_config = descriptor_config
        self.statistics = statistics
        self.space = FrameSpace(statistics)
        self.n_features = self.space.n_features
        self.context_size = model_config.context_size
        self.n_inputs = self.n_features * (2 + (3 if self.context_size else 0))
        self.sizes = Sizes(
            **{
                name: default if (given := getattr(model_config, name)) is None else given
                for name, default in vars(self.DEFAULTS).items()
            }
        )
        self.head = create_head(
            model_config.head,
            self.sizes.hidden_size,
            statistics.whitening,
            model_config.n_components,
        )
        self.dropout = nn.Dropout(model_config.dropout)

    # What a network implements ---------------------------------------------------------------

    @property
    @abstractmethod
    def lookback(self) -> int:
        """Frames an item holds before its first scored frame."""

    @property
    @abstractmethod
    def horizon(self) -> int:
        """Frames an item scores."""

    @property
    def first_input(self) -> int:
        """First frame of an item that the network reads; those before it count as style only."""
        return self.context_size

    @abstractmethod
    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Return h (B, horizon, H) of an item's frames from `context_size` to the last but one.

        Parameters
        ----------
        inputs : Tensor (B, T, I)
            T = lookback + horizon - 1 - context_size.
        valid : Tensor of bool (B, T)
        """

    @abstractmethod
    def trace(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Return h (B, N, H) along a context, computed as in training.

        h[:, -1] belongs to the last frame but one, so that its target is the last frame; N is
        as many frames as the model can score.
        """

    @abstractmethod
    def begin(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Read a context (B, T, I); return h (B, H) for the frame after it, and the memory."""

    @abstractmethod
    def advance(self, inputs: Tensor, memory: dict[str, Tensor], position: int) -> Tensor:
        """Read one frame (B, I), the `position`-th after the context; return h (B, H).

        Changes the memory in place.
        """

    # Scoring ---------------------------------------------------------------------------------

    def scored(self, valid: Tensor) -> Tensor:
        """Tell which of an item's last `horizon` frames are scored: they and the one before exist.

        Parameters
        ----------
        valid : Tensor of bool (B, lookback + horizon)

        Returns
        -------
        Tensor of bool (B, horizon)
        """
        return valid[:, -self.horizon :] & valid[:, -self.horizon - 1 : -1]

    def nll(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Score the last `horizon` frames of items, each given the frames before it.

        Parameters
        ----------
        frames : Tensor (B, lookback + horizon, F)
            Static columns, raw units; what is not valid may hold anything.
        valid : Tensor of bool (B, lookback + horizon)
            False where an item reaches beyond its recording; a recording's frames are
            consecutive.

        Returns
        -------
        Tensor (B, horizon)
            Nats per frame in standardised units, log-determinant of the whitening included, so
            that heads compare; for the head `mse` half the squared error. 0 where not `scored`.
        """
        length = self.lookback + self.horizon
        if frames.shape[1:] != (length, self.n_features):
            raise ConfigurationError(
                f"an item of {tuple(frames.shape[1:])} frames × columns must be "
                f"{(length, self.n_features)}"
            )
        first = self.first_input
        with torch.autocast(frames.device.type, enabled=False):
            x = self.space.standardise(frames, valid)
            anchor = self.anchor(x[:, : self.context_size], valid[:, : self.context_size])
            # One frame more, for the first one's difference.
            edge = max(first - 1, 0)
            blurred = anchor._replace(style=self.blurred(anchor.style))
            inputs = self.inputs(x[:, edge:-1], valid[:, edge:-1], blurred)[:, first - edge :]
        h = self.dropout(self(inputs, valid[:, first:-1]))
        parameters = self.head(h)
        with torch.autocast(frames.device.type, enabled=False):
            last, mean = x[:, -self.horizon - 1 : -1], anchor.mean[:, None]
            innovation = x[:, -self.horizon :] - self.space.expected(last, mean)
            score = self.head.score(parameters, innovation, anchor.movement[:, None])
            return score.masked_fill(~self.scored(valid), 0.0)

    def anchor(self, x: Tensor, valid: Tensor) -> Anchor:
        """Describe the standardised frames (B, T, F) of a context."""
        if not self.context_size:
            return self.space.no_anchor(x)
        return self.space.anchor(x, valid)

    def blurred(self, style: Tensor) -> Tensor:
        """Return a style (B, S) with noise in training, as it is otherwise."""
        spread = self.model_config.style_noise
        if not (self.training and spread):
            return style
        return style + spread * torch.randn_like(style)

    def inputs(self, x: Tensor, valid: Tensor, anchor: Anchor) -> Tensor:
        """Return what the network sees of standardised frames (B, T, F): (B, T, I)."""
        mean, movement, style = (part[:, None] for part in anchor)
        frames = self.space.frame_inputs(x, self.space.differences(x, valid), mean, movement)
        return torch.cat([frames, style.expand(-1, x.shape[1], -1)], -1) * valid[..., None]

    # Continuing ------------------------------------------------------------------------------

    @property
    def context_frames(self) -> int:
        """Frames of a context that are read: the last so many, padded where there are fewer.

        Always the same number, so that every recording meets the same arithmetic.
        """
        return max(CONTEXT_FRAMES, self.lookback + self.horizon)

    def read(
        self, context: Tensor, valid: Tensor, length: int | None = None
    ) -> tuple[Tensor, Tensor, Anchor, Tensor]:
        """Prepare the last frames of a context (B, T, F), padded where there are fewer.

        Parameters
        ----------
        context, valid : Tensor
            See `start`.
        length : int, optional
            Frames the network reads; by default `context_frames`.

        Returns
        -------
        x, valid : Tensor
            (B, C, F) standardised, (B, C).
        anchor : Anchor
            Of the last `context_size` frames.
        inputs : Tensor
            (B, length, I).
        """
        length = length or self.context_frames
        context, valid = context[:, -self.context_frames :], valid[:, -self.context_frames :]
        missing = max(0, length - context.shape[1])
        context = nn.functional.pad(context, (0, 0, missing, 0))
        valid = nn.functional.pad(valid, (missing, 0))
        x = self.space.standardise(context, valid)
        tail = -self.context_size if self.context_size else x.shape[1]
        anchor = self.anchor(x[:, tail:], valid[:, tail:])
        return x, valid, anchor, self.inputs(x, valid, anchor)[:, -length:]

    def start(self, context: Tensor, valid: Tensor, length: int | None = None) -> State:
        """Read a context; the state's `h` belongs to the frame after it.

        Parameters
        ----------
        context : Tensor (B, T, F)
            Static columns of complete frames, raw units, padded on the left.
        valid : Tensor of bool (B, T)
        length : int, optional
            Frames the network reads, at least `window_size`; by default `context_frames`.
        """
        x, valid, anchor, inputs = self.read(context, valid, length)
        h, memory = self.begin(inputs, valid[:, -inputs.shape[1] :])
        return State(h, x[:, -1], anchor, 0, memory)

    def step(self, frame: Tensor, state: State) -> None:
        """Read the next frame (B, F), standardised, and change the state in place."""
        mean, movement, style = state.anchor
        inputs = self.space.frame_inputs(frame, frame - state.last, mean, movement)
        state.position += 1
        state.last = frame
        state.h = self.advance(torch.cat([inputs, style], -1), state.memory, state.position)

    def next_frame(self, u: Tensor, state: State) -> Tensor:
        """Return the frame (B, F), standardised, that a whitened innovation leads to.

        It stays within the range of the training recordings.
        """
        with torch.autocast(u.device.type, enabled=False):
            expected = self.space.expected(state.last, state.anchor.mean)
            frame = expected + self.head.unwhiten(u.float()) * state.anchor.movement
            return torch.clamp(frame, self.space.low, self.space.high)

    def innovations(self, context: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return what was surprising in a context, in units of what the model expected.

        Returns
        -------
        z : Tensor (B, N, F)
            (whitened innovation - mean) / deviation of the head.
        known : Tensor of bool (B, N)
        """
        x, valid, anchor, inputs = self.read(context, valid)
        h = self.trace(inputs, valid)
        n = h.shape[1]
        mean, deviation = self.head.moments(self.head(h))
        innovation = x[:, 1:] - self.space.expected(x[:, :-1], anchor.mean[:, None])
        u = self.head.whiten(innovation / anchor.movement[:, None])[:, -n:]
        known = (valid[:, 1:] & valid[:, :-1])[:, -n:]
        return ((u - mean) / deviation).masked_fill(~known[..., None], 0.0), known

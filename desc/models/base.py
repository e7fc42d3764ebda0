"""The contract of every model: score items, and continue a context frame by frame.

An item is `context_length + prediction_length` consecutive frames: the first ones are the context,
the last `prediction_length` are scored, each given all frames before it. Frames go in and out as
raw static columns; inside they are standardised. Rows may be padded on the left, where `valid` is
False.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from desc.configuration import ModelConfig
from desc.descriptors.config import DescriptorConfig
from desc.devices import without_autocast
from desc.errors import ConfigurationError
from desc.models.heads import Head, create_head
from desc.models.inputs import ContextStatistics, FrameSpace
from desc.models.statistics import TrainingStatistics

CONTEXT_FRAMES = 512  # least frames read of a context, 12 s; `replay` draws from these


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network; the class of a model lists its defaults."""

    hidden_size: int
    num_layers: int
    nhead: int = 1
    dim_feedforward: int = 0


def update_cache(cache: dict[str, Tensor], name: str, dim: int, at: int, value: Tensor) -> Tensor:
    """Replace slice `at` of `dim` of a cached tensor, in place without gradients; return it."""
    if torch.is_grad_enabled():
        index = torch.tensor([at], device=value.device)
        cache[name] = cache[name].index_copy(dim, index, value.unsqueeze(dim))
    else:
        cache[name].select(dim, at).copy_(value)
    return cache[name]


Draw = Callable[[Head, Tensor], Tensor]
"""Called as draw(head, parameters): returns a value of a distribution for each row."""


def most_likely(head: Head, parameters: Tensor) -> Tensor:
    """Return the mean of a distribution."""
    return head.moments(parameters)[0]


@dataclass
class State:
    """State of a rollout between two frames, changed in place by `step`.

    Attributes
    ----------
    h : Tensor (B, H)
        Output of the network: input of the head for the next frame.
    last : Tensor (B, F)
        The last frame, standardised.
    context_stats : ContextStatistics
        Statistics of the context, fixed during a rollout.
    position : int
        Frames consumed since the context ended.
    cache : dict of Tensor
        Recurrent state, or keys and values.
    draw : Draw
        How models that plan draw their plans.
    """

    h: Tensor
    last: Tensor
    context_stats: ContextStatistics
    position: int = 0
    cache: dict[str, Tensor] = field(default_factory=dict)
    draw: Draw = most_likely


class DescriptorModel(nn.Module, ABC):
    """A distribution of the next frame of static descriptors given the frames before it.

    A subclass makes its layers in `build` and implements `forward`, `teacher_forced`, `prefill`
    and `decode_step`, which map inputs (B, T, I) to hidden vectors (…, H) for the head.
    `BlockwiseModel` adds a plan drawn for each block of frames.

    Parameters
    ----------
    model_config : ModelConfig
    descriptor_config : DescriptorConfig
    statistics : TrainingStatistics
        Statistics of the training recordings.

    Attributes
    ----------
    sizes : Sizes
        The sizes in use, the model's defaults filled in.

    Raises
    ------
    ConfigurationError
        If sizes contradict each other.
    """

    DEFAULTS: ClassVar[Sizes]
    STEPS: ClassVar[int] = 1100  # optimiser steps of a training by default
    BATCH_SIZE: ClassVar[int] = 64  # windows per step by default
    CONTINUED: ClassVar[int] = 16  # most items of a batch that are continued in training
    UNUSED: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        model_config: ModelConfig,
        descriptor_config: DescriptorConfig,
        statistics: TrainingStatistics,
    ) -> None:
        super().__init__()
        if statistics.standardizer.config != descriptor_config:
            raise ConfigurationError(
                "the statistics were fitted to descriptors with other settings"
            )
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
        width, n_components = self.sizes.hidden_size, model_config.n_components
        self.head = create_head(model_config.head, width, statistics.whitening, n_components)
        self.dropout = nn.Dropout(model_config.dropout)
        self.build()

    # Implemented by each network -------------------------------------------------------------

    @abstractmethod
    def build(self) -> None:
        """Make the layers, from `n_inputs`, `sizes` and `model_config`."""

    @property
    def read_length(self) -> int:
        """Frames before the first scored one that the network reads: by default one."""
        return 1

    @property
    def context_length(self) -> int:
        """Frames of an item before its first scored frame."""
        return self.context_size + self.read_length

    @property
    def prediction_length(self) -> int:
        """Frames of an item that are scored: by default the window."""
        return self.model_config.window_size

    @abstractmethod
    def forward(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Return h (B, prediction_length, H): the inputs of the head for the scored frames.

        Parameters
        ----------
        inputs : Tensor (B, T, I)
            T = context_length + prediction_length - 1 - context_size.
        valid : Tensor of bool (B, T)
        """

    @abstractmethod
    def teacher_forced(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Return h (B, N, H) along a context, each frame given the true frames before it.

        The target of h[:, -1] is the last frame. N is as many frames as the model can score.
        """

    def prefill(self, inputs: Tensor, valid: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Read a context (B, T, I); return h (B, H) for the next frame, and the cache."""
        raise NotImplementedError  # by models that override `start`

    def decode_step(self, inputs: Tensor, cache: dict[str, Tensor], position: int) -> Tensor:
        """Read one frame (B, I), the `position`-th after the context; return h (B, H).

        Changes the cache in place.
        """
        raise NotImplementedError  # by models that override `step`

    # Scoring ---------------------------------------------------------------------------------

    def scored(self, valid: Tensor) -> Tensor:
        """Return which of the last `prediction_length` frames are scored.

        A frame is scored where it and the frame before it are valid.

        Parameters
        ----------
        valid : Tensor of bool (B, context_length + prediction_length)

        Returns
        -------
        Tensor of bool (B, prediction_length)
        """
        return valid[:, -self.prediction_length :] & valid[:, -self.prediction_length - 1 : -1]

    def nll(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Score the last `prediction_length` frames of items, each given the frames before it.

        Parameters
        ----------
        frames : Tensor (B, context_length + prediction_length, F)
            Static columns, raw units; frames that are not valid may hold anything.
        valid : Tensor of bool (B, context_length + prediction_length)
            False where an item extends beyond its recording.

        Returns
        -------
        Tensor (B, prediction_length)
            Nats per frame in standardised units, including the log-determinant of the whitening, so
            that heads are comparable; for the head `mse` half the squared error. 0 where not
            `scored`.
        """
        x, context_stats, inputs = self.item(frames, valid)
        h = self(inputs, valid[:, self.context_length - self.read_length : -1])
        return self.score(h, x, context_stats).masked_fill(~self.scored(valid), 0.0)

    def loss(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return what training minimises instead of `nll`, of the same shape; by default `nll`."""
        return self.nll(frames, valid)

    def fit(self, items: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit, before training, what is no parameter, to frames and masks of training items."""

    def item(self, frames: Tensor, valid: Tensor) -> tuple[Tensor, ContextStatistics, Tensor]:
        """Return an item's standardised frames, statistics of its context, and network inputs."""
        length = self.context_length + self.prediction_length
        if frames.shape[1:] != (length, self.n_features):
            raise ConfigurationError(
                f"an item of {tuple(frames.shape[1:])} frames × columns must be "
                f"{(length, self.n_features)}"
            )
        first = self.context_length - self.read_length
        context = slice(first - self.context_size, first)  # gives statistics only
        with without_autocast(frames.device):
            x = self.space.standardise(frames, valid)
            context_stats = self.context_statistics(x[:, context], valid[:, context])
            # One frame more, for the first one's difference.
            edge = max(first - 1, 0)
            noisy = context_stats._replace(embedding=self.noisy(context_stats.embedding))
            inputs = self.inputs(x[:, edge:-1], valid[:, edge:-1], noisy)[:, first - edge :]
        return x, context_stats, inputs

    def score(self, h: Tensor, x: Tensor, context_stats: ContextStatistics) -> Tensor:
        """Score the last N frames of x (B, T, F), standardised, given h (B, N, H); (B, N)."""
        n, parameters = h.shape[1], self.head(self.dropout(h))
        with without_autocast(x.device):
            last, mean = x[:, -n - 1 : -1], context_stats.mean[:, None]
            innovation = x[:, -n:] - self.space.expected(last, mean)
            return self.head.score(parameters, innovation, context_stats.local_scale[:, None])

    def context_statistics(self, x: Tensor, valid: Tensor) -> ContextStatistics:
        """Return the statistics of the standardised frames (B, T, F) of a context."""
        stats = self.space.context_statistics(x, valid)
        return stats if self.context_size else stats._replace(embedding=stats.embedding[:, :0])

    def noisy(self, embedding: Tensor) -> Tensor:
        """Return the context embedding (B, S), with noise added in training."""
        spread = self.model_config.style_noise
        if not (self.training and spread):
            return embedding
        return embedding + spread * torch.randn_like(embedding)

    def inputs(self, x: Tensor, valid: Tensor, context_stats: ContextStatistics) -> Tensor:
        """Return the inputs (B, T, I) of the network for standardised frames (B, T, F)."""
        mean, local_scale, embedding = (part[:, None] for part in context_stats)
        frames = self.space.frame_inputs(x, self.space.differences(x, valid), mean, local_scale)
        return torch.cat([frames, embedding.expand(-1, x.shape[1], -1)], -1) * valid[..., None]

    # Continuing ------------------------------------------------------------------------------

    @property
    def context_frames(self) -> int:
        """Number of frames read at the end of a context; shorter contexts are padded.

        It is the same for every recording, so rounding does not depend on the length.
        """
        return max(CONTEXT_FRAMES, self.context_length + self.prediction_length)

    @property
    def replay_frames(self) -> int:
        """Number of frames at the end of a context whose innovations are replayed."""
        return self.context_frames

    def read(
        self, context: Tensor, valid: Tensor, length: int | None = None
    ) -> tuple[Tensor, Tensor, ContextStatistics, Tensor]:
        """Prepare the last frames of a context (B, T, F), padded if there are too few.

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
        context_stats : ContextStatistics
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
        context_stats = self.context_statistics(x[:, tail:], valid[:, tail:])
        # One frame more, for the first one's difference.
        inputs = self.inputs(x[:, -length - 1 :], valid[:, -length - 1 :], context_stats)
        return x, valid, context_stats, inputs[:, -length:]

    def start(
        self, context: Tensor, valid: Tensor, length: int | None = None, draw: Draw = most_likely
    ) -> State:
        """Read a context; the state's `h` belongs to the frame after it.

        Parameters
        ----------
        context : Tensor (B, T, F)
            Static columns of complete frames, raw units, padded on the left.
        valid : Tensor of bool (B, T)
        length : int, optional
            Frames the network reads, at least `window_size`; by default `context_frames`.
        draw : Draw
            How plans are drawn, by models that plan.
        """
        x, valid, context_stats, inputs = self.read(context, valid, length)
        h, cache = self.prefill(inputs, valid[:, -inputs.shape[1] :])
        return State(h, x[:, -1], context_stats, 0, cache, draw)

    def step(self, frame: Tensor, state: State) -> None:
        """Read the next frame (B, F), standardised, and change the state in place."""
        inputs = self.advance(frame, state)
        state.h = self.decode_step(inputs, state.cache, state.position)

    def advance(self, frame: Tensor, state: State) -> Tensor:
        """Count the next frame (B, F), standardised; return the network's input (B, I)."""
        mean, local_scale, embedding = state.context_stats
        inputs = self.space.frame_inputs(frame, frame - state.last, mean, local_scale)
        state.position += 1
        state.last = frame
        return torch.cat([inputs, embedding], -1)

    def next_frame(self, u: Tensor, state: State) -> Tensor:
        """Return the next frame (B, F), standardised, given its whitened innovation.

        It is clipped to the range of the training recordings.
        """
        with without_autocast(u.device):
            expected = self.space.expected(state.last, state.context_stats.mean)
            frame = expected + self.head.unwhiten(u.float()) * state.context_stats.local_scale
            return torch.clamp(frame, self.space.low, self.space.high)

    def innovations(self, context: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return the innovations of a context: prediction errors in units of predicted deviations.

        Returns
        -------
        z : Tensor (B, N, F)
            (whitened innovation - mean) / deviation of the head.
        known : Tensor of bool (B, N)
        """
        x, valid, context_stats, inputs = self.read(context, valid, self.replay_frames)
        h = self.teacher_forced(inputs, valid[:, -inputs.shape[1] :])
        n = h.shape[1]
        mean, deviation = self.head.moments(self.head(h))
        innovation = x[:, 1:] - self.space.expected(x[:, :-1], context_stats.mean[:, None])
        u = self.head.whiten(innovation / context_stats.local_scale[:, None])[:, -n:]
        known = (valid[:, 1:] & valid[:, :-1])[:, -n:]
        return ((u - mean) / deviation).masked_fill(~known[..., None], 0.0), known

    def plan_innovations(self, context: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return the innovations (B, K, P) of the plans of a context, 0 where not known, (B, K).

        They are (change of the plan - mean) / deviation of the planner. Without plans K is 0.
        """
        return context.new_zeros(len(context), 0, 0), valid[:, :0]

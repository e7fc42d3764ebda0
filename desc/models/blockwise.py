"""`BlockwiseModel`: encoder-decoder models that forecast blocks of `forecast_size` frames."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from desc.models.base import (
    CONTEXT_FRAMES,
    DescriptorModel,
    Draw,
    State,
    most_likely,
    update_cache,
)
from desc.models.inputs import ContextStatistics
from desc.models.planner import HISTORY, Block, Planner

OVERLAP = 3  # one frame in so many of the window is the decoder's
PLAN_NOISE = 0.4  # standard deviation of the noise on the plans that the decoder learns from
DRAWS = 16  # plans over which a likelihood is averaged
POSITION = 2  # inputs beside the plan: whether there is one, and the place in the block


class BlockwiseModel(DescriptorModel):
    """Base of the encoder-decoder models.

    The encoder reads the first frames of the window, the decoder its last frames and the forecast.
    The decoder is also scored on the last frames of the window. Otherwise it would start the
    forecast without a state of its own, and its first frames would be poor. After `forecast_size`
    frames the window, now ending with generated frames, is encoded again, so time stays linear in
    the number of frames. A subclass implements `encode`, `decode` and `decoder_step`.

    With a `plan_size` the decoder also reads a plan of the forecast's
    `forecast_size` frames. It is drawn once for all of them from a `Planner`, which sees the plans
    of the blocks before. In the window the decoder has no plan.

    A model that plans is trained by a bound of its likelihood (`loss`), as a variational
    autoencoder whose encoder is fixed: the posterior of a block's plan is a normal distribution
    with deviation `PLAN_NOISE` around the plan of its real frames (Kingma & Welling 2014).
    """

    def build(self) -> None:
        """Make the planner; a subclass adds its layers."""
        size = min(self.model_config.plan_size, 3 * self.n_features)
        dropout = self.model_config.dropout
        self.planner = Planner(self.n_features, size, dropout) if size else None
        self.n_decoder_inputs = self.n_inputs + (size + POSITION if size else 0)

    @property
    def overlap(self) -> int:
        """Last frames of the window that the decoder reads instead of the encoder."""
        return self.model_config.window_size // OVERLAP

    @property
    def read_length(self) -> int:
        """First frames of the window, which the encoder reads."""
        return self.model_config.window_size - self.overlap

    @property
    def history(self) -> int:
        """Frames before a forecast of whose plans the next one is predicted."""
        return HISTORY * self.model_config.forecast_size if self.planner else 0

    @property
    def context_length(self) -> int:
        """Frames of the context statistics and of the encoder, or of the plans."""
        return max(super().context_length, self.history - self.overlap)

    @property
    def prediction_length(self) -> int:
        """Frames of the decoder: the end of the window and the forecast."""
        return self.overlap + self.model_config.forecast_size

    @property
    def replay_frames(self) -> int:
        """Frames of the end of the context, however long the history of plans."""
        if self.planner is None:
            return super().replay_frames
        return max(CONTEXT_FRAMES, self.model_config.window_size + self.model_config.forecast_size)

    @abstractmethod
    def encode(self, inputs: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Read the first frames of a window (B, read_length, I); return the decoder's cache."""

    @abstractmethod
    def decode(self, inputs: Tensor, valid: Tensor, cache: dict[str, Tensor]) -> Tensor:
        """Read frames (B, T, n_decoder_inputs); return h (B, T, H) for the next frames.

        T is at most prediction_length. The first input is the last encoded frame. The cache is
        ready for a step afterwards.
        """

    @abstractmethod
    def decoder_step(self, inputs: Tensor, cache: dict[str, Tensor], i: int) -> Tensor:
        """Read the decoder's input i (B, …); return h (B, H). Changes the cache in place."""

    # Scoring ---------------------------------------------------------------------------------

    def forward(self, inputs: Tensor, valid: Tensor, plan: Tensor | None = None) -> Tensor:
        """Encode the window's first frames, decode the others and the forecast, with its plan."""
        n = self.read_length
        cache = self.encode(inputs[:, :n], valid[:, :n])
        return self.decode(self.with_plan(inputs[:, n - 1 :], plan), valid[:, n - 1 :], cache)

    def with_plan(self, inputs: Tensor, plan: Tensor | None, first: int = 0) -> Tensor:
        """Append a plan (B, P) to the decoder's inputs (B, T, I), and the place in the block.

        `first` is the number of the first of these inputs. In the window, and without a plan, all
        are zeros.
        """
        if self.planner is None:
            return inputs
        n_rows, n = inputs.shape[:2]
        i = torch.arange(first - self.overlap, first - self.overlap + n, device=inputs.device)
        planned = ((i >= 0) & (plan is not None)).float()
        place = (i + 1) / self.model_config.forecast_size
        columns = (torch.stack([planned, planned * place], -1)).expand(n_rows, -1, -1)
        if plan is None:
            plan = inputs.new_zeros(n_rows, self.planner.size)
        return torch.cat([inputs, plan[:, None] * planned[:, None], columns], -1)

    def in_blocks(self, x: Tensor) -> Tensor:
        """Return frames x (B, M · L, …) as (B, M, L, …)."""
        return x.reshape(len(x), -1, self.model_config.forecast_size, *x.shape[2:])

    def blocks(self, x: Tensor, context_stats: ContextStatistics) -> Block:
        """Return the blocks (B, M, L, F) of standardised frames x (B, M · L, F)."""
        statics = self.in_blocks(x - context_stats.mean[:, None])
        unit = self.space.difference_scale * context_stats.local_scale
        return Block(statics, torch.diff(statics, dim=2) / unit[:, None, None])

    def past(
        self, x: Tensor, valid: Tensor, context_stats: ContextStatistics
    ) -> tuple[Tensor, Tensor]:
        """Return the plans (B, M, P) of the blocks that frames (B, T, F) end with, 0 if not known.

        The second value is which are known, (B, M).
        """
        assert self.planner is not None
        known = self.in_blocks(valid[:, -self.history :]).all(2)
        blocks = self.blocks(x[:, -self.history :], context_stats)
        return self.planner.plans(blocks) * known[..., None], known

    def planned(
        self, x: Tensor, valid: Tensor, context_stats: ContextStatistics
    ) -> tuple[Tensor, Tensor]:
        """Return the planner's prediction for the forecast of an item (B, T, F), standardised."""
        assert self.planner is not None
        size = self.model_config.forecast_size
        past = self.past(x[:, :-size], valid[:, :-size], context_stats)
        prediction: tuple[Tensor, Tensor] = self.planner(*past, x[:, -2 * size : -size])
        return prediction

    def loss(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return an upper bound of the negative log-likelihood; see the class.

        The cost of a plan is spread over the frames of its block. A block that is not whole has
        the mean plan.
        """
        if self.planner is None:
            return self.nll(frames, valid)
        x, context_stats, inputs = self.item(frames, valid)
        size, head = self.model_config.forecast_size, self.planner.head
        parameters, former = self.planned(x, valid, context_stats)
        plan = self.planner.plans(self.blocks(x[:, -size:], context_stats))[:, 0]
        plan = plan + PLAN_NOISE * self.plan_noise(plan)
        whole = valid[:, -size:].all(1, keepdim=True)
        entropy = plan.shape[1] * (math.log(PLAN_NOISE) + 0.5 * math.log(2 * math.pi * math.e))
        cost = -head.log_prob(parameters, plan - former) - entropy
        plan = plan.where(whole, former + most_likely(head, parameters))
        h = self(inputs, valid[:, self.context_length - self.read_length : -1], plan)
        score = self.score(h, x, context_stats)
        spread = (cost[:, None] * whole / size).expand(-1, size)
        score = score + torch.nn.functional.pad(spread, (self.overlap, 0))
        return score.masked_fill(~self.scored(valid), 0.0)

    def plan_noise(self, plan: Tensor) -> Tensor:
        """Return normal noise like a plan (B, P); outside of training always the same."""
        if self.training:
            return torch.randn_like(plan)
        generator = torch.Generator().manual_seed(0)
        return torch.randn(plan.shape, generator=generator).to(plan.device)

    def nll(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Score frames as every model does: each given the frames before it, but no plan.

        The likelihood of a frame is its mean over `DRAWS` plans, drawn before the block begins and
        weighted by the likelihood of the block's earlier frames.
        """
        if self.planner is None:
            return super().nll(frames, valid)
        x, context_stats, inputs = self.item(frames, valid)
        scored = self.scored(valid)
        read = valid[:, self.context_length - self.read_length : -1]
        n = self.read_length
        encoded = self.encode(inputs[:, :n], read[:, :n])
        scores = []
        for plan in self.possible_plans(x, valid, context_stats):
            planned = self.with_plan(inputs[:, n - 1 :], plan)
            h = self.decode(planned, read[:, n - 1 :], dict(encoded))
            scores.append(self.score(h, x, context_stats).masked_fill(~scored, 0.0))
        evidence = torch.logsumexp(-torch.stack(scores).cumsum(-1), 0) - math.log(len(scores))
        before = torch.nn.functional.pad(evidence[:, :-1], (1, 0))
        return (before - evidence).masked_fill(~scored, 0.0)

    def possible_plans(
        self, x: Tensor, valid: Tensor, context_stats: ContextStatistics
    ) -> Iterator[Tensor]:
        """Yield plans (B, P) of an item's forecast given its history, the same each time."""
        assert self.planner is not None
        head = self.planner.head
        parameters, former = self.planned(x, valid, context_stats)
        for noise in head.noise(torch.Generator().manual_seed(0), DRAWS).to(x.device):
            yield former + head.sample(parameters, noise.expand(len(x), -1))

    def fit(self, items: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the principal components of plans to the forecasts of training items."""
        if self.planner is not None:
            self.planner.fit(self._forecasts(items))

    def _forecasts(self, items: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Block]:
        size = self.model_config.forecast_size
        for frames, valid in items:
            x, context_stats, _ = self.item(frames, valid)
            whole = valid[:, -size:].all(1)
            statics, steps = self.blocks(x[:, -size:], context_stats)
            yield Block(statics[whole, 0], steps[whole, 0])

    def teacher_forced(self, inputs: Tensor, valid: Tensor) -> Tensor:
        """Forecast the context's frames block by block, the last block ending with it.

        The plans are those of the real blocks: innovations that are replayed belong to a known
        plan.
        """
        n_frames = inputs.shape[1]
        w, size = self.model_config.window_size, self.model_config.forecast_size
        n_blocks = (n_frames - w) // size
        starts = n_frames - w - size * torch.arange(n_blocks, 0, -1)
        index = (starts[:, None] + torch.arange(w + size)).flatten()  # (n_blocks · (w + size))
        blocks = inputs[:, index].reshape(-1, w + size, inputs.shape[2])
        known = valid[:, index].reshape(-1, w + size)
        plan = None
        if self.planner is not None:
            statics, squashed = blocks[:, w:, : 2 * self.n_features].chunk(2, -1)
            block = Block(statics, 2 * torch.sinh(squashed[:, 1:] / 2))
            plan = self.planner.plans(block) * known[:, w:].all(1, keepdim=True)
        h: Tensor = self(blocks[:, :-1], known[:, :-1], plan)
        return h[:, -size:].reshape(len(inputs), n_blocks * size, -1)

    def plan_innovations(self, context: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the plans of the blocks of `teacher_forced`, each from the blocks before."""
        if self.planner is None:
            return super().plan_innovations(context, valid)
        size = self.model_config.forecast_size
        n_blocks = (self.replay_frames - self.model_config.window_size) // size
        x, valid, context_stats, _ = self.read(context, valid)
        missing = max(0, self.history + n_blocks * size - x.shape[1])
        x = torch.nn.functional.pad(x, (0, 0, missing, 0))
        valid = torch.nn.functional.pad(valid, (missing, 0))
        innovations, known = [], []
        for end in range(x.shape[1] - (n_blocks - 1) * size, x.shape[1] + 1, size):
            parameters, former = self.planned(x[:, :end], valid[:, :end], context_stats)
            plan = self.planner.plans(self.blocks(x[:, end - size : end], context_stats))[:, 0]
            mean, deviation = self.planner.head.moments(parameters)
            both = valid[:, end - 2 * size : end].all(1)
            innovations.append((plan - former - mean) / deviation * both[:, None])
            known.append(both)
        return torch.stack(innovations, 1), torch.stack(known, 1)

    # Continuing ------------------------------------------------------------------------------

    def start(
        self,
        context: Tensor,
        valid: Tensor,
        length: int | None = None,
        draw: Draw = most_likely,
    ) -> State:
        """Read the last window of the context, and the plans of its last blocks."""
        w, size = self.model_config.window_size, self.model_config.forecast_size
        length = max(length or self.context_frames, self.history)
        missing = max(0, length - context.shape[1])
        context = torch.nn.functional.pad(context, (0, 0, missing, 0))
        valid = torch.nn.functional.pad(valid, (missing, 0))
        x, valid, context_stats, inputs = self.read(context, valid, w)
        # The window, and space for the frames up to the next encoding.
        room = inputs.new_zeros(len(inputs), size, inputs.shape[2])
        cache = {
            "recent": torch.cat([inputs[:, -w:], room], 1),
            "present": torch.cat(
                [valid[:, -w:], torch.ones_like(room[..., 0], dtype=torch.bool)], 1
            ),
        }
        if self.planner is not None:
            cache["plans"], cache["known"] = self.past(x, valid, context_stats)
            cache["block"] = x[:, -size:].clone()
        state = State(inputs[:, -1], x[:, -1], context_stats, 0, cache, draw)
        self.begin_block(state)
        return state

    def begin_block(self, state: State) -> None:
        """Draw the plan of the next block, and read the window."""
        cache, w, n = state.cache, self.model_config.window_size, self.read_length
        if self.planner is not None:
            parameters, former = self.planner(cache["plans"], cache["known"], cache["block"])
            cache["plan"] = former + state.draw(self.planner.head, parameters)
        window, present = cache["recent"][:, :w], cache["present"][:, :w]
        cache.update(self.encode(window[:, :n], present[:, :n]))
        planned = self.with_plan(window[:, n - 1 :], cache.get("plan"))
        state.h = self.decode(planned, present[:, n - 1 :], cache)[:, -1]

    def step(self, frame: Tensor, state: State) -> None:
        """Step the decoder; every `forecast_size` frames draw a plan and read the window again."""
        inputs, cache = self.advance(frame, state), state.cache
        w, size = self.model_config.window_size, self.model_config.forecast_size
        i, at = state.position % size, (state.position - 1) % size
        update_cache(cache, "recent", 1, w + at, inputs)
        if self.planner is not None:
            update_cache(cache, "block", 1, at, frame)
        if i:
            planned = self.with_plan(inputs[:, None], cache.get("plan"), self.overlap + i)[:, 0]
            state.h = self.decoder_step(planned, cache, self.overlap + i)
            return
        if self.planner is not None:
            plan = self.planner.plans(self.blocks(cache["block"], state.context_stats))
            known = torch.ones_like(cache["known"][:, :1])
            for name, value in (("plans", plan), ("known", known)):
                cache[name] = torch.cat([cache[name][:, 1:], value], 1)
        for name in ("recent", "present"):
            cache[name] = cache[name].roll(-size, 1)
        cache["present"][:, w:] = True
        self.begin_block(state)

"""Rollouts: sample the continuation of a context frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from desc.configuration import Sampling, check, check_integer
from desc.models.base import DescriptorModel, Draw
from desc.models.heads import Head
from desc.models.replay import context_period, replayed_positions
from desc.progress import report

BLOCK = 256  # frames whose noise is drawn at once, whatever the number of steps
READ_ROWS = 32  # contexts whose innovations are computed at once, which bounds the memory


def noise_blocks(model: DescriptorModel, generators: list[torch.Generator]) -> Iterator[Tensor]:
    """Yield the noise of `BLOCK` frames (BLOCK, B, N), drawn on the CPU row by row."""
    while True:
        rows = [model.head.noise(generator, BLOCK) for generator in generators]
        yield torch.stack(rows, 1).to(model.space.mean.device)


def replayed_blocks(
    model: DescriptorModel,
    context: Tensor,
    valid: Tensor,
    mean_length: float,
    generators: list[torch.Generator],
) -> Iterator[Tensor]:
    """Yield the contexts' innovations for `BLOCK` frames (BLOCK, G, F), in replayed stretches.

    See `desc.models.replay`; parameters as in `continuation`.
    """
    rows_at_once = (slice(i, i + READ_ROWS) for i in range(0, len(context), READ_ROWS))
    read = [model.innovations(context[some], valid[some]) for some in rows_at_once]
    z, known = (torch.cat(each) for each in zip(*read, strict=True))
    # Contexts are padded on the left: the known innovations are a row's last ones.
    counts = known.sum(1).clamp(min=1).tolist()
    periods = [
        context_period(
            frames[present][-model.replay_frames :].cpu().numpy(), model.statistics.standardizer
        )
        for frames, present in zip(context, valid, strict=True)
    ]
    rows = row_of_each(context, generators)
    places = [
        replayed_positions(counts[row], mean_length, periods[row], partial(uniform, generator))
        for row, generator in zip(rows.tolist(), generators, strict=True)
    ]
    first = z.shape[1] - torch.tensor(counts, device=z.device)[rows, None]
    while True:
        index = torch.tensor([list(islice(positions, BLOCK)) for positions in places])
        yield z[rows[:, None], first + index.to(z.device)].transpose(0, 1)


def row_of_each(context: Tensor, generators: list[torch.Generator]) -> Tensor:
    """Return the context's row (G,) of each generator; those of a row are side by side."""
    rows = torch.arange(len(context), device=context.device)
    return rows.repeat_interleave(len(generators) // len(context))


def uniform(generator: torch.Generator, n: int) -> list[float]:
    """Draw n uniform random numbers from 0 to 1."""
    numbers: list[float] = torch.rand(n, generator=generator).tolist()
    return numbers


def drawn_plans(generators: list[torch.Generator], temperature: Callable[[], float]) -> Draw:
    """Return a function that draws plans from the planner."""

    def draw(head: Head, parameters: Tensor) -> Tensor:
        noise = torch.cat([head.noise(generator, 1) for generator in generators])
        return head.draw(parameters, noise.to(parameters.device), temperature())

    return draw


def replayed_plans(
    model: DescriptorModel,
    context: Tensor,
    valid: Tensor,
    generators: list[torch.Generator],
    temperature: Callable[[], float],
) -> Draw:
    """Return a function that draws plans by the innovations of random blocks of the context."""
    z, known = model.plan_innovations(context, valid)
    rows = row_of_each(context, generators)

    def draw(head: Head, parameters: Tensor) -> Tensor:
        place = torch.cat([torch.rand(1, generator=generator) for generator in generators])
        # Contexts are padded on the left: the known blocks are a row's last ones.
        back = (place.to(z.device) * known.sum(1)[rows]).long()
        return head.replay(parameters, z[rows, z.shape[1] - 1 - back], temperature())

    return draw


class Rollout:
    """Continuations of contexts, frame by frame, in constant memory.

    Parameters
    ----------
    model : DescriptorModel
        In evaluation mode.
    context : Tensor (B, T, F)
        Static columns of complete frames, raw units, padded on the left; any T.
    valid : Tensor of bool (B, T)
    sampling : Sampling
        How innovations are sampled; its seed and draw are those of `generators`.
    generators : list of torch.Generator
        One per continuation, on the CPU: one for each row, or the same number for each, those of a
        row side by side.

    Attributes
    ----------
    temperature : float
        Spread of the frames to come; it may be changed at any time.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: DescriptorModel,
        context: Tensor,
        valid: Tensor,
        sampling: Sampling,
        generators: list[torch.Generator],
    ) -> None:
        device = model.space.mean.device
        context, valid = context.to(device), valid.to(device)
        recent = slice(-model.context_frames, None)
        gain = model.space.gain(context[:, recent], valid[:, recent])
        context = model.space.shifted(context, -gain)
        rows = row_of_each(context, generators)
        self._model, self._gain = model, gain[rows]
        self.temperature = 0.0 if sampling.is_mean else sampling.temperature
        replay = sampling.sampling == "replay" and not sampling.is_mean
        self._draw = model.head.replay if replay else model.head.draw
        if replay:
            self._blocks = replayed_blocks(model, context, valid, sampling.replay_block, generators)
            plans = replayed_plans(model, context, valid, generators, lambda: self.temperature)
        else:
            self._blocks = noise_blocks(model, generators)
            plans = drawn_plans(generators, lambda: self.temperature)
        self._state = model.start(context[rows], valid[rows], draw=plans)
        self._n_drawn = 0
        self._last: Tensor | None = None

    def next(self, heard: Tensor | None = None) -> Tensor:
        """Return the next frame of each continuation (G, F), standardised; see `raw`.

        Call it inside `torch.inference_mode()`: entering that takes a twelfth of a frame's time.

        Parameters
        ----------
        heard : Tensor (G, F), optional
            A frame in raw units that took the place of the last one.
        """
        last = self._last if heard is None else self._placed(heard)
        if last is not None:
            self._model.step(last, self._state)
        if self._n_drawn % BLOCK == 0:
            self._block = next(self._blocks)
        parameters = self._model.head(self._state.h)
        u = self._draw(parameters, self._block[self._n_drawn % BLOCK], self.temperature)
        self._last = self._model.next_frame(u, self._state)
        self._n_drawn += 1
        return self._last

    @torch.inference_mode()
    def raw(self, frames: Tensor) -> Tensor:
        """Return frames (G, T, F) in raw units, at the level of the context."""
        space = self._model.space
        return space.shifted(space.restore(frames), self._gain)

    def _placed(self, heard: Tensor) -> Tensor:
        """Return raw frames (G, F) standardised, at the level of the training recordings."""
        space, whole = self._model.space, torch.ones(len(heard), 1, dtype=torch.bool)
        frames = space.shifted(heard[:, None], -self._gain)
        return space.standardise(frames, whole.to(heard.device))[:, 0]


@torch.inference_mode()
def continuation(
    model: DescriptorModel,
    context: Tensor,
    valid: Tensor,
    frames: int,
    sampling: Sampling = Sampling(),
    *,
    generators: list[torch.Generator],
) -> Tensor:
    """Continue contexts for any number of frames, in linear time.

    The first frames of a longer continuation are those of a shorter one. Progress is reported as
    stage `predict`, in frames.

    Parameters
    ----------
    model : DescriptorModel
        In training or evaluation mode; the mode is kept.
    context, valid, sampling, generators
        See `Rollout`. A result depends on other rows by rounding only; for equal bytes continue
        rows one by one, as `desc.prediction` does.
    frames : int
        Frames to generate, at least 1.

    Returns
    -------
    Tensor (G, frames, F)
        One for each generator. Raw units, within the range of the training recordings. A context
        far louder or quieter than these is continued at their mean level, then shifted back.
    """
    check_integer("frames", frames, 1)
    n_rows = len(context)
    whole = len(generators) > 0 and len(generators) % n_rows == 0
    check(whole, "generators", len(generators), f"be a multiple of the rows, {n_rows}")
    check(bool(valid[:, -1].all()), "valid", False, "contain the last frame of every row")
    generated = context.new_empty(len(generators), frames, model.n_features, dtype=torch.float32)
    generated, is_training = generated.to(model.space.mean.device), model.training
    model.eval()
    try:
        rollout = Rollout(model, context, valid, sampling, generators)
        for t in range(frames):
            if t % BLOCK == 0:
                report("predict", t, frames)
            generated[:, t] = rollout.next()
    finally:
        model.train(is_training)
    report("predict", frames, frames)
    return rollout.raw(generated)


def free_run(
    model: DescriptorModel, context: Tensor, valid: Tensor, steps: int, *, length: int
) -> Tensor:
    """Continue contexts by plain samples through which gradients flow.

    Which component of a mixture is drawn has no gradient; its mean and deviation have.

    Parameters
    ----------
    model : DescriptorModel
    context : Tensor (B, T, F)
        Static columns, raw units, padded on the left.
    valid : Tensor of bool (B, T)
    steps : int
    length : int
        Frames of the context that the network reads; its statistics are those of all it needs.

    Returns
    -------
    Tensor (B, steps, F)
        Standardised. Drawn with torch's global generator.
    """
    n_rows = len(context)
    noise = model.head.noise(torch.default_generator, steps * n_rows)
    noise = noise.reshape(steps, n_rows, -1).to(context.device)

    def draw_plan(head: Head, parameters: Tensor) -> Tensor:
        return head.sample(parameters, head.noise(torch.default_generator, n_rows).to(noise.device))

    state = model.start(context, valid, length, draw_plan)
    frames = []
    for t in range(steps):
        u = model.head.sample(model.head(state.h), noise[t])
        frames.append(model.next_frame(u, state))
        if t + 1 < steps:
            model.step(frames[-1], state)
    return torch.stack(frames, 1)

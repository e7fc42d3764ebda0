"""Rollouts: sample the continuation of a context frame by frame."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from desc.configuration import Sampling, check, check_integer
from desc.models.base import DescriptorModel
from desc.progress import report

BLOCK = 256  # frames whose noise is drawn at once, whatever the number of steps


class Source(Protocol):
    """A source of whitened innovations."""

    def refill(self) -> None:
        """Prepare the next `BLOCK` frames."""

    def draw(self, parameters: Tensor, i: int) -> Tensor:
        """Return the whitened innovation (B, F) of frame i of the block."""


class PlainSource:
    """Draws from the head, with noise made on the CPU row by row."""

    def __init__(
        self, model: DescriptorModel, sampling: Sampling, generators: list[torch.Generator]
    ) -> None:
        self.head = model.head
        self.generators = generators
        self.temperature = sampling.temperature
        self.device = model.space.mean.device

    def refill(self) -> None:
        """Draw the noise of a block, (BLOCK, B, N)."""
        rows = [self.head.noise(generator, BLOCK) for generator in self.generators]
        self.noise = torch.stack(rows, 1).to(self.device)

    def draw(self, parameters: Tensor, i: int) -> Tensor:
        """Return a sample of the head."""
        return self.head.draw(parameters, self.noise[i], self.temperature)


class MeanSource:
    """Follows the mean."""

    def __init__(self, model: DescriptorModel) -> None:
        self.head = model.head

    def refill(self) -> None:
        """Do nothing."""

    def draw(self, parameters: Tensor, i: int) -> Tensor:  # noqa: ARG002
        """Return the head's mean."""
        return self.head.moments(parameters)[0]


class ReplaySource:
    """Takes a context's standardised innovations in blocks of geometric length.

    A block starts anywhere in the context and ends with probability 1/`block` at each frame, or
    with the context.
    """

    def __init__(
        self,
        model: DescriptorModel,
        sampling: Sampling,
        generators: list[torch.Generator],
        innovations: tuple[Tensor, Tensor],
    ) -> None:
        self.head = model.head
        self.generators = generators
        self.temperature = sampling.temperature
        self.z, known = innovations  # (B, N, F), (B, N)
        # Contexts are padded on the left: the known innovations are a row's last ones.
        self.counts = known.sum(1).tolist()
        self.block = sampling.replay_block
        self.next = [-1] * len(generators)
        self.rows = torch.arange(len(generators), device=self.z.device)

    def refill(self) -> None:
        """Choose the innovations of a block, (BLOCK, B, F)."""
        n = self.z.shape[1]
        index = []
        for row, generator in enumerate(self.generators):
            count = max(1, int(self.counts[row]))
            jumps = (torch.rand(BLOCK, generator=generator) * self.block < 1).tolist()
            starts = (torch.rand(BLOCK, generator=generator) * count).long().tolist()
            at, path = self.next[row], []
            for jump, start in zip(jumps, starts, strict=True):
                if jump or not 0 <= at < count:
                    at = min(start, count - 1)
                path.append(n - count + at)
                at += 1
            self.next[row] = at
            index.append(path)
        chosen = torch.tensor(index, device=self.z.device)  # (B, BLOCK)
        self.innovation = self.z[self.rows[:, None], chosen].transpose(0, 1)

    def draw(self, parameters: Tensor, i: int) -> Tensor:
        """Return mean + temperature · deviation · innovation."""
        mean, deviation = self.head.moments(parameters)
        return mean + self.temperature * deviation * self.innovation[i]


def create_source(
    model: DescriptorModel,
    context: Tensor,
    valid: Tensor,
    sampling: Sampling,
    generators: list[torch.Generator],
) -> Source:
    """Return the source of innovations for the settings."""
    if sampling.is_mean:
        return MeanSource(model)
    if sampling.sampling == "plain":
        return PlainSource(model, sampling, generators)
    return ReplaySource(model, sampling, generators, model.innovations(context, valid))


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
    """Continue contexts for any number of frames, in linear time and constant memory.

    The first frames of a longer continuation are those of a shorter one. Progress is reported as
    stage `predict`, in frames.

    Parameters
    ----------
    model : DescriptorModel
        In training or evaluation mode; the mode is kept.
    context : Tensor (B, T, F)
        Static columns of complete frames, raw units, padded on the left; any T.
    valid : Tensor of bool (B, T)
    frames : int
        Frames to generate, at least 1.
    sampling : Sampling
        How innovations are sampled; its seed and draw are those of `generators`.
    generators : list of torch.Generator
        One per row, on the CPU. A row's result depends on other rows by rounding only; for
        equal bytes continue rows one by one, as `desc.prediction` does.

    Returns
    -------
    Tensor (B, frames, F)
        Raw units, within the range of the training recordings.
    """
    check_integer("frames", frames, 1)
    n_rows = len(context)
    check(len(generators) == n_rows, "generators", len(generators), f"be one per row, {n_rows}")
    check(bool(valid[:, -1].all()), "valid", False, "contain the last frame of every row")
    device, is_training = model.space.mean.device, model.training
    context, valid = context.to(device), valid.to(device)
    generated = context.new_empty(n_rows, frames, model.n_features, dtype=torch.float32)
    model.eval()
    try:
        source = create_source(model, context, valid, sampling, generators)
        state = model.start(context, valid)
        for t in range(frames):
            if t % BLOCK == 0:
                source.refill()
                report("predict", t, frames)
            u = source.draw(model.head(state.h), t % BLOCK)
            generated[:, t] = frame = model.next_frame(u, state)
            if t + 1 < frames:
                model.step(frame, state)
    finally:
        model.train(is_training)
    report("predict", frames, frames)
    return model.space.restore(generated)


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
    state = model.start(context, valid, length)
    frames = []
    for t in range(steps):
        u = model.head.sample(model.head(state.h), noise[t])
        frames.append(model.next_frame(u, state))
        if t + 1 < steps:
            model.step(frames[-1], state)
    return torch.stack(frames, 1)

"""Rollouts: sample the continuation of a context frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from desc.configuration import Sampling, check, check_integer
from desc.models.base import DescriptorModel
from desc.models.heads import Head
from desc.progress import report

BLOCK = 256  # frames whose noise is drawn at once, whatever the number of steps


def noise_blocks(model: DescriptorModel, generators: list[torch.Generator]) -> Iterator[Tensor]:
    """Yield the noise of `BLOCK` frames (BLOCK, B, N), drawn on the CPU row by row."""
    while True:
        rows = [model.head.noise(generator, BLOCK) for generator in generators]
        yield torch.stack(rows, 1).to(model.space.mean.device)


def replayed_blocks(
    z: Tensor, known: Tensor, mean_length: float, generators: list[torch.Generator]
) -> Iterator[Tensor]:
    """Yield the context's innovations for `BLOCK` frames (BLOCK, B, F), in replayed stretches.

    A stretch starts anywhere in the context and ends with probability 1/`mean_length` at each
    frame, or with the context.

    Parameters
    ----------
    z : Tensor (B, N, F)
        Innovations of the context; see `DescriptorModel.innovations`.
    known : Tensor of bool (B, N)
    mean_length : float
        In frames.
    generators : list of torch.Generator
        One per row.
    """
    n = z.shape[1]
    # Contexts are padded on the left: the known innovations are a row's last ones.
    counts = known.sum(1).clamp(min=1).tolist()
    following = [-1] * len(generators)
    rows = torch.arange(len(generators), device=z.device)[:, None]
    while True:
        index = []
        for row, (generator, count) in enumerate(zip(generators, counts, strict=True)):
            jumps = (torch.rand(BLOCK, generator=generator) * mean_length < 1).tolist()
            starts = (torch.rand(BLOCK, generator=generator) * count).long().tolist()
            for jump, start in zip(jumps, starts, strict=True):
                if jump or not 0 <= following[row] < count:
                    following[row] = min(start, count - 1)
                index.append(n - count + following[row])
                following[row] += 1
        chosen = torch.tensor(index, device=z.device).reshape(-1, BLOCK)  # (B, BLOCK)
        yield z[rows, chosen].transpose(0, 1)


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
    temperature = 0.0 if sampling.is_mean else sampling.temperature
    replay = sampling.sampling == "replay" and not sampling.is_mean
    draw = model.head.replay if replay else model.head.draw

    def draw_plan(head: Head, parameters: Tensor) -> Tensor:
        noise = torch.cat([head.noise(generator, 1) for generator in generators])
        return head.draw(parameters, noise.to(device), temperature)

    model.eval()
    try:
        if replay:
            z, known = model.innovations(context, valid)
            blocks = replayed_blocks(z, known, sampling.replay_block, generators)
        else:
            blocks = noise_blocks(model, generators)
        state = model.start(context, valid, draw=draw_plan)
        for t in range(frames):
            if t % BLOCK == 0:
                block = next(blocks)
                report("predict", t, frames)
            u = draw(model.head(state.h), block[t % BLOCK], temperature)
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

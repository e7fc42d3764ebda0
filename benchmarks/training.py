"""Gathering of windows, compared with a Dataset and DataLoader, and the time of a training step.

    python benchmarks/training.py                                  # LSTM, 4 h of frames made here
    python benchmarks/training.py --selected_model TransformerModel --hours 20

One thread, processor seconds, the least of some passes taken in turn; with and without the frames
whose statistics condition the model. The baseline's Dataset cuts and pads one item; the DataLoader
shuffles and collates, in the same process, because at this size workers do not pay off. Both yield
the same items in batches of the same size.
"""

from __future__ import annotations

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from desc.configuration import ModelConfig, TrainConfig
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.models import MODELS, create_model
from desc.models.base import DescriptorModel
from desc.models.statistics import fit_statistics
from desc.training.data import TrainingData
from desc.training.task import DescriptorTask
from desc.training.windows import FrameTable, TrainingGrid, batches_per_epoch

CONFIG = DescriptorConfig()
MINUTES = 4  # of a recording
REPEATS = 5


class ItemDataset(Dataset):
    """One item at a time: cut from its recording, padded, masked."""

    def __init__(
        self,
        recordings: list[torch.Tensor],
        starts: np.ndarray,
        context_length: int,
        prediction_length: int,
    ) -> None:
        self.recordings = recordings
        self.context_length, self.prediction_length = context_length, prediction_length
        ends = np.cumsum([len(x) for x in recordings])
        files = np.searchsorted(ends, starts, side="right")
        begins = ends - [len(x) for x in recordings]
        self.items = [(int(f), int(s - begins[f])) for f, s in zip(files, starts, strict=True)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        file, start = self.items[i]
        recording = self.recordings[file]
        first, stop = start - self.context_length, start + self.prediction_length
        frames = recording[max(0, first) : stop]
        before, after = max(0, -first), max(0, stop - len(recording))
        valid = torch.ones(len(frames), dtype=torch.bool)
        if before or after:
            frames = torch.nn.functional.pad(frames, (0, 0, before, after))
            valid = torch.nn.functional.pad(valid, (before, after))
        return (
            frames,
            valid,
            valid[-self.prediction_length :] & valid[-self.prediction_length - 1 : -1],
        )


def make_sequences(hours: float) -> list[DescriptorSequence]:
    n = round(MINUTES * 60 * CONFIG.frame_rate)
    rng = np.random.default_rng(0)
    sequences = []
    for i in range(max(2, round(hours * 60 / MINUTES))):
        values = rng.standard_normal((n, CONFIG.n_columns), np.float32)
        values[1:] = 0.5 * (values[1:] + values[:-1])
        n_samples = (n - 1) * CONFIG.hop_length
        sequences.append(DescriptorSequence(values, CONFIG, f"{i}.wav", f"{i:032x}", n_samples))
    return sequences


def consume(batches: Iterable) -> None:
    for _ in batches:
        pass


def least(*functions: Callable[[], object]) -> list[float]:
    """Return the least processor time of each of some functions, taken in turn."""
    best = [float("inf")] * len(functions)
    for _ in range(REPEATS):
        for i, function in enumerate(functions):
            began = time.process_time()
            function()
            best[i] = min(best[i], time.process_time() - began)
    return best


def gathering(
    sequences: list[DescriptorSequence],
    context_length: int,
    prediction_length: int,
    batch_size: int,
) -> None:
    """Print the time of a pass, ours and the peer's."""
    statics = [s.complete_static for s in sequences]
    table = FrameTable(statics, context_length, prediction_length)
    good = np.ones(table.n_rows, dtype=bool)
    grid = TrainingGrid(table.begins, table.lengths, prediction_length, good, seed=0)
    (n_batches,) = batches_per_epoch(grid, batch_size, 1)
    recordings = [torch.from_numpy(x) for x in statics]
    dataset = ItemDataset(recordings, grid.epoch(0), context_length, prediction_length)
    loader = DataLoader(dataset, batch_size, shuffle=True)

    def gather() -> None:
        rows = grid.epoch(0)
        for i in range(n_batches):
            table.gather(rows[i * batch_size : (i + 1) * batch_size])

    ours, peer = least(gather, lambda: consume(loader))
    shape = f"{batch_size} items of {context_length + prediction_length} frames"
    print(f"a batch of {shape} of 13 columns, {n_batches} batches a pass")
    print(f"  gathered from one tensor    {1e3 * ours / n_batches:8.2f} ms")
    print(f"  Dataset and DataLoader      {1e3 * peer / n_batches:8.2f} ms")
    print(f"  ratio                       {peer / ours:8.1f}")


def training(model: DescriptorModel, data: TrainingData, n_steps: int) -> None:
    """Print the steps per second, and what of a step is not the network."""
    train_config = TrainConfig(accelerator="cpu", batch_size=data.batch_size)
    task = DescriptorTask(model, data, train_config)
    steps = range(min(n_steps, data.steps_per_epoch(1)[0]))
    batches = [data.batch(step) for step in steps]
    optimizer = torch.optim.AdamW(model.parameters())

    def bare() -> None:
        for batch in batches:
            total = task.total_nll(batch)
            optimizer.zero_grad()
            (total[0] / total[1]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    def engine() -> None:
        for step in steps:
            task.step(step, 0)
            task.average.update(step)

    def gather() -> None:
        for step in steps:
            data.batch(step)

    network, whole, gathered = least(bare, engine, gather)
    n_steps = len(steps)
    print(f"training {model.model_config.selected_model}, {n_steps} steps")
    print(f"  steps per second            {n_steps / whole:8.1f}")
    print(f"  a step                      {1e3 * whole / n_steps:8.2f} ms")
    print(f"  of it network and optimiser {100 * network / whole:8.1f} %")
    print(f"  of it gathering             {100 * gathered / whole:8.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selected_model", default="LSTM", choices=list(MODELS))
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sequences = make_sequences(args.hours)
    config = ModelConfig(selected_model=args.selected_model)
    model = create_model(config, CONFIG, fit_statistics(sequences))
    data = TrainingData(sequences[1:], sequences[:1], model, batch_size=args.batch_size, seed=0)
    for context_length in (model.context_length, model.context_length - model.context_size):
        gathering(sequences[1:], context_length, model.prediction_length, args.batch_size)
    training(model.train(), data, args.steps)


if __name__ == "__main__":
    main()

"""Seconds to a validation loss beside a plain PyTorch loop; time of a step and of its batch.

    python benchmarks/training.py                                  # LSTM, the demo corpus
    python benchmarks/training.py --selected_model TransformerModel --epochs 20
    python benchmarks/training.py --audio_db_dir music/ --validation_db_dir held_out/
    python benchmarks/training.py --steps_only --minutes 240       # frames made here

One thread, CPU seconds. The plain loop trains `nn.LSTM` or `nn.Transformer` of the same width and
depth by AdamW, on the same windows, from a Dataset and a DataLoader (without workers, which do not
pay off at this size). It predicts the change from the last frame with the same output
distribution, so both losses are nats per frame over the same validation frames. It lacks what ours
has besides: statistics of the context, mean reversion, running average, schedule of the learning
rate, and losses on free-running continuations, which cost time and serve what no likelihood shows.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from measuring import Work, cpu_s, least_cpu_s
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import desc
from desc.configuration import ModelConfig, TrainConfig
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.descriptors.standardizer import from_unbounded
from desc.models import MODELS, create_model
from desc.models.base import DescriptorModel
from desc.models.heads import create_head
from desc.models.statistics import fit_statistics
from desc.training.data import TrainingData
from desc.training.windows import FrameTable, TrainingGrid, batches_per_epoch

CONFIG = DescriptorConfig()
MINUTES = 4  # of a recording
TARGETS = 6  # losses compared


class ItemDataset(Dataset):
    """One item at a time: cut from its recording, padded, masked."""

    def __init__(
        self,
        recordings: list[Tensor],
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

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, Tensor]:
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


class PlainNetwork(nn.Module):
    """`nn.LSTM` or `nn.Transformer` over standardised frames, with the head of a model."""

    def __init__(self, model: DescriptorModel) -> None:
        super().__init__()
        sizes, config = model.sizes, model.model_config
        width, n_layers = sizes.hidden_size, sizes.num_layers
        self.space, self.n_read, self.n = model.space, model.read_length, model.prediction_length
        self.is_transformer = "Transformer" in config.selected_model
        if self.is_transformer:
            self.embedding = nn.Linear(model.n_features, width)
            self.positions = nn.Parameter(0.02 * torch.randn(self.n_read + self.n, width))
            layers = n_layers, n_layers, sizes.dim_feedforward
            self.network = nn.Transformer(
                width, sizes.nhead, *layers, config.dropout, batch_first=True
            )
        else:
            dropout = config.dropout if n_layers > 1 else 0.0
            self.network = nn.LSTM(
                model.n_features, width, n_layers, batch_first=True, dropout=dropout
            )
        self.dropout = nn.Dropout(config.dropout)
        whitening = model.statistics.whitening
        self.head = create_head(config.head, width, whitening, config.n_components)

    def nll(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return the nats per frame (B, N) of the last N frames of items."""
        x = self.space.standardise(frames, valid)[:, -self.n_read - self.n :]
        before = x[:, -self.n - 1 : -1]
        if self.is_transformer:
            y = self.embedding(x) + self.positions
            causal = nn.Transformer.generate_square_subsequent_mask(self.n)
            source, target = y[:, : self.n_read], y[:, -self.n - 1 : -1]
            h = self.network(source, target, tgt_mask=causal, tgt_is_causal=True)
        else:
            h, _ = self.network(before)
        change = x[:, -self.n :] - before
        return self.head.score(self.head(self.dropout(h)), change, torch.ones_like(x[:, :1, :1]))


class PlainTraining:
    """The usual loop: shuffled items from a DataLoader, AdamW, clipped gradients."""

    def __init__(
        self, model: DescriptorModel, data: TrainingData, sequences: list[DescriptorSequence]
    ) -> None:
        self.network, self.validation = PlainNetwork(model), data.validation
        recordings = [torch.from_numpy(s.complete_static) for s in sequences]
        starts = data.grid.epoch(0)
        items = ItemDataset(recordings, starts, model.read_length, model.prediction_length)
        self.loader = DataLoader(items, data.batch_size, shuffle=True)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), TrainConfig().learning_rate)

    def epoch(self) -> None:
        for frames, valid, scored in self.loader:
            loss = self.network.nll(frames, valid)[scored].mean()
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()

    @torch.no_grad()
    def validation_loss(self) -> float:
        self.network.eval()
        scores = [self.network.nll(b.frames, b.valid)[b.scored] for b in self.validation]
        self.network.train()
        return float(torch.cat(scores).mean())


def make_sequences(minutes: float) -> list[DescriptorSequence]:
    """Return recordings of four minutes, of frames that move slowly."""
    n = round(MINUTES * 60 * CONFIG.frame_rate)
    rng = np.random.default_rng(0)
    sequences = []
    for i in range(max(1, round(minutes / MINUTES))):
        values = rng.standard_normal((n, CONFIG.n_columns), np.float32)
        values[1:] = 0.5 * (values[1:] + values[:-1])
        values = from_unbounded(values, CONFIG.spaces).astype(np.float32)
        n_samples = (n - 1) * CONFIG.hop_length
        sequences.append(DescriptorSequence(values, CONFIG, f"{i}.wav", f"{i:032x}", n_samples))
    return sequences


def consume(batches: Iterable) -> None:
    for _ in batches:
        pass


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

    works: dict[str, Work] = {"ours": gather, "peer": lambda: consume(loader)}
    ours, peer = least_cpu_s(works).values()
    shape = f"{batch_size} items of {context_length + prediction_length} frames"
    print(f"a batch of {shape} of 13 columns, {n_batches} batches a pass")
    print(f"  gathered by the frame table {1e3 * ours / n_batches:8.2f} ms")
    print(f"  Dataset and DataLoader      {1e3 * peer / n_batches:8.2f} ms")
    print(f"  ratio                       {peer / ours:8.1f}")


def steps(model: DescriptorModel, data: TrainingData, n_steps: int) -> None:
    """Print the steps per second, and what of a step is not the network."""
    from desc.training.task import DescriptorTask

    train_config = TrainConfig(accelerator="cpu", batch_size=data.batch_size)
    task = DescriptorTask(model, data, train_config)
    numbers = range(min(n_steps, data.steps_per_epoch(1)[0]))
    batches = [data.batch(step) for step in numbers]
    optimizer = torch.optim.AdamW(model.parameters())

    def bare() -> None:
        for batch in batches:
            total = task.total_nll(batch)
            optimizer.zero_grad()
            (total[0] / total[1]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    def engine() -> None:
        for step in numbers:
            task.step(step, 0)
            task.average.update(step)

    def gather() -> None:
        for step in numbers:
            data.batch(step)

    works: dict[str, Work] = {"network": bare, "engine": engine, "gather": gather}
    network, whole, gathered = least_cpu_s(works).values()
    n_steps = len(numbers)
    print(f"training {model.model_config.selected_model}, {n_steps} steps")
    print(f"  steps per second            {n_steps / whole:8.1f}")
    print(f"  a step                      {1e3 * whole / n_steps:8.2f} ms")
    print(f"  of it network and optimiser {100 * network / whole:8.1f} %")
    print(f"  of it gathering             {100 * gathered / whole:8.1f} %")


Curve = list[tuple[float, float]]
"""CPU seconds since the start, and the validation loss."""


def our_curve(
    folder: Path,
    training: desc.Corpus,
    validation: desc.Corpus,
    model: ModelConfig,
    epochs: int | None,
) -> Curve:
    """Train as `desc train` does, without the measurements of realism."""
    spent: dict[int, float] = {}
    began = cpu_s()
    record = desc.train(
        training,
        validation=validation,
        model=model,
        training=TrainConfig(accelerator="cpu", realism_every_epochs=0, epochs=epochs),
        run=desc.RunConfig(str(folder / "experiments"), offline=True),
        on_validation=lambda _, step: spent.update({step: cpu_s() - began}),
    )
    with (record.folder / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("val_loss")]
    losses = {int(row["step"]): float(row["val_loss"]) for row in rows}
    return [(spent[step], losses[step]) for step in spent if step in losses]


def plain_curve(plain: PlainTraining, max_s: float, patience: int = 8) -> Curve:
    """Train until the loss has not improved for some epochs, or for so many seconds."""
    began, curve, best = cpu_s(), [], 0
    while cpu_s() - began < max_s and len(curve) - best <= patience:
        plain.epoch()
        loss = plain.validation_loss()
        curve.append((cpu_s() - began, loss))
        best = min(range(len(curve)), key=lambda i: curve[i][1])
    return curve


def seconds_to(curve: Curve, loss: float) -> float | None:
    return next((spent for spent, reached in curve if reached <= loss), None)


def compare_losses(ours: Curve, plain: Curve) -> None:
    """Print the seconds of both to some losses, from the plain loop's first to the best of ours."""
    best, other = (min(loss for _, loss in curve) for curve in (ours, plain))
    first = max(plain[0][1], ours[0][1])
    print(f"{'validation loss':>16}{'desc s':>9}{'plain s':>9}{'ratio':>7}")
    for loss in sorted({*np.linspace(first, best, TARGETS), other}, reverse=True):
        a, b = seconds_to(ours, loss), seconds_to(plain, loss)
        cells = [f"{x:9.1f}" if x is not None else f"{'never':>9}" for x in (a, b)]
        ratio = f"{b / a:7.2f}" if a and b else ""
        note = "  best of plain" if loss == other else "  best of desc" if loss == best else ""
        print(f"{loss:16.3f}{''.join(cells)}{ratio}{note}")
    print(f"in all: desc {ours[-1][0]:.1f} s, plain {plain[-1][0]:.1f} s")


def to_losses(args: argparse.Namespace) -> None:
    """Train both, and compare."""
    from desc.demo.corpus import write_corpus

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = desc.DescriptorStore(folder / "cache")
        if args.audio_db_dir:
            training = desc.open_corpus(args.audio_db_dir, CONFIG, store)
            validation = desc.open_corpus(args.validation_db_dir, CONFIG, store)
        else:
            recordings, database = write_corpus(folder)
            training = desc.open_corpus(
                [recordings, database], CONFIG, store, exclude=["*garden again*", "*evening*"]
            )
            validation = desc.open_corpus(
                recordings, CONFIG, store, include=["*garden again*", "*evening*"]
            )
        config = ModelConfig(selected_model=args.selected_model)
        ours = our_curve(folder, training, validation, config, args.epochs)
        data = [list(corpus.sequences) for corpus in (training, validation)]
        model = create_model(config, CONFIG, fit_statistics(data[0]))
        batches = TrainingData(*data, model, batch_size=args.batch_size, seed=0)
        plain = plain_curve(PlainTraining(model, batches, data[0]), 3 * ours[-1][0])
    print(f"{args.selected_model}, {training.duration_s / 60:.0f} min of recordings, CPU seconds")
    compare_losses(ours, plain)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selected_model", default="LSTM", choices=list(MODELS))
    parser.add_argument("--audio_db_dir", help="recordings to learn from [default: the demo's]")
    parser.add_argument("--validation_db_dir", help="recordings to validate on")
    parser.add_argument("--epochs", type=int, help="of ours [default: as `desc train`]")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--steps_only", action="store_true", help="neither of the trainings")
    parser.add_argument("--minutes", type=float, default=240.0, help="of the frames made here")
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not args.steps_only:
        to_losses(args)
        return
    sequences = make_sequences(args.minutes)
    config = ModelConfig(selected_model=args.selected_model)
    model = create_model(config, CONFIG, fit_statistics(sequences))
    data = TrainingData(sequences[1:], sequences[:1], model, batch_size=args.batch_size, seed=0)
    for context_length in (model.context_length, model.context_length - model.context_size):
        gathering(sequences[1:], context_length, model.prediction_length, args.batch_size)
    steps(model.train(), data, args.steps)


if __name__ == "__main__":
    main()

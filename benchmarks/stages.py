"""Stages of `run.py`: each with ours, other ways to do it, and what the hardware allows.

A way is a function of a folder and a size that prepares its input and returns the work to measure.
The first way of a stage is ours; a limit does the part of the work that cannot be avoided.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measuring import Values, Work, moving, n_weights, sgemm, weights_times, write_chords

if TYPE_CHECKING:
    from desc.database import DescriptorDatabase
    from desc.descriptors.sequence import DescriptorSequence
    from desc.matching import Matcher
    from desc.models.base import DescriptorModel
    from desc.training.data import TrainingData

RATE, HOP = 44100, 1024
FPS = RATE / HOP
NEIGHBOURS, QUERIES = 50, 512
CORPUS_S, FILE_S = 600, 30
"""Length of the corpus that predictions are matched with, and of its files, seconds."""
Way = Callable[[Path, int], Work]


@dataclass(frozen=True)
class Stage:
    """A part of the job, measured at several sizes.

    Attributes
    ----------
    unit : str
        What sizes count.
    sizes, quick : tuple of int
        Ascending.
    ways : dict of Way
        Ours, peers, and limits, whose names begin with `limit`.
    per_hour : float
        Size of an hour of audio: of recordings where they are read, of sound where it is made.
    prepare : callable, optional
        Called once with the folder and the sizes, in a process of its own.
    """

    unit: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    ways: dict[str, Way]
    per_hour: float
    prepare: Callable[[Path, tuple[int, ...]], None] | None = None


# Extraction --------------------------------------------------------------------------------------


def write_sounds(suffix: str, folder: Path, sizes: tuple[int, ...]) -> None:
    for duration_s in sizes:
        subtype = "PCM_16" if suffix == "wav" else "VORBIS"
        write_chords(folder / f"{duration_s}.{suffix}", RATE, subtype, duration_s)


def extraction(suffix: str, program: str, folder: Path, duration_s: int) -> Work:
    """Extract by desc or librosa, warmed up with a short file."""
    from extraction import extractor

    extract, warm_up = extractor(program), folder / f"short {program}.wav"
    write_chords(warm_up, RATE, "PCM_16", 2)
    extract(warm_up)
    return lambda: extract(folder / f"{duration_s}.{suffix}")


def decoding_and_fft(suffix: str, folder: Path, duration_s: int) -> Work:
    import scipy.fft
    import soundfile

    def work() -> None:
        frames = np.empty((64, 2048), np.float32)
        with soundfile.SoundFile(folder / f"{duration_s}.{suffix}") as file:
            buffer = np.empty((65536, 2), np.float32)
            while len(file.read(out=buffer)):
                scipy.fft.rfft(frames, axis=1)

    return work


def extraction_stage(suffix: str, sizes: tuple[int, ...], quick: tuple[int, ...]) -> Stage:
    ways = {name: partial(extraction, suffix, name) for name in ("desc", "librosa")}
    ways["limit: decoding, FFT"] = partial(decoding_and_fft, suffix)
    return Stage("s", sizes, quick, ways, 3600, partial(write_sounds, suffix))


# Matching ----------------------------------------------------------------------------------------


def database_of(n_rows: int) -> DescriptorDatabase:
    """Return descriptors made here, as recordings of at most ten minutes."""
    from desc.database import DescriptorDatabase
    from desc.descriptors.config import DescriptorConfig
    from desc.descriptors.sequence import DescriptorSequence

    config, sequences = DescriptorConfig(), []
    for index, first in enumerate(range(0, n_rows, round(600 * FPS))):
        n = min(round(600 * FPS), n_rows - first)
        values = moving(n, config, index)
        sequences.append(
            DescriptorSequence(values, config, f"{index}.wav", f"{index:032x}", n * HOP)
        )
    return DescriptorDatabase.from_sequences(sequences, Path.cwd())


def matcher_of(n_rows: int, count: int, index: str = "exact") -> Matcher:
    from desc.configuration import QueryConfig
    from desc.matching import Matcher

    return Matcher(database_of(n_rows), query=QueryConfig(neighbours=count, index=index))


def wanted(n_frames: int) -> Values:
    from desc.descriptors.config import DescriptorConfig

    return moving(n_frames, DescriptorConfig(), seed=10**6)


def neighbours(count: int, index: str, folder: Path, n_rows: int) -> Work:
    matcher = matcher_of(n_rows, count, index)
    matcher.neighbours(wanted(8))  # projects the database, builds the index
    return lambda: matcher.neighbours(wanted(QUERIES))


def other_search(name: str, count: int, folder: Path, n_rows: int) -> Work:
    from query import peers

    matcher = matcher_of(n_rows, count)
    points, queries = matcher.coordinates, matcher.space.project(wanted(QUERIES))
    found = peers(points, queries, count, matcher.query, tree=False)
    return next(work for label, work in found.items() if label.startswith(name))


def scores(count: int, folder: Path, n_rows: int) -> Work:
    width = matcher_of(1000, count).coordinates.shape[1]
    return sgemm(QUERIES, 1024, width, n_rows // 1024)


def query_stage(count: int, sizes: tuple[int, ...], quick: tuple[int, ...]) -> Stage:
    ways: dict[str, Way] = {"desc": partial(neighbours, count, "exact")}
    ways["desc, inverted lists"] = partial(neighbours, count, "ivf")
    ways["torch.cdist"] = partial(other_search, "torch.cdist", count)
    ways["faiss, flat"] = partial(other_search, f"faiss FlatL2, {count} ", count)
    ways["limit: sgemm"] = partial(scores, count)
    return Stage("rows", sizes, quick, ways, 3600 * FPS)


def selection(folder: Path, n_frames: int) -> Work:
    """Choose units for frames, of ten minutes of sounds."""
    matcher = matcher_of(round(CORPUS_S * FPS), NEIGHBOURS)
    matcher.match(wanted(32))
    return lambda: matcher.match(wanted(n_frames))


def search_alone(folder: Path, n_frames: int) -> Work:
    matcher = matcher_of(round(CORPUS_S * FPS), NEIGHBOURS)
    matcher.neighbours(wanted(32))
    return lambda: matcher.neighbours(wanted(n_frames))


# Sequence models ---------------------------------------------------------------------------------


def model_of(name: str, n_minutes: int) -> tuple[DescriptorModel, list[DescriptorSequence]]:
    """Return an untrained model of default size, and recordings for it."""
    from training import make_sequences

    from desc.configuration import ModelConfig
    from desc.models import create_model
    from desc.models.statistics import fit_statistics

    sequences = make_sequences(n_minutes)
    config, statistics = ModelConfig(selected_model=name), fit_statistics(sequences)
    return create_model(config, sequences[0].config, statistics), sequences


def batches_of(model: DescriptorModel, sequences: list[DescriptorSequence]) -> TrainingData:
    from desc.training.data import TrainingData

    return TrainingData(sequences, sequences[:1], model, batch_size=64, seed=0)


def training(name: str, folder: Path, n_minutes: int) -> Work:
    """Train by likelihood for an epoch."""
    from desc.configuration import TrainConfig
    from desc.training.task import DescriptorTask

    model, sequences = model_of(name, n_minutes)
    data = batches_of(model, sequences)
    task, (n_steps,) = DescriptorTask(model, data, TrainConfig()), data.steps_per_epoch(1)
    n_frames = data.batch_size * (model.read_length + model.prediction_length)
    (folder / f"{n_minutes}.json").write_text(json.dumps([n_weights(model), n_frames, n_steps]))

    def work() -> None:
        for step in range(n_steps):
            task.step(step, 0)
            task.average.update(step)

    return work


def plain_training(name: str, folder: Path, n_minutes: int) -> Work:
    from training import PlainTraining

    model, sequences = model_of(name, n_minutes)
    return PlainTraining(model, batches_of(model, sequences), sequences).epoch


def training_products(folder: Path, n_minutes: int) -> Work:
    """Multiply by the weights three times: forwards, and backwards by inputs and weights."""
    weights, n_frames, n_steps = json.loads((folder / f"{n_minutes}.json").read_text())
    return weights_times(weights, n_frames, 3 * n_steps)


def training_stage(name: str, peer: str, sizes: tuple[int, ...], quick: tuple[int, ...]) -> Stage:
    ways: dict[str, Way] = {"desc": partial(training, name), peer: partial(plain_training, name)}
    ways["limit: sgemm"] = training_products
    return Stage("min, an epoch", sizes, quick, ways, 60)


def rollout(name: str, peer: bool, folder: Path, n_frames: int) -> Work:
    import torch
    from rollout import seconds, seconds_of_peer

    model = model_of(name, 4)[0].eval()
    (folder / "weights.json").write_text(json.dumps(n_weights(model)))
    context = torch.randn(1, 512, model.n_features)
    seconds(model, context, 10)
    measured = seconds_of_peer if peer else seconds
    return lambda: measured(model, context, n_frames)


def weights_each_frame(folder: Path, n_frames: int) -> Work:
    return weights_times(json.loads((folder / "weights.json").read_text()), 1, n_frames)


def rollout_stage(name: str, sizes: tuple[int, ...], quick: tuple[int, ...]) -> Stage:
    ways: dict[str, Way] = {"desc": partial(rollout, name, False)}
    ways["context read anew"] = partial(rollout, name, True)
    ways["limit: sgemv"] = weights_each_frame
    return Stage("frames", sizes, quick, ways, 3600 * FPS)


# Sound -------------------------------------------------------------------------------------------


def write_files(folder: Path, sizes: tuple[int, ...]) -> None:
    from concatenation import make_files

    make_files(folder, 20, FILE_S)


def rendering(name: str, folder: Path, duration_s: int) -> Work:
    from concatenation import make_playlist, peers, rendering, unaligned

    from desc.configuration import RenderConfig

    n_rows = round(FILE_S * FPS)
    playlist = make_playlist([f"{i}.wav" for i in range(20)], round(duration_s * FPS), 8, n_rows)
    if name.startswith("desc"):
        played = playlist if name == "desc" else unaligned(playlist)
        work = rendering(played, folder, RenderConfig())
        work()  # fills the cache
        return work
    return peers(playlist, folder, RenderConfig().subtype)[name]


def reading_and_writing(folder: Path, duration_s: int) -> Work:
    import soundfile

    def work() -> None:
        with soundfile.SoundFile(folder / "copy.wav", "w", RATE, 2, "PCM_24") as out:
            for index in range(-(-duration_s // FILE_S)):
                out.write(soundfile.read(folder / f"{index % 20}.wav", dtype="float32")[0])

    return work


def generation(names: tuple[str, ...], folder: Path, duration_s: int) -> Work:
    from sound_generation import generating

    works = generating(duration_s)
    return lambda: [works[name]() for name in names]


def griffin_lim(folder: Path, duration_s: int) -> Work:
    import librosa

    shape = (513, round(duration_s * RATE / 256))
    magnitude = np.random.default_rng(0).random(shape, np.float32)
    return lambda: librosa.griffinlim(magnitude, n_iter=32, hop_length=256)


# The command -------------------------------------------------------------------------------------


def write_job(folder: Path, sizes: tuple[int, ...]) -> None:
    """Write a corpus, recordings and a run, and predict once, so that caches are filled."""
    import soundfile

    import desc

    for kind, n_files, duration_s in (("sounds", CORPUS_S // FILE_S, FILE_S), ("one", 1, 12)):
        (folder / kind).mkdir()
        write_chords(folder / kind / "0.wav", RATE, "PCM_16", duration_s)
        samples, _ = soundfile.read(folder / kind / "0.wav", dtype="float32")
        for index in range(1, n_files):
            turned = np.roll(samples, index * RATE // 2, axis=0) * (1 - index / 100)
            soundfile.write(folder / kind / f"{index}.wav", turned, RATE, "PCM_16")
    for n_files in sizes:
        (folder / f"{n_files}").mkdir()
        for index in range(n_files):
            soundfile.write(folder / f"{n_files}" / f"{index}.wav", samples[index:], RATE, "PCM_16")
    corpus = desc.open_corpus(folder / "sounds", store=desc.DescriptorStore(folder / "cache"))
    config = desc.TrainConfig(epochs=1, realism_every_epochs=0, accelerator="cpu")
    run = desc.RunConfig(str(folder / "experiments"), offline=True)
    record = desc.train(corpus, training=config, run=run)
    (folder / "run.json").write_text(json.dumps(str(record.folder)))
    predict(folder, sizes[-1])()


def predict(folder: Path, n_files: int) -> Work:
    """Call `desc predict` for recordings of 12 s, 500 frames each."""
    words = ["predict", "--quiet", "--run_id", json.loads((folder / "run.json").read_text())]
    words += ["--prediction_db_dir", str(folder / str(n_files)), "--cache_dir"]
    words += [str(folder / "cache"), "--audio_db_dir", str(folder / "sounds")]
    words += ["--prediction_length", "500", "--output_dir"]

    def work() -> None:
        output_dir = tempfile.mkdtemp(dir=folder)  # results that are there would be kept
        command = [sys.executable, "-m", "desc", *words, output_dir]
        subprocess.run(command, check=True, capture_output=True)

    return work


def import_torch(folder: Path, n_files: int) -> Work:
    command = [sys.executable, "-c", "import torch"]
    return lambda: subprocess.run(command, check=True)


STAGES: dict[str, Stage] = {
    "extraction, WAV": extraction_stage("wav", (60, 240, 960, 1920), (30, 120, 240)),
    "extraction, Ogg": extraction_stage("ogg", (60, 240, 960), (20, 60)),
    "query, 50 neighbours": query_stage(50, (20_000, 80_000, 320_000, 1_280_000), (20_000, 80_000)),
    "query, 1 neighbour": query_stage(1, (20_000, 80_000, 320_000, 1_280_000), (20_000, 80_000)),
    "selection of units": Stage(
        "frames",
        (250, 500, 1000, 2000),
        (250, 500),
        {"desc": selection, "limit: search alone": search_alone},
        3600 * FPS,
    ),
    "training, LSTM": training_stage("LSTM", "nn.LSTM loop", (8, 16, 32), (4, 8)),
    "training, transformer": training_stage(
        "TransformerModel", "nn.Transformer loop", (4, 8, 16), (4,)
    ),
    "continuation, LSTM": rollout_stage("LSTM", (250, 500, 1000, 2000), (250, 500)),
    "continuation, transformer": rollout_stage(
        "TransformerModel", (250, 500, 1000, 2000), (125, 250)
    ),
    "rendering": Stage(
        "s",
        (20, 80, 320),
        (20, 80),
        {
            "desc": partial(rendering, "desc"),
            "desc, no alignment": partial(rendering, "desc, no alignment"),
            "soundfile per segment": partial(rendering, "soundfile opened per segment"),
            "limit: reading, writing": reading_and_writing,
        },
        3600,
        write_files,
    ),
    "sound generation": Stage(
        "s",
        (10, 20, 40),
        (2, 4),
        {
            "desc": partial(generation, ("flow small", "vocos small")),
            "desc, MelGAN as published": partial(generation, ("flow small", "melgan published")),
            "librosa.griffinlim": griffin_lim,
        },
        3600,
    ),
    "desc predict, warm": Stage(
        "recordings",
        (1, 4, 16),
        (1, 2),
        {"desc": predict, "limit: import torch": import_torch},
        3600 / (500 / FPS),
        write_job,
    ),
}

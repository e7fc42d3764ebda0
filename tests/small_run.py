"""A tiny LSTM on three recordings, trained once per session: the fixture `small_run`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from desc.commands.main import main
from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import open_corpus
from desc.descriptors.config import DescriptorConfig
from desc.runs import RunRecord
from desc.storage import DescriptorStore
from desc.training.fit import train

RECORDINGS = {
    "training": {"a": 8.0, "<b>two": 8.0, "c": 6.0},
    "held_out": {"x": 13.0, "y": 8.0, "short": 1.0},
}


@dataclass(frozen=True)
class SmallRun:
    """The run, and its folders `training`, `held_out`, `cache` and `experiments`."""

    root: Path
    record: RunRecord

    @property
    def run_id(self) -> str:
        return self.record.run_id

    @property
    def store(self) -> DescriptorStore:
        return DescriptorStore(self.root / "cache")

    @property
    def options(self) -> list[str]:
        """Options with which a command finds the run and its cache."""
        folders = {"experiment_dir": "experiments", "cache_dir": "cache"}
        return [word for k, v in folders.items() for word in (f"--{k}", str(self.root / v))]

    def evaluate(self, output_dir: Path, *options: str, audio: str = "held_out") -> int:
        words = ["evaluate", "--run_id", self.run_id, "--audio_db_dir", str(self.root / audio)]
        words += ["--output_dir", str(output_dir), "--excerpt_frames", "64", "--n_draws", "2"]
        return main([*words, "--jobs", "1", *self.options, *options])


def make_small_run(root: Path, make_signal: Callable[..., np.ndarray]) -> SmallRun:
    """Write the recordings of `RECORDINGS`, and train on the first folder."""
    for folder, files in RECORDINGS.items():
        (root / folder).mkdir()
        for seed, (name, duration_s) in enumerate(files.items()):
            signal = make_signal("notes", duration_s, seed=seed + ord(folder[0]))
            soundfile.write(root / folder / f"{name}.wav", signal, 44100)
    store = DescriptorStore(root / "cache")
    record = train(
        open_corpus(root / "training", DescriptorConfig(), store, jobs=1),
        model=ModelConfig(window_size=16, context_size=32, hidden_size=16, num_layers=1),
        training=TrainConfig(epochs=2, accelerator="cpu"),
        run=RunConfig(str(root / "experiments"), offline=True),
    )
    return SmallRun(root, record)

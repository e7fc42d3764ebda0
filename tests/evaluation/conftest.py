"""A small run and recordings it has not heard."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.commands.main import main
from desc.metrics import realism


@dataclass(frozen=True)
class Place:
    """Folders of an evaluation, and the run."""

    root: Path
    run_id: str

    @property
    def common(self) -> list[str]:
        """Options that keep a command inside this place."""
        return [
            "--experiment_dir", str(self.root / "experiments"),
            "--cache_dir", str(self.root / "cache"),
            "--jobs", "1",
        ]  # fmt: skip

    def evaluate(self, output_dir: Path, *options: str, audio: str = "held_out") -> int:
        words = [
            "evaluate", "--run_id", self.run_id, "--audio_db_dir", str(self.root / audio),
            "--output_dir", str(output_dir), "--excerpt_frames", "64", "--n_samples", "2",
        ]  # fmt: skip
        return main([*words, *self.common, *options])


@pytest.fixture(scope="session", autouse=True)
def few_trees() -> Iterator[None]:
    """The classifier is quick: it has a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realism, "N_TREES", 5)
        yield


@pytest.fixture(scope="session")
def place(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]
) -> Place:
    """Two recordings to learn from, two and a short one that are held out, and a tiny LSTM."""
    root = tmp_path_factory.mktemp("evaluation")
    for folder, files in {
        "training": {"a": 8.0, "b": 8.0, "c": 6.0},
        "held_out": {"x": 13.0, "y": 8.0, "short": 1.0},
    }.items():
        (root / folder).mkdir()
        for name, duration_s in files.items():
            signal = make_signal("notes", duration_s, seed=ord(name[0]))
            soundfile.write(root / folder / f"{name}.wav", signal, 44100)
    place = Place(root, "")
    words = [
        "train", "--audio_db_dir", str(root / "training"), "--window_size", "16",
        "--context_size", "32", "--hidden_size", "16", "--num_layers", "1", "--epochs", "2",
        "--offline",
    ]  # fmt: skip
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main([*words, *place.common]) == 0
    return Place(root, printed.getvalue().strip().splitlines()[-1].removeprefix("run id: "))

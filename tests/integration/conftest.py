"""A small corpus, and a run of each model trained on it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.commands.main import main
from desc.configuration import RunConfig

TINY = [
    "--window_size", "16", "--forecast_size", "8", "--context_size", "32", "--hidden_size", "16",
    "--num_layers", "1", "--epochs", "2", "--batch_size", "16", "--jobs", "1", "--offline",
]  # fmt: skip


@dataclass(frozen=True)
class Workplace:
    """Folders of a job: recordings, sounds, experiments, cache."""

    root: Path

    @property
    def recordings(self) -> Path:
        return self.root / "recordings"

    @property
    def sounds(self) -> Path:
        return self.root / "sounds"

    @property
    def run_config(self) -> RunConfig:
        return RunConfig(str(self.root / "experiments"))

    def common(self) -> list[str]:
        """Options that keep a command's files in this folder."""
        return [
            "--experiment_dir", str(self.root / "experiments"),
            "--cache_dir", str(self.root / "cache"),
        ]  # fmt: skip

    def train(self, model: str, *options: str) -> int:
        words = ["train", "--selected_model", model, "--audio_db_dir", str(self.recordings)]
        if model.startswith("Transformer"):
            words += ["--nhead", "2", "--dim_feedforward", "32"]
        return main([*words, *TINY, *self.common(), *options])

    def predict(self, run_id: str, output_dir: Path, *options: str) -> int:
        words = [
            "predict", "--run_id", run_id, "--prediction_db_dir", str(self.recordings),
            "--audio_db_dir", str(self.sounds), "--output_dir", str(output_dir),
            "--jobs", "1",
        ]  # fmt: skip
        if "--prediction_length" not in options:
            words += ["--prediction_length", "20"]
        return main([*words, *self.common(), *options])


@pytest.fixture(scope="session")
def workplace(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]
) -> Workplace:
    """Recordings (one in a sub-folder, beside a text file) and sounds of several formats."""
    place = Workplace(tmp_path_factory.mktemp("job"))
    (place.recordings / "more").mkdir(parents=True)
    place.sounds.mkdir()
    (place.recordings / "notes.txt").write_text("not audio")
    for index, name in enumerate(["a.wav", "b.flac", "more/a.wav"]):
        soundfile.write(place.recordings / name, make_signal("notes", 5.0, seed=index), 44100)
    stereo = np.stack([make_signal("notes", 6.0, seed=s) for s in (10, 11)], 1)
    soundfile.write(place.sounds / "stereo.wav", stereo, 44100)
    soundfile.write(
        place.sounds / "other rate.wav", make_signal("notes", 6.0, 48000, seed=12), 48000
    )
    soundfile.write(place.sounds / "compressed.ogg", make_signal("notes", 6.0, seed=13), 44100)
    return place


@pytest.fixture(scope="session")
def run_ids(workplace: Workplace) -> dict[str, str]:
    """Run id of each of the four models, from the last line of `desc train`."""
    import contextlib
    import io

    from desc.models import MODELS

    ids = {}
    for model in MODELS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            assert workplace.train(model) == 0
        ids[model] = printed.getvalue().strip().splitlines()[-1].removeprefix("run id: ")
    return ids


@pytest.fixture(scope="module")
def results(workplace: Workplace, run_ids: dict[str, str]) -> Path:
    """The results of the default model for every recording."""
    output_dir = workplace.root / "results"
    assert workplace.predict(run_ids["LSTM"], output_dir) == 0
    return output_dir

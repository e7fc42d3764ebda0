"""The examples run on given folders, and are short."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.models import MODELS

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]) -> Path:
    """Two recordings and two sounds of some seconds."""
    root = tmp_path_factory.mktemp("examples")
    for folder in ("recordings", "sounds"):
        (root / folder).mkdir()
        for seed in range(2):
            audio = make_signal("notes", 5.0, seed=seed + len(folder))
            soundfile.write(root / folder / f"{seed}.wav", audio, 44100)
    return root


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """run(name, *arguments) -> what the script prints."""
    monkeypatch.setenv("DESC_CACHE", str(place / "cache"))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))

    def call(name: str, *arguments: str) -> str:
        command = [sys.executable, str(EXAMPLES / name), *arguments]
        done = subprocess.run(
            command, cwd=place, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_it_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


def test_the_list_names_each() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\w+\.py)\):", text) != []
    assert sorted(re.findall(r"\((\w+\.py)\):", text)) == [path.name for path in SCRIPTS]


def test_custom_descriptor(run: Callable[..., str], place: Path) -> None:
    t = np.arange(3 * 44100) / 44100
    (place / "shapes").mkdir()
    soundfile.write(place / "shapes" / "sine.wav", 0.5 * np.sin(2 * np.pi * 441 * t), 44100)
    square = 0.5 * np.sign(np.sin(2 * np.pi * 441 * t + 0.1))
    soundfile.write(place / "shapes" / "square.wav", square, 44100)
    lines = run("custom_descriptor.py", "shapes").split()
    assert lines[1::2] == ["square.wav", "sine.wav"]
    # The crest factor of a square wave is 1, of a sine √2.
    assert [float(value) for value in lines[::2]] == pytest.approx([1.0, 2**0.5], abs=0.02)


def test_mosaic(run: Callable[..., str], place: Path) -> None:
    printed = run("mosaic.py", "recordings/0.wav", "sounds", "mosaic.wav")
    units = re.match(r"mosaic.wav: Match\(216 frames: (\d+) units of 2 files,", printed)
    assert units
    assert 1 < int(units[1]) < 216
    assert soundfile.info(place / "mosaic.wav").frames == (1 + 5 * 44100 // 1024) * 1024


@pytest.mark.slow
def test_mosaic_of_the_demo_corpus(run: Callable[..., str], place: Path) -> None:
    assert "desc-demo/mosaic.wav" in run("mosaic.py")
    assert (place / "desc-demo" / "mosaic.wav").is_file()


@pytest.mark.slow
def test_continue_a_recording(run: Callable[..., str], place: Path) -> None:
    (wav,) = run("continue_a_recording.py", "recordings", "sounds", "continued").splitlines()
    n_frames = -(-10 * 44100 // 1024)
    # Five seconds of the recording come first, up to where the first predicted frame begins.
    assert soundfile.info(place / wav).frames == pytest.approx(
        n_frames * 1024 + 5 * 44100, abs=1024
    )


@pytest.mark.slow
def test_several_temperatures(run: Callable[..., str], place: Path) -> None:
    lines = run("several_temperatures.py", "recordings", "sounds", "drawn").splitlines()
    assert [line.split()[0] for line in lines] == ["0.9", "0.9", "1.0", "1.0", "1.2", "1.2"]
    results = {soundfile.read(place / line.split(" ", 1)[1])[0].tobytes() for line in lines}
    assert len(results) == 6


@pytest.mark.slow
def test_compare_the_models(run: Callable[..., str]) -> None:
    rows = [line.split() for line in run("compare_the_models.py", "recordings").splitlines()[1:]]
    assert [row[0] for row in rows] == list(MODELS)
    assert all(np.isfinite([float(figure) for figure in row[2:]]).all() for row in rows)


@pytest.mark.slow
def test_custom_model(run: Callable[..., str]) -> None:
    printed = run("custom_model.py", "recordings").splitlines()
    assert printed[-1] == "FrameByFrame: 100 frames after 0.wav"

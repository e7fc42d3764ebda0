"""`desc generate demo`: the same seed, the same bytes, trainings included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from desc.configuration import RunConfig
from desc.demo.generation import run_generation_demo

pytestmark = pytest.mark.slow


def demo(root: Path, seed: int = 0) -> dict[str, bytes]:
    run = RunConfig(experiment_dir=str(root / "experiments"), offline=True)
    done = run_generation_demo(root / "demo", run=run, seed=seed, steps=(30, 8))
    assert len(done.generated.written) == 10
    return {path.name: path.read_bytes() for path in done.generated.folder.glob("*.wav")}


def test_the_same_seed_gives_the_same_bytes_by_any_number_of_threads(
    tmp_path: Path, threads: Callable[[int], None]
) -> None:
    threads(1)
    one = demo(tmp_path / "a")
    assert len(one) == len(set(one.values())) == 10
    threads(2)
    assert demo(tmp_path / "b") == one
    assert torch.get_num_threads() == 2
    assert not set(demo(tmp_path / "c", seed=1).values()) & set(one.values())
    for name in one:
        audio, rate = soundfile.read(tmp_path / "a" / "demo" / "generated" / name)
        assert (rate, len(audio)) == (44100, 441000)
        assert np.sqrt(np.mean(audio**2)) > 1e-3
    # A second call keeps what is there.
    run = RunConfig(experiment_dir=str(tmp_path / "a" / "experiments"), offline=True)
    again = run_generation_demo(tmp_path / "a" / "demo", run=run, steps=(30, 8))
    assert (len(again.generated.kept), again.generated.written) == (10, ())
    assert len(list((tmp_path / "a" / "experiments" / "unagan").iterdir())) == 1

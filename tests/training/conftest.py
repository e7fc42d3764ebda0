"""Small corpora without sound, and runs without W&B."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from desc.configuration import RunConfig
from desc.corpus import Corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence

# F = 3 static columns of D = 9
CONFIG = DescriptorConfig(n_mfcc=3, n_mels=20, descriptors=("mfcc",))


@pytest.fixture(autouse=True)
def without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B is switched off."""
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def run_config(tmp_path: Path) -> RunConfig:
    """Runs are kept below tmp_path."""
    return RunConfig(experiment_dir=str(tmp_path / "experiments"), offline=True)


@pytest.fixture(scope="session")
def make_sequence() -> Callable[..., DescriptorSequence]:
    """make_sequence(n, seed=0, source="a.wav") -> n complete frames that wander about 0."""

    def make(n: int, seed: int = 0, source: str = "a.wav") -> DescriptorSequence:
        rng = np.random.default_rng(seed)
        values = np.zeros((n + 2, CONFIG.n_columns), np.float32)  # the first and last: incomplete
        for t in range(1, n + 2):
            values[t] = 0.9 * values[t - 1] + rng.standard_normal(CONFIG.n_columns)
        digest = hashlib.blake2b(f"{n} {seed}".encode(), digest_size=16).hexdigest()
        return DescriptorSequence(values, CONFIG, source, digest, (n + 1) * CONFIG.hop_length)

    return make


@pytest.fixture(scope="session")
def make_corpus(
    make_sequence: Callable[..., DescriptorSequence],
) -> Callable[..., Corpus]:
    """make_corpus(lengths, first_seed=0) -> one recording of each length."""

    def make(lengths: list[int], first_seed: int = 0) -> Corpus:
        sequences = [
            make_sequence(n, first_seed + i, f"{i:02d}.wav") for i, n in enumerate(lengths)
        ]
        return Corpus(Path("recordings"), CONFIG, tuple(sequences), (), 0)

    return make

"""Sequences and caches for the tests of storage."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from desc import audio
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.storage import DescriptorStore

CONFIG = DescriptorConfig()
OTHER_HOP = DescriptorConfig(hop_length=512)
OLD = 1_600_000_000  # a time of change long ago


def sequence_of(
    n_frames: int = 20, seed: int = 0, config: DescriptorConfig = CONFIG
) -> DescriptorSequence:
    values = np.random.default_rng(seed).standard_normal((n_frames, config.n_columns))
    n_samples = (n_frames - 1) * config.hop_length + 7
    return DescriptorSequence(values.astype("f4"), config, f"{seed}.wav", f"{seed:032x}", n_samples)


def shards(store: DescriptorStore) -> list[Path]:
    return sorted((store.cache_dir / "descriptors").rglob("*.npy"))


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose bytes were read for a digest."""
    names: list[str] = []
    content_digest = audio.content_digest

    def counted(path: str | Path) -> str:
        names.append(Path(path).name)
        return content_digest(path)

    monkeypatch.setattr(audio, "content_digest", counted)
    return names

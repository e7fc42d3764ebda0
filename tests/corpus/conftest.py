"""Folders and caches for the tests of a corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from desc.corpus import parallel
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract
from desc.descriptors.sequence import DescriptorSequence
from desc.storage import DescriptorStore


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path, make_wav: Callable[..., Path]) -> Path:
    """Three recordings, two of the same name in different folders."""
    make_wav("rec/a/kick.wav", kind="tone", duration_s=0.3)
    make_wav("rec/b/kick.wav", kind="noise", duration_s=0.4)
    make_wav("rec/c.flac", kind="notes", duration_s=0.5)
    return tmp_path / "rec"


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that were extracted."""
    sources: list[str] = []

    def counted(path: Path, config: DescriptorConfig, **options: str) -> DescriptorSequence:
        sources.append(options["source"])
        return extract(path, config, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(parallel, "extract", counted)
    return sources

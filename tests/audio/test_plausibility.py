"""Recordings that are not what they should be are told, others are not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from desc import audio
from desc.audio import SILENT
from desc.corpus import open_corpus
from desc.soundgen.recordings import open_recordings
from desc.storage import DescriptorStore

MakeWav = Callable[..., Path]
TONE = 0.4 * np.sin(2 * np.pi * 330 * np.arange(44100) / 44100)


@pytest.mark.parametrize(
    ("channels", "subtype", "note"),
    [
        ([TONE, TONE], "PCM_16", ""),
        ([TONE, 0 * TONE], "PCM_16", ""),  # 6 dB below the channels
        ([TONE, -TONE], "FLOAT", "the channels cancel: their mean, which is analysed, is silence"),
        ([TONE, -0.95 * TONE], "PCM_16", "the channels cancel: .* is 32 dB below them"),
        ([TONE, -0.7 * TONE], "PCM_16", ""),  # 15 dB
        ([0 * TONE], "PCM_16", r"silent \(below -90 dB"),
        ([2e-5 * TONE], "FLOAT", r"silent \(below -90 dB"),
        ([1e-3 * TONE], "FLOAT", ""),
        ([32767 * TONE], "FLOAT", "samples reach 13106.8, full scale is 1"),
        ([20 * TONE], "FLOAT", ""),  # a hot mix
        ([TONE + 0.5], "PCM_16", "a constant offset of 0.5 makes 76 % of its power"),
        ([TONE + 0.1], "PCM_16", ""),
    ],
)
def test_signs(
    make_wav: MakeWav,
    caplog: pytest.LogCaptureFixture,
    channels: list[np.ndarray],
    subtype: str,
    note: str,
) -> None:
    path = make_wav(audio=np.stack(channels), subtype=subtype)
    with caplog.at_level(logging.WARNING, "desc.audio"):
        list(audio.read_mono_blocks(path))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == bool(note)
    if note:
        with pytest.raises(ValueError, match=rf"^{path}: {note}"):
            raise ValueError(told[0])


def test_a_corpus_tells_each_time_it_is_opened(
    make_wav: MakeWav, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "c").mkdir()
    make_wav("c/odd.wav", np.stack([TONE, -TONE]))
    make_wav("c/silent.wav", 0 * TONE)
    store = DescriptorStore(tmp_path / "cache")

    def told(**choice: str) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "desc"):
            open_corpus(tmp_path / "c", store=store, jobs=1, **choice)
        return [record.getMessage() for record in caplog.records]

    first = told()
    assert [line.partition(":")[0] for line in first] == ["odd.wav", "silent.wav"]
    assert told() == first  # from the cache
    make_wav("c/silent too.wav", 0 * TONE[:30000])
    assert told(include="silent*") == [f"all 2 recordings are {SILENT}"]
    make_wav("c/fine.wav", TONE)
    assert told(include="fine.wav") == []


def test_what_is_told_does_not_depend_on_what_a_program_logs(
    make_wav: MakeWav, tmp_path: Path
) -> None:
    make_wav("c/silent.wav", 0 * TONE)
    logger = logging.getLogger("desc")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        store = DescriptorStore(tmp_path / "cache")
        open_corpus(tmp_path / "c", store=store, jobs=1)
    finally:
        logger.setLevel(level)
    assert list(store.notes().values()) == [SILENT]


def test_generation_tells_too(
    make_wav: MakeWav, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "c").mkdir()
    make_wav("c/odd.wav", np.stack([TONE, -0.95 * TONE]))
    with caplog.at_level(logging.WARNING, "desc"):
        open_recordings([tmp_path / "c"], 22050)
    assert "the channels cancel" in caplog.text


def test_resampling_takes_little_memory_at_any_ratio() -> None:
    import tracemalloc

    blocks = (np.ones((1 << 14, 1), np.float32) for _ in range(4))
    tracemalloc.start()
    n = sum(len(block) for block in audio.resampled_blocks(blocks, 1000, 1_000_000, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 1000 * (1 << 16)
    assert peak < 1 << 24

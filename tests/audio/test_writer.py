"""Two-pass peak normalisation."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.audio import write, write_scaled, writer
from desc.errors import AudioError


def blocks(*peaks: float) -> list[np.ndarray]:
    """Return stereo blocks of 100 samples, each with a peak in its second channel."""
    made = [np.full((2, 100), 0.01, np.float32) for _ in peaks]
    for block, peak in zip(made, peaks, strict=True):
        block[1, 7] = peak
    return made


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_a_peak_turns_the_whole_file_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtype: str, held: bool
) -> None:
    if not held:
        monkeypatch.setattr(writer, "MAX_HELD_BYTES", 1000)  # in the midst of the second block
    path = tmp_path / "a.wav"
    given = blocks(0.5, -2.5, 1.2)
    peak, gain = write_scaled(iter(given), path, 44100, 2, subtype)
    assert peak == 2.5
    assert gain == pytest.approx(1 if subtype == "FLOAT" else 0.4)
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == 44100
    np.testing.assert_allclose(samples.T, np.concatenate(given, 1) * np.float32(gain), atol=2e-7)
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


def test_what_fits_keeps_its_bits(tmp_path: Path) -> None:
    given = blocks(0.25, -1.0)
    assert write_scaled(given, tmp_path / "a.wav", 8000, 2) == (1.0, 1.0)
    np.testing.assert_allclose(
        soundfile.read(tmp_path / "a.wav")[0].T, np.concatenate(given, 1), atol=1e-7
    )


@pytest.mark.parametrize("held", [True, False])
def test_an_error_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    if not held:
        monkeypatch.setattr(writer, "MAX_HELD_BYTES", 1)
    bad = blocks(0.1, float("nan"))
    with pytest.raises(AudioError, match="finite"):
        write_scaled(bad, tmp_path / "a.wav", 8000, 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="needs a limit of the file size")
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_the_reason_of_a_failed_write_is_the_systems(tmp_path: Path, name: str) -> None:
    """libsndfile calls a full disk "System error"; here a limit stands for it."""
    import resource  # noqa: TID251

    noise = np.random.default_rng(0).uniform(-1, 1, (2, 300_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(AudioError, match=f"{name}: File too large"):
            write(tmp_path / name, noise, 44100, "PCM_16")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []

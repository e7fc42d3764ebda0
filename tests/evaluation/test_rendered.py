"""Rendered continuations: aligned, at the recording's level, beside their reference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from desc.descriptors.config import DescriptorConfig
from desc.evaluation.rendered import heard_frames
from tests.small_run import SmallRun


@pytest.fixture(scope="session")
def sounds(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The held-out recordings in other files: the same samples, another content."""
    folder = tmp_path_factory.mktemp("sounds")
    for name in ("x", "y"):
        audio, rate = soundfile.read(small_run.root / "held_out" / f"{name}.wav", dtype="int16")
        soundfile.write(folder / f"{name}.flac", audio, rate)
    return folder


def rendered_rows(small_run: SmallRun, folder: Path, sounds: Path) -> dict[str, dict[str, float]]:
    assert small_run.evaluate(folder, "--sample_audio_db_dir", str(sounds)) == 0
    content = json.loads((folder / "evaluation.json").read_text())
    return {row["name"]: row["figures"] for row in content["rendered"]}


def test_real_music_comes_back_from_its_own_sounds(
    small_run: SmallRun, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rendered_rows(small_run, tmp_path, sounds)
    name = f"{small_run.run_id} LSTM"
    floor, real, _, asked, heard = rows.values()
    names = ["real, same track", "real, rendered", "VAR, replay, rendered", name]
    assert list(rows) == [*names, f"{small_run.run_id} rendered"]
    assert real["error"] < 0.05
    assert real["mean_unit_frames"] == 64
    assert real["mean_match_distance"] < 0.01
    assert real["diff_ratio"] == pytest.approx(1, abs=0.02)
    assert real["fd"] < 0.1 < floor["fd"]
    assert heard["error"] > 10 * real["error"]
    assert "error" not in asked
    assert heard["fd"] != asked["fd"]
    assert {"tail_std", "acf", "modspec_db", "track_distance", "novelty"} <= heard.keys()
    printed = capsys.readouterr().out
    assert "rendered" in printed
    assert f"{small_run.run_id} rendered" in printed


def test_the_older_option_needs_the_folder(
    small_run: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small_run.evaluate(tmp_path, "--rendered") == 2
    assert "--rendered needs --sample_audio_db_dir" in capsys.readouterr().err
    assert not (tmp_path / "evaluation.json").exists()


@pytest.mark.parametrize(("hop", "n_fft"), [(1024, 2048), (512, 2048), (441, 1024), (1024, 1024)])
def test_frames_that_are_heard_whole(hop: int, n_fft: int) -> None:
    n = 20
    kept = heard_frames(n, DescriptorConfig(hop_length=hop, n_fft=n_fft))

    def whole(t: int) -> bool:
        centre = t * hop + hop // 2
        return centre >= n_fft // 2 and centre + n_fft // 2 <= n * hop

    assert list(range(n)[kept]) == [t for t in range(n) if whole(t)]

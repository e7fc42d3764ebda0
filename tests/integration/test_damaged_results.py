"""A kept result is one whose files are as they were written; any other is made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from desc.outputs import CREDITS, FILES, MATCHES, PLAYLIST, PREDICTION, REPORT_DATA, WAV
from tests.integration.conftest import Workplace

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def original(
    workplace: Workplace, run_ids: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    output_dir = tmp_path_factory.mktemp("original")
    alone = ["--prediction_db_dir", str(workplace.recordings / "a.wav"), "--no-report"]
    assert workplace.predict(run_ids["LSTM"], output_dir, *alone) == 0
    return output_dir


@pytest.fixture
def again(
    original: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path
) -> Callable[[], tuple[int, Path]]:
    """again() -> status and folder of the same request, in a copy of the result."""
    output_dir = tmp_path / "out"
    shutil.copytree(original, output_dir)

    def run() -> tuple[int, Path]:
        alone = ["--prediction_db_dir", str(workplace.recordings / "a.wav"), "--no-report"]
        return workplace.predict(run_ids["LSTM"], output_dir, *alone), output_dir / "a.wav"

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (WAV, lambda data: b""),
        (WAV, lambda data: data[: len(data) // 2]),
        (WAV, lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]),
        (REPORT_DATA, lambda data: data[:900]),
        (MATCHES, lambda data: data.replace(b"1", b"2", 1)),
        (CREDITS, lambda data: None),
        (PLAYLIST, lambda data: b"{"),
        (PREDICTION, lambda data: data[:500]),
        (PREDICTION, lambda data: data.replace(b"mfcc3", b"mfccx")),
        (PREDICTION, lambda data: data.replace(b"1.", b"2.", 1)),
    ],
)
def test_a_damaged_result_is_made_again(
    *,
    name: str,
    damage: Callable[[bytes], bytes | None],
    again: Callable[[], tuple[int, Path]],
    original: Path,
    tmp_path: Path,
    capsys: Captured,
) -> None:
    path = tmp_path / "out" / "a.wav" / name
    damaged = damage(path.read_bytes())
    path.unlink() if damaged is None else path.write_bytes(damaged)
    status, folder = again()
    assert status == 0
    captured = capsys.readouterr()
    assert f"the result is made again: {name} missing or changed" in captured.err
    assert "kept" not in captured.out
    assert contents(folder) == contents(original / "a.wav")
    aside = folder / "prediction.changed.wav"
    kept = damaged if name == WAV else b""
    if name == PREDICTION and damaged and damaged[-1:] != b"\n":  # whose WAV it is, nobody knows
        kept = (original / "a.wav" / WAV).read_bytes()
    assert (aside.read_bytes() if aside.exists() else b"") == kept
    assert again()[0] == 0
    assert "kept: same request" in capsys.readouterr().out


def test_no_file_that_was_set_aside_is_replaced(
    again: Callable[[], tuple[int, Path]], tmp_path: Path
) -> None:
    wav = tmp_path / "out" / "a.wav" / WAV
    for edit in (b"first", b"second"):
        wav.write_bytes(edit)
        assert again()[0] == 0
    assert (wav.with_name("prediction.changed.wav")).read_bytes() == b"first"
    assert (wav.with_name("prediction.changed2.wav")).read_bytes() == b"second"


def test_an_edited_playlist_and_a_result_from_before_are_kept(
    again: Callable[[], tuple[int, Path]], tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "out" / "a.wav"
    playlist = json.loads((folder / PLAYLIST).read_text())
    playlist["events"][0]["gain_db"] = -3.0
    (folder / PLAYLIST).write_text(json.dumps(playlist))
    stored = json.loads((folder / PREDICTION).read_text())
    del stored["_meta"]["digests"]
    (folder / PREDICTION).write_text(json.dumps(stored))
    before = contents(folder)
    assert again()[0] == 0
    assert "kept: same request" in capsys.readouterr().out
    assert contents(folder) == before
    (folder / WAV).write_bytes(before[WAV][:1000])
    assert again()[0] == 0
    assert f"made again: {WAV} missing or changed" in capsys.readouterr().err
    assert (folder / WAV).read_bytes() == before[WAV]

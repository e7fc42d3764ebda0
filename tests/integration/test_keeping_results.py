"""Which results are kept, made again, refused or numbered, from the command line."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from desc import pipeline
from desc.commands.main import main
from desc.commands.settings_file import SETTINGS
from desc.configuration import RenderConfig
from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.errors import StorageError
from desc.matching import Matcher
from desc.outputs import FILES
from desc.pipeline import Continuer
from desc.prediction import Predictor
from desc.storage import DescriptorStore
from desc.takes import list_takes
from tests.integration.conftest import Workplace

Captured = pytest.CaptureFixture[str]


def test_the_same_request_is_kept(
    results: Path, workplace: Workplace, run_ids: dict[str, str], capsys: Captured
) -> None:
    before = {p: p.stat().st_mtime_ns for p in results.rglob("*.*") if p.is_file()}
    assert workplace.predict(run_ids["LSTM"], results) == 0
    assert {p: p.stat().st_mtime_ns for p in results.rglob("*.*") if p.is_file()} == before
    assert capsys.readouterr().out.count("kept") == 3


@pytest.mark.parametrize("name", ["prediction.wav", "playlist.json", "prediction.json"])
def test_after_a_full_disk_the_same_command_finishes(
    workplace: Workplace,
    run_ids: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    alone = ["--prediction_db_dir", str(workplace.recordings / "a.wav"), "--no-report"]
    replace = os.replace

    def full(source: str, target: str | Path) -> None:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert workplace.predict(run_ids["LSTM"], tmp_path, *alone) == 1
    if name != "prediction.wav":
        assert workplace.predict(run_ids["LSTM"], tmp_path, *alone, "--seed", "9") == 1
    assert workplace.predict(run_ids["LSTM"], tmp_path, *alone) == 0
    assert {path.name for path in (tmp_path / "a.wav").iterdir()} == {*FILES, SETTINGS}


def test_a_result_with_the_former_name_of_the_beam_search_is_kept(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    shutil.copytree(results / "a.wav", tmp_path / "a.wav")
    stored = json.loads((tmp_path / "a.wav" / "prediction.json").read_text())
    assert stored["_meta"]["request"]["selection"] == "beam"
    stored["_meta"]["request"]["selection"] = "path"
    (tmp_path / "a.wav" / "prediction.json").write_text(json.dumps(stored))
    alone = ["--prediction_db_dir", str(workplace.recordings / "a.wav")]
    for name in ("beam", "path"):
        assert workplace.predict(run_ids["LSTM"], tmp_path, *alone, "--selection", name) == 0
        assert "kept" in capsys.readouterr().out


def test_a_result_of_before_the_styles_is_granular(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    shutil.copytree(results / "a.wav", tmp_path / "a.wav")
    stored = json.loads((tmp_path / "a.wav" / "prediction.json").read_text())
    request = stored["_meta"]["request"] | {"continuity": 0.5}
    for name in ("slow_weight", "beat_weight", "max_unit_s", "gain_curve_db"):
        del request[name]
    stored["_meta"]["request"] = request
    (tmp_path / "a.wav" / "prediction.json").write_text(json.dumps(stored))
    alone = ["--prediction_db_dir", str(workplace.recordings / "a.wav"), "--style", "granular"]
    assert workplace.predict(run_ids["LSTM"], tmp_path, *alone) == 0
    assert "kept" in capsys.readouterr().out


def test_another_request_is_refused_then_overwrites(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    output_dir = tmp_path / "out"
    shutil.copytree(results / "a.wav", output_dir / "a.wav")
    (output_dir / "a.wav" / "mine.txt").write_text("keep me")
    before = (output_dir / "a.wav" / "prediction.wav").read_bytes()
    assert workplace.predict(run_ids["LSTM"], output_dir, "--seed", "5") == 1
    message = capsys.readouterr().err
    assert "another request (seed)" in message
    assert "--overwrite" in message
    assert str(output_dir / "a.wav") in message
    assert (output_dir / "a.wav" / "prediction.wav").read_bytes() == before
    assert (output_dir / "b.flac" / "prediction.wav").exists(), "the others go on"
    assert workplace.predict(run_ids["LSTM"], output_dir, "--seed", "5", "--overwrite") == 0
    assert (output_dir / "a.wav" / "prediction.wav").read_bytes() != before
    assert (output_dir / "a.wav" / "mine.txt").read_text() == "keep me"


def test_a_result_loses_its_marker_before_its_sound_is_replaced(
    results: Path,
    workplace: Workplace,
    run_ids: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kill between the two must not leave old settings with new sound."""
    shutil.copytree(results / "a.wav", tmp_path / "a.wav")
    marked: list[bool] = []
    replace = os.replace

    def observed(source: Path, target: Path) -> None:
        if Path(target) == tmp_path / "a.wav" / "prediction.wav":
            marked.append((tmp_path / "a.wav" / "prediction.json").exists())
        replace(source, target)

    monkeypatch.setattr(os, "replace", observed)
    words = ["--prediction_db_dir", str(workplace.recordings / "a.wav"), "--seed", "5"]
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words, "--overwrite") == 0
    assert marked == [False]


def test_a_failing_result_leaves_the_earlier_one(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    """The recording, which precedes the result, is removed once its descriptors are cached."""
    output_dir, recordings = tmp_path / "out", tmp_path / "recordings"
    shutil.copytree(results / "a.wav", output_dir / "a.wav")
    before = {p.name: p.read_bytes() for p in (output_dir / "a.wav").iterdir()}
    recordings.mkdir()
    shutil.copy(workplace.recordings / "a.wav", recordings)
    config, store = DescriptorConfig(), DescriptorStore(workplace.root / "cache")
    corpus = open_corpus(recordings, config, store, jobs=1)
    sounds = open_corpus(workplace.sounds, config, store, jobs=1)
    (recordings / "a.wav").unlink()
    folder = workplace.root / "experiments" / "descriptor_model" / run_ids["LSTM"]
    matcher = Matcher(
        DescriptorDatabase.from_corpus(sounds, store), rendering=RenderConfig(with_recording_s=1.0)
    )
    continuer = Continuer(Predictor.from_run(folder), matcher, store=store)
    result = continuer.run(corpus, output_dir, overwrite=True)
    assert [failure.source for failure in result.failures] == ["a.wav"]
    assert {p.name: p.read_bytes() for p in (output_dir / "a.wav").iterdir()} == before


def test_results_cannot_go_where_a_file_is(
    workplace: Workplace, run_ids: dict[str, str], capsys: Captured
) -> None:
    assert workplace.predict(run_ids["LSTM"], workplace.recordings) == 1
    message = capsys.readouterr().err
    assert "a.wav: cannot hold a result" in message
    assert "unexpected" not in message


def test_without_an_output_folder_results_are_numbered_takes(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def predict(*options: str) -> list[str]:
        words = ["predict", "--run_id", run_ids["LSTM"], "--audio_db_dir", str(workplace.sounds)]
        words += ["--prediction_db_dir", str(workplace.recordings / "a.wav"), "--jobs", "1"]
        assert main([*words, "--prediction_length", "5", *workplace.common(), *options]) == 0
        return re.findall(r"→ (\S+)/prediction.wav", capsys.readouterr().out)

    monkeypatch.chdir(tmp_path)
    assert predict() == ["predictions/a.wav/1"]
    assert predict("--seed", "4", "--n_draws", "2") == [
        "predictions/a.wav/2",
        "predictions/a.wav/3",
    ]
    before = (tmp_path / "predictions/a.wav/2/prediction.wav").stat().st_mtime_ns
    assert predict("--seed", "4", "--overwrite") == ["predictions/a.wav/2"]
    assert (tmp_path / "predictions/a.wav/2/prediction.wav").stat().st_mtime_ns == before
    assert [take.request["seed"] for take in list_takes("predictions/a.wav")] == [0, 4, 4]
    assert "--seed 4" in (tmp_path / "predictions/a.wav/index.html").read_text("utf-8")


def test_a_take_that_fails_leaves_no_folder(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "render_to_file", full)
    words = ["predict", "--run_id", run_ids["LSTM"], "--audio_db_dir", str(workplace.sounds)]
    words += ["--prediction_db_dir", str(workplace.recordings), "--jobs", "1"]
    assert main([*words, "--prediction_length", "5", *workplace.common()]) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not (tmp_path / "predictions" / "a.wav").exists()


def test_ctrl_c_before_the_first_take_is_made_leaves_no_folder(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def interrupted(path: Path, duration_s: float) -> tuple[float, str]:
        seen.append(path)
        if len(seen) == 2:  # the folder of the first recording's take is made
            raise KeyboardInterrupt
        return duration_s, ""

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "find_music_end", interrupted)
    words = ["predict", "--run_id", run_ids["LSTM"], "--audio_db_dir", str(workplace.sounds)]
    words += ["--prediction_db_dir", str(workplace.recordings), "--jobs", "1"]
    assert main([*words, "--prediction_length", "5", *workplace.common()]) == 130
    assert len(seen) == 2
    assert not list((tmp_path / "predictions").rglob("*.json"))
    assert not list((tmp_path / "predictions").glob("*/1"))

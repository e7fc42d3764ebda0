"""The main job from the command line, on small recordings."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from desc import pipeline
from desc.commands.main import main
from desc.commands.settings_file import SETTINGS
from desc.configuration import RenderConfig
from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.errors import StorageError
from desc.matching import Matcher
from desc.models import MODELS
from desc.outputs import FILES, REPORT, REPORT_DATA
from desc.pipeline import Continuer
from desc.prediction import Predictor
from desc.storage import DescriptorStore
from desc.takes import list_takes
from tests.integration.conftest import Workplace

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def results(workplace: Workplace, run_ids: dict[str, str]) -> Path:
    """The results of the default model for every recording."""
    output_dir = workplace.root / "results"
    assert workplace.predict(run_ids["LSTM"], output_dir) == 0
    return output_dir


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_and_continues(
    model: str, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path
) -> None:
    assert re.fullmatch("[a-z0-9]{8}", run_ids[model])
    assert workplace.predict(run_ids[model], tmp_path) == 0
    for source in ("a.wav", "b.flac", "more/a.wav"):
        assert {p.name for p in (tmp_path / source).iterdir()} == {*FILES, REPORT, SETTINGS}
        audio, rate = soundfile.read(tmp_path / source / "prediction.wav", always_2d=True)
        used = set(json.loads((tmp_path / source / "matches.json").read_text())["_id"])
        assert audio.shape == (20 * 1024, 2 if "stereo.wav" in used else 1)
        assert rate == 44100
        assert np.isfinite(audio).all()
        assert np.sqrt(np.mean(audio**2)) > 1e-3


def test_a_prediction_says_all_that_made_it(results: Path, run_ids: dict[str, str]) -> None:
    prediction = json.loads((results / "a.wav" / "prediction.json").read_text())
    meta = prediction["_meta"]
    assert set(meta) == {"request", "versions", "results", "inputs", "digests"}
    assert [Path(folder).name for folder in meta["inputs"].pop("audio_db_dir")] == ["sounds"]
    assert not meta["inputs"]
    assert meta["request"]["run_id"] == run_ids["LSTM"]
    assert meta["request"]["recording"] == "a.wav"
    for name in ("prediction_length", "temperature", "crossfade_ms", "distance", "corpus_digest"):
        assert name in meta["request"]
    figures = meta["results"]
    assert figures["n_frames"] == 20
    # Three recordings of 6 s, of 259 frames each at any rate.
    assert figures["corpus_coverage"] == pytest.approx(figures["distinct_rows"] / (3 * 259))
    assert figures["n_units"] * figures["mean_unit_frames"] == pytest.approx(20)
    assert "torch" in meta["versions"]
    columns = [prediction[f"mfcc{i}"] for i in range(39)]
    assert np.isfinite(columns).all()
    assert {len(column) for column in columns} == {20}
    # 5 s are 220500 samples: frame 214 is the last whose window lies inside.
    assert prediction["_sample"][0] == 215 * 1024
    assert set(prediction["_id"]) == {"a.wav"}


def test_matches_and_playlist_agree(results: Path) -> None:
    matches = json.loads((results / "a.wav" / "matches.json").read_text())
    assert len(matches["_id"]) == len(matches["_sample"]) == len(matches["_distance"]) == 20
    assert set(matches["_id"]) <= {"stereo.wav", "other rate.wav", "compressed.ogg"}
    playlist = json.loads((results / "a.wav" / "playlist.json").read_text())
    assert sum(event["n_samples"] for event in playlist["events"]) == 20 * 1024
    frame = 0
    for event in playlist["events"]:
        assert event["source"] == matches["_id"][frame]
        shift = event["start_sample"] - (matches["_sample"][frame] - 512)
        assert abs(shift) <= 512, "a unit is moved by half a hop at most, to meet an attack"
        assert event["onset_sample"] == frame * 1024
        frame += event["n_samples"] // 1024
    shares = (results / "a.wav" / "credits.txt").read_text().splitlines()
    assert sum(float(line.split("%")[0]) for line in shares) == pytest.approx(100, abs=0.2)


def test_the_report_may_be_left_out_and_is_never_of_another_result(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    page = (results / "a.wav" / REPORT).read_text(encoding="utf-8")
    assert "Continuation of a.wav" in page
    shutil.copytree(results / "a.wav", tmp_path / "a.wav")
    words = ["--no-report", "--overwrite", "--seed", "9"]
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 0
    assert {p.name for p in (tmp_path / "a.wav").iterdir()} == {*FILES, SETTINGS}
    capsys.readouterr()
    assert workplace.predict(run_ids["LSTM"], tmp_path, "--seed", "9") == 0
    assert capsys.readouterr().out.count("kept") == 3, "a report is no part of the request"
    assert (tmp_path / "a.wav" / REPORT).is_file(), "a kept result gets the page it lacks"


def test_a_report_that_cannot_be_written_leaves_the_result(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(folder: Path) -> None:
        raise StorageError(f"{folder}: the disk is full")

    monkeypatch.setattr(pipeline, "write_result_report", fail)
    alone = str(workplace.recordings / "b.flac")
    words = ["--prediction_db_dir", alone]
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 0
    assert "no report: " in capsys.readouterr().err
    assert {p.name for p in (tmp_path / "b.flac").iterdir()} == {*FILES, SETTINGS}


def test_selection_is_chosen_and_told(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    shutil.copytree(results / "a.wav", tmp_path / "a.wav")
    words = ["--selection", "nearest", "--neighbours", "3"]
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 1
    assert "another request (neighbours, selection)" in capsys.readouterr().err
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words, "--overwrite") == 0
    path, nearest = (
        json.loads((folder / "a.wav" / "matches.json").read_text())
        for folder in (results, tmp_path)
    )
    assert "_candidates" not in path
    assert [frame[0] for frame in nearest["_candidates"]["_sample"]] == nearest["_sample"]
    assert {len(frame) for frame in nearest["_candidates"]["_distance"]} == {3}
    figures = [
        json.loads((folder / "a.wav" / "prediction.json").read_text())["_meta"]["results"]
        for folder in (results, tmp_path)
    ]
    assert 0 <= figures[0]["repeated_share"] <= 1
    assert figures[0]["n_units"] <= figures[1]["n_units"]
    for folder, figure in zip((path, nearest), figures, strict=True):
        assert figure["mean_match_distance"] == pytest.approx(np.mean(folder["_distance"]))


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
    for name in ("slow_weight", "beat_weight", "max_unit_s"):
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


def test_one_seed_gives_one_result(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path
) -> None:
    words = ("--include", "*")
    alone = workplace.recordings / "b.flac"
    assert workplace.predict(
        run_ids["LSTM"], tmp_path, "--prediction_db_dir", str(alone), *words
    ) == 0  # fmt: skip
    for name in ("prediction.wav", "matches.json", "playlist.json"):
        assert (tmp_path / "b.flac" / name).read_bytes() == (results / "b.flac" / name).read_bytes()


def test_several_samples_of_a_recording(
    results: Path, workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    def predict(*options: str) -> int:
        recording = ["--prediction_db_dir", str(workplace.recordings / "a.wav")]
        return workplace.predict(run_ids["LSTM"], tmp_path, *recording, *options)

    assert predict("--n_samples", "2") == 0
    folder = tmp_path / "a.wav"
    line = capsys.readouterr().out.splitlines()[0]
    for figure in ("mean unit", "mean distance", "distinct rows =", "% of the corpus, repeats"):
        assert figure in line
    assert {p.name for p in folder.iterdir()} == {"1", "2"}
    assert {p.name for p in (folder / "2").iterdir()} == {*FILES, REPORT, SETTINGS}
    first, second = (json.loads((folder / n / "prediction.json").read_text()) for n in "12")
    assert first["mfcc0"] != second["mfcc0"]
    assert second["_meta"]["request"]["sample"] == 2
    alone = results / "a.wav"
    # By the same digests and settings the first sample is the only one of 1. An Ogg stream, as
    # the report's data hold one, has a random number.
    for name in set(FILES) - {REPORT_DATA}:
        assert (folder / "1" / name).read_bytes() == (alone / name).read_bytes()
    capsys.readouterr()
    assert predict("--n_samples", "3") == 0, "more samples leave those that are there"
    assert capsys.readouterr().out.count("kept") == 2
    assert predict() == 0, "a result without a number lies beside"
    assert (folder / "prediction.wav").read_bytes() == (alone / "prediction.wav").read_bytes()
    assert predict("--n_samples", "2", "--seed", "9") == 1
    message = capsys.readouterr().err
    assert message.count("another request (seed)") == 2
    assert "1 of 1 recordings could not be continued" in message
    assert predict("--n_samples", "2", "--sampling", "mean") == 2
    assert "n_draws=2 must be 1 where nothing is drawn" in capsys.readouterr().err


def test_a_playlist_renders_again(
    run_ids: dict[str, str], workplace: Workplace, tmp_path: Path, capsys: Captured
) -> None:
    results = tmp_path / "results"
    assert workplace.predict(run_ids["LSTM"], results, "--selection", "nearest") == 0
    playlist = results / "a.wav" / "playlist.json"
    again, other = tmp_path / "again.wav", tmp_path / "other.wav"
    cache = ["--cache_dir", str(workplace.root / "cache")]
    assert main(["render", str(playlist), "--output_path", str(again), *cache]) == 0
    assert again.read_bytes() == (results / "a.wav" / "prediction.wav").read_bytes()
    words = ["render", str(playlist), "--output_path", str(other), "--crossfade_ms", "0", *cache]
    assert main(words) == 0
    assert soundfile.info(other).frames == soundfile.info(again).frames
    assert other.read_bytes() != again.read_bytes()
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_recordings_that_cannot_be_continued_do_not_stop_the_others(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    shutil.copy(workplace.recordings / "a.wav", folder / "good.wav")
    soundfile.write(folder / "short.wav", np.sin(np.arange(5000) / 9), 44100)
    (folder / "broken.wav").write_bytes(b"RIFF but no more")
    output_dir = tmp_path / "out"
    status = workplace.predict(
        run_ids["LSTM"], output_dir, "--prediction_db_dir", str(folder)
    )  # fmt: skip
    message = capsys.readouterr().err
    assert status == 1
    assert "short.wav: not continued" in message
    assert message.count("broken.wav") == 1, "as a failure, and not as a skipped file"
    assert "2 of 3 recordings could not be continued" in message
    assert (output_dir / "good.wav" / "prediction.wav").exists()
    assert sorted(p.name for p in output_dir.iterdir()) == ["good.wav"]
    both = ["--prediction_db_dir", str(folder), "--audio_db_dir", str(folder)]
    assert workplace.predict(run_ids["LSTM"], tmp_path / "own", *both) == 1
    message = capsys.readouterr().err
    assert message.count("broken.wav") == 1, "named once, though both folders hold it"
    assert message.count("short.wav") == 1


def test_the_recording_can_go_before(
    workplace: Workplace, run_ids: dict[str, str], results: Path, tmp_path: Path
) -> None:
    assert workplace.predict(
        run_ids["LSTM"], tmp_path, "--with_recording_s", "1", "--subtype", "FLOAT"
    ) == 0  # fmt: skip
    audio, _ = soundfile.read(tmp_path / "a.wav" / "prediction.wav", always_2d=True)
    assert len(audio) == 44100 + 20 * 1024
    recording, _ = soundfile.read(workplace.recordings / "a.wav")
    cut = 215 * 1024 - 512
    # All but the half fade before the join is the recording, sample by sample.
    np.testing.assert_array_equal(audio[: 44100 - 441, 0], recording[cut - 44100 : cut - 441])


def test_an_unknown_run_is_an_error_that_names_the_places(
    workplace: Workplace, tmp_path: Path, capsys: Captured
) -> None:
    assert workplace.predict("zzzzzzzz", tmp_path, "--offline") == 1
    message = capsys.readouterr().err
    assert "zzzzzzzz" in message
    assert str(workplace.root / "experiments") in message


def test_the_runs_are_listed(
    workplace: Workplace, run_ids: dict[str, str], capsys: Captured
) -> None:
    words = ["runs", "--experiment_dir", str(workplace.root / "experiments")]
    assert main(words) == 0
    listed = capsys.readouterr().out
    for model, run_id in run_ids.items():
        assert re.search(f"{run_id} .*{model}", listed)


def test_extract_export_and_cache(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    del run_ids  # they filled the cache
    cache = ["--cache_dir", str(workplace.root / "cache")]
    folder = ["--audio_db_dir", str(workplace.recordings), "--jobs", "1"]
    assert main(["extract", *folder, *cache]) == 0
    assert "3 files," in (text := capsys.readouterr().out)
    assert "0 extracted now" in text
    words = ["export", *folder, *cache, "--output_dir", str(tmp_path), "--format", "npz"]
    assert main(words) == 0
    with np.load(tmp_path / "more" / "a.wav.npz") as exported:
        assert exported["values"].shape == (216, 39)
    assert main(["cache", *cache]) == 0
    assert "3" in capsys.readouterr().out
    assert main(["extract", "--audio_db_dir", str(workplace.recordings / "more"), *cache]) == 0
    assert "1 file," in capsys.readouterr().out


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


def test_wrong_weights_are_usage(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path, capsys: Captured
) -> None:
    words = ("--descriptor_weights", "foo=.5")
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 2
    assert capsys.readouterr().err.count("foo=.5") == 1
    words = ("--duration_s", "3")
    assert workplace.predict(run_ids["LSTM"], tmp_path, *words) == 2
    assert "not both" in capsys.readouterr().err
    assert workplace.predict(run_ids["LSTM"], workplace.sounds / "out") == 2
    assert "must lie outside audio_db_dir" in capsys.readouterr().err
    assert not (workplace.sounds / "out").exists()
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_refuses_what_it_cannot_change(
    workplace: Workplace, run_ids: dict[str, str], capsys: Captured
) -> None:
    words = ["train", "--audio_db_dir", str(workplace.recordings), "--jobs", "1"]
    words += [*workplace.common(), "--resume_run_id", run_ids["LSTMEncoderDecoderModel"]]
    assert main([*words, "--selected_model", "LSTM"]) == 2
    assert "selected_model='LSTM' (the run has 'LSTMEncoderDecoderModel')" in (
        capsys.readouterr().err
    )
    assert main(words) == 0
    assert "nothing is left to do" in capsys.readouterr().err


def test_a_run_learns_at_other_speeds_and_is_gone_on_with(
    workplace: Workplace, capsys: Captured
) -> None:
    assert workplace.train("LSTM", "--speeds", "0.9", "1.1", "--epochs", "1") == 0
    told = capsys.readouterr()
    assert "recordings at 3 speeds" in told.err
    run_id = told.out.strip().splitlines()[-1].removeprefix("run id: ")
    folder = workplace.root / "experiments" / "descriptor_model" / run_id
    record = json.loads((folder / "run.json").read_text())
    learned = sorted(record["training_files"].values())
    assert len(learned) % 3 == 0
    assert learned[1::3] == [f"{source} at 0.9" for source in learned[::3]]
    assert not any(" at " in source for source in record["validation_files"].values())
    record["status"] = "stopped"
    (folder / "run.json").write_text(json.dumps(record))
    words = ["train", "--audio_db_dir", str(workplace.recordings), "--jobs", "1"]
    assert main([*words, *workplace.common(), "--resume_run_id", run_id]) == 0
    assert capsys.readouterr().out.strip().endswith(run_id)


def test_what_this_machine_lacks_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "--audio_db_dir", "nowhere", "--cache_dir", "cache"]
    missing = "cuda" if torch.backends.mps.is_available() else "mps"
    for option in (["--accelerator", missing], ["--accelerator", "cpu", "--precision", "16-mixed"]):
        assert main([*words, *option]) == 2
        assert f"{option[-2][2:]}='{option[-1]}'" in capsys.readouterr().err
    assert main(["demo", "--jobs", "0"]) == 2
    assert "jobs=0 must be -1 (all cores) or at least 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_training_writes_audio_samples(workplace: Workplace, capsys: Captured) -> None:
    sounds = ["--sample_audio_db_dir", str(workplace.sounds), "--save_interval", "2"]
    assert workplace.train("LSTM", *sounds, "--epochs", "5", "--sample_every_epochs", "2") == 0
    run_id = capsys.readouterr().out.strip().splitlines()[-1].removeprefix("run id: ")
    runs = workplace.root / "experiments" / "descriptor_model"
    samples = sorted((runs / run_id / "samples").iterdir())
    assert [path.name[:10] for path in samples] == ["epoch_0002", "epoch_0004", "epoch_0005"]
    for path in samples:
        audio, rate = soundfile.read(path, always_2d=True)
        assert len(audio) == 216 * 1024  # 5 s, whole frames
        assert rate == 44100
        assert np.sqrt(np.mean(audio**2)) > 1e-3
    assert samples[0].read_bytes() != samples[1].read_bytes()


def test_a_bad_sample_folder_is_refused_before_training(
    workplace: Workplace, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "empty").mkdir()
    before = sorted((workplace.root / "experiments").rglob("run.json"))
    for folder in ("missing", "empty"):
        assert workplace.train("LSTM", "--sample_audio_db_dir", str(tmp_path / folder)) != 0
        assert str(tmp_path / folder) in capsys.readouterr().err
    assert sorted((workplace.root / "experiments").rglob("run.json")) == before


def test_the_scripts_are_the_commands(
    workplace: Workplace, run_ids: dict[str, str], tmp_path: Path
) -> None:
    scripts = Path(__file__).parents[2] / "desc"

    def call(script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(scripts / script), *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert "--window_size" in call("train_function.py", "--help").stdout
    done = call(
        "predict_function.py", "--run_id", run_ids["LSTM"], "--quiet",
        "--prediction_db_dir", str(workplace.recordings / "a.wav"), "--jobs", "1",
        "--audio_db_dir", str(workplace.sounds), "--prediction_length", "5", "--n_samples", "2",
        *workplace.common(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for sample in "12":
        assert (tmp_path / "predictions" / "a.wav" / sample / "prediction.wav").exists()
    refused = call("train_function.py", "--audio_db_dir", str(tmp_path), "--window_size", "0")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


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

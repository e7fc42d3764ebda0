"""A recording continued in one call: which run it uses, what it returns, what it tells."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import desc
from desc.continuing import continue_recording, find_run
from desc.errors import AudioError, RunNotFoundError
from tests.small_run import SmallRun


@pytest.fixture
def run_config(small_run: SmallRun) -> desc.RunConfig:
    return desc.RunConfig(str(small_run.root / "experiments"), offline=True)


def recordings_of(small_run: SmallRun, folder: Path) -> desc.Corpus:
    return desc.open_corpus(folder, store=small_run.store, jobs=1)


def test_the_run_of_the_folder_is_used_and_the_result_is_a_take(
    small_run: SmallRun, run_config: desc.RunConfig, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO, "desc")

    def again(seed: int) -> desc.Result:
        return continue_recording(
            small_run.root / "training" / "<b>two.wav", small_run.root / "held_out", 1.0,
            prediction=desc.PredictConfig(seed=seed), output_dir=tmp_path / "out", run=run_config,
            store=small_run.store, jobs=1,
        )  # fmt: skip

    result = again(0)
    assert result.run_id == small_run.run_id
    assert f"using run {small_run.run_id} (LSTM), trained on the 3 recordings" in caplog.text
    assert result.take.number == 1
    assert result.take.folder == tmp_path / "out" / "<b>two.wav" / "1"
    n_samples = result.audio.samples.shape[0]
    assert n_samples == 44 * 1024, "a second is 43.07 frames"
    assert sum(event.n_samples for event in result.playlist.events) == n_samples
    assert result.report.is_file()
    shown = result._repr_html_()
    assert "<audio controls" in shown
    assert "&lt;b&gt;two.wav" in shown
    assert again(5).take.number == 2
    kept = again(0)
    assert (kept.take.number, kept.outcome.status) == (1, "kept")


def test_runs_of_other_recordings_or_descriptors_are_not_used(
    small_run: SmallRun, run_config: desc.RunConfig, tmp_path: Path
) -> None:
    copy = tmp_path / "Aufnahmen für später"
    shutil.copytree(small_run.root / "training", copy)
    moved = recordings_of(small_run, copy)
    found = find_run(moved, run_config)
    assert found is not None, "recordings are known by their content"
    assert found.run_id == small_run.run_id
    fewer = replace(moved, sequences=moved.sequences[1:])
    assert find_run(fewer, run_config) is None
    other = replace(moved, config=replace(moved.config, n_mfcc=12))
    assert find_run(other, run_config) is None
    assert find_run(moved, desc.RunConfig(str(tmp_path / "nowhere"))) is None


def test_finished_runs_come_before_stopped_ones(
    small_run: SmallRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    recordings = recordings_of(small_run, small_run.root / "training")
    run = desc.RunConfig(str(tmp_path))
    for run_id, status in (
        ("aaaaaaaa", "finished"),
        ("bbbbbbbb", "stopped"),
        ("cccccccc", "failed"),
    ):
        folder = tmp_path / run.project / run_id
        shutil.copytree(small_run.record.folder, folder)
        replace(small_run.record, run_id=run_id, folder=folder, status=status).save()
    found = find_run(recordings, run)
    assert found is not None
    assert found.run_id == "aaaaaaaa"
    shutil.rmtree(found.folder)
    found = find_run(recordings, run)
    assert found is not None
    assert found.run_id == "bbbbbbbb"
    assert "desc train --resume_run_id bbbbbbbb goes on with it" in caplog.text
    shutil.rmtree(found.folder / "checkpoints")
    assert find_run(recordings, run) is None


def test_of_finished_runs_the_one_nearest_to_the_music_is_used(
    small_run: SmallRun, tmp_path: Path
) -> None:
    recordings = recordings_of(small_run, small_run.root / "training")
    run = desc.RunConfig(str(tmp_path))
    for run_id, val_fd in (("aaaaaaaa", None), ("bbbbbbbb", 4.0), ("cccccccc", 9.0)):
        folder = tmp_path / run.project / run_id
        shutil.copytree(small_run.record.folder, folder)
        metrics = {"real_fd": 2.0} | ({} if val_fd is None else {"val_fd": val_fd})
        replace(small_run.record, run_id=run_id, folder=folder, metrics=metrics).save()
    found = find_run(recordings, run)
    assert found is not None
    assert found.run_id == "bbbbbbbb"


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(desc.DescError, match="is a folder; give one recording"):
        continue_recording(tmp_path, tmp_path)


def test_a_lone_recording_is_learned_alone(
    small_run: SmallRun, tmp_path: Path, make_signal: Callable[..., np.ndarray],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO, "desc")
    (tmp_path / "sounds" / "deeper").mkdir(parents=True)
    (tmp_path / ".hidden.wav").write_bytes(b"no sound")
    song = tmp_path / "Lied – 1.wav"
    soundfile.write(song, make_signal("notes", 6.0, seed=90), 44100)
    soundfile.write(tmp_path / "sounds" / "s.wav", make_signal("notes", 6.0, seed=91), 44100)

    def again() -> desc.Result:
        return continue_recording(
            song, tmp_path / "sounds", 0.5, output_dir=tmp_path / "predictions",
            run=desc.RunConfig(str(tmp_path / "experiments"), offline=True), max_time_s=1.0,
            store=small_run.store, jobs=1,
        )  # fmt: skip

    result = again()
    record = desc.resolve_run(result.run_id, desc.RunConfig(str(tmp_path / "experiments")))
    assert set(record.training_files.values()) == {"Lied – 1.wav"}
    assert (
        "no run was trained on this recording alone yet; training one takes at most 1 s, "
        "the continuation then up to 20 s" in caplog.text
    )
    assert "its end is held out" in caplog.text
    assert record.inputs == {"audio_db_dir": [str(song)]}, "so that the run can be resumed"
    assert again().run_id == result.run_id


def test_what_is_missing_is_named(
    small_run: SmallRun, run_config: desc.RunConfig, tmp_path: Path
) -> None:
    sounds = small_run.root / "held_out"
    with pytest.raises(AudioError, match="no such file"):
        continue_recording(tmp_path / "none.wav", sounds, run=run_config)
    (tmp_path / "broken.wav").write_bytes(b"no sound at all")
    shutil.copy(sounds / "y.wav", tmp_path)
    with pytest.raises(AudioError, match=r"broken.wav: cannot be used: "):
        continue_recording(
            tmp_path / "broken.wav", sounds, run=run_config, store=small_run.store, jobs=1
        )
    with pytest.raises(RunNotFoundError, match="no-such-run was not found"):
        continue_recording(
            tmp_path / "y.wav", sounds, run=run_config, run_id="no-such-run", store=small_run.store
        )

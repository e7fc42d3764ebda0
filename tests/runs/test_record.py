"""`RunRecord`: written, moved, read back, and refused where it is damaged."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import desc
from desc.engine.checkpoint import save_checkpoint
from desc.errors import CheckpointError, ConfigurationError
from desc.runs import Record, RunRecord, SoundRecord, versions
from desc.runs.lock import lock_run
from tests.fuzzing import fuzz

MakeRecord = Callable[..., RunRecord]


def test_a_record_is_read_back_from_where_it_was_moved(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    record = make_record(
        metrics={"val_nll": 12.5, "var_nll": math.nan}, entity="somebody", project=".étude 1"
    )
    record.save()
    moved = shutil.move(record.folder, tmp_path / "elsewhere")
    read = RunRecord.load(Path(moved))
    assert math.isnan(read.metrics.pop("var_nll"))
    assert read == replace(record, folder=Path(moved), metrics={"val_nll": 12.5})


def test_the_record_names_the_versions() -> None:
    found = versions()
    assert found["desc"] == desc.__version__
    assert set(found) >= {"python", "torch", "soxr", "numpy", "pytorch-lightning", "wandb"}


def test_settings_are_spelled_as_everywhere(make_record: MakeRecord) -> None:
    settings = make_record().settings
    assert settings["n_mfcc"] == 12
    assert settings["selected_model"] == "LSTM"
    assert settings["notes"] == "first try"


def test_saving_again_replaces_the_file_and_leaves_nothing_else(make_record: MakeRecord) -> None:
    record = make_record(status="running")
    record.save()
    replace(record, status="finished").save()
    assert RunRecord.load(record.folder).status == "finished"
    assert [path.name for path in record.folder.iterdir()] == ["run.json"]


def test_an_unknown_status_is_refused(make_record: MakeRecord) -> None:
    with pytest.raises(ConfigurationError, match="status='asleep'"):
        make_record(status="asleep")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "damaged"),
        ('{"format": "desc-run", "vers', "damaged"),
        ("[]", "not the record of a run"),
        ('{"format": "other"}', "not the record of a run"),
        ('{"format": "desc-run", "version": "x"}', "version='x'"),
        ('{"format": "desc-run", "version": 99}', "version=99 is newer"),
        ('{"format": "desc-run", "version": 1}', "no 'metrics'"),
    ],
)
def test_a_damaged_record_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(CheckpointError, match=message) as error:
        RunRecord.load(tmp_path)
    assert str(tmp_path / "run.json") in str(error.value)


def test_settings_of_a_later_version_are_named(make_record: MakeRecord) -> None:
    record = make_record()
    record.save()
    path = record.folder / "run.json"
    content = json.loads(path.read_text())
    content["model_config"]["n_heads_of_state"] = 4
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="n_heads_of_state"):
        RunRecord.load(record.folder)


def test_arrays_are_read_back_equal_and_read_only(make_record: MakeRecord) -> None:
    record = make_record()
    arrays = {"coefficients": np.random.default_rng(0).normal(size=(16, 3, 3)), "n": np.array(2)}
    record.save_arrays(arrays)
    read = record.load_arrays()
    assert set(read) == set(arrays)
    assert all(np.array_equal(read[name], arrays[name]) for name in arrays)
    with pytest.raises(ValueError, match="read-only"):
        read["coefficients"][0] = 0


def test_arrays_that_need_pickle_are_refused(make_record: MakeRecord) -> None:
    record = make_record()
    with pytest.raises(CheckpointError, match="files must contain plain numbers"):
        record.save_arrays({"files": np.array([Path("a")], dtype=object)})
    record.save()
    np.savez(record.folder / "statistics.npz", evil=np.array([{}], dtype=object))
    with pytest.raises(CheckpointError, match=r"statistics\.npz"):
        record.load_arrays()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"text"])
def test_damaged_arrays_are_refused_by_name(make_record: MakeRecord, content: bytes) -> None:
    record = make_record()
    record.save()
    with pytest.raises(CheckpointError, match=r"statistics\.npz"):
        record.load_arrays()
    (record.folder / "statistics.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"statistics\.npz"):
        record.load_arrays()


def use(record: Record) -> object:
    """Read what a list of runs and a prediction read."""
    return repr(record), f"{record.model_name:<28}{record.created[:16]}", record.settings


def test_any_damage_to_a_record_is_an_error_that_names_it(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    sound = SoundRecord(
        run_id="2t212ycn",
        folder=tmp_path / "2t212ycn",
        generator="vocos",
        mel_config={"n_mels": 80},
        model_config={"ratios": [8, 8]},
        train_config={"notes": "a"},
    )
    for record in (make_record(entity="me"), sound):
        record.save()
        fuzz(record.folder / "run.json", lambda path: use(Record.load(path.parent)), 300)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run_id", "../../elsewhere"),
        ("project", ".."),
        ("run_id", "C:\\x"),
        ("run_id", "."),
        ("run_id", ""),
        ("training_files", {"00": 5}),
        ("versions", []),
        ("offline", "no"),
        ("created", None),
        ("metrics", {"val_loss": 10**400}),
        ("model_config", {"selected_model": None}),
        ("model_config", {"hidden_size": 10**9}),
        ("descriptor_config", {"descriptors": [["mfcc"]]}),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(
    make_record: MakeRecord, name: str, value: object
) -> None:
    record = make_record()
    record.save()
    path = record.folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(CheckpointError, match=r"run\.json: not a complete record"):
        RunRecord.load(record.folder)


def test_any_damage_to_arrays_is_an_error_that_names_them(make_record: MakeRecord) -> None:
    record = make_record()
    record.save_arrays({"mean": np.arange(5.0), "count": np.array(3)})
    fuzz(record.folder / "statistics.npz", lambda path: record.load_arrays(), 200)


def test_a_run_whose_process_is_gone_counts_as_killed(make_record: MakeRecord) -> None:
    record = make_record(status="running")
    record.save()
    assert record.state == "killed"  # as a run of a version without locks
    lock = lock_run(record.folder)
    assert lock is not None
    assert record.state == "running"
    lock.release()
    assert record.state == "killed"
    assert replace(record, status="stopped").state == "stopped"


def test_the_best_checkpoint_falls_back_to_the_last(make_record: MakeRecord) -> None:
    record = make_record(status="running")
    folder = record.folder / "checkpoints"
    folder.mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"1t212ycn \(killed\) has no checkpoint"):
        record.checkpoint()
    save_checkpoint(folder / "last.ckpt", {"x": 1})
    assert record.checkpoint("best") == folder / "last.ckpt"
    save_checkpoint(folder / "best.ckpt", {"x": 2})
    assert record.checkpoint("best") == folder / "best.ckpt"
    assert record.checkpoint("last") == folder / "last.ckpt"
    with pytest.raises(ConfigurationError, match="which='first'"):
        record.checkpoint("first")


def test_a_damaged_checkpoint_is_replaced_by_the_next_best(
    make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    record = make_record()
    best, last = (record.folder / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    for path in (best, last):
        save_checkpoint(path, {"x": torch.arange(100)})
    content = best.read_bytes()
    place = content.index(torch.arange(100).numpy().tobytes()) + 5
    best.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert record.checkpoint() == last
    assert "checksum" in caplog.text
    assert "using last.ckpt" in caplog.text
    last.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"no intact checkpoint.*best\.ckpt.*last\.ckpt"):
        record.checkpoint()

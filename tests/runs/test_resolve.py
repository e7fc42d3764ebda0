"""A run id resolves locally first, and the error names every place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import desc.runs.wandb_sync
from desc.configuration import ModelConfig, RunConfig
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.engine.checkpoint import save_checkpoint
from desc.errors import CheckpointError, RunNotFoundError, TrackingError
from desc.runs import RunRecord, list_runs, resolve_run, upload_run

MakeRecord = Callable[..., RunRecord]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is started here."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("W&B was asked")

    monkeypatch.setattr(desc.runs.wandb_sync, "Worker", refuse)


def test_paths_come_first(make_record: MakeRecord, tmp_path: Path, run_config: RunConfig) -> None:
    make_record().save()
    other = make_record(tmp_path / "1t212ycn", metrics={"val_nll": 1.0})
    other.save()
    for path in (other.folder, "1t212ycn", other.folder / "run.json", f"{other.folder}/"):
        assert resolve_run(path, run_config).metrics == {"val_nll": 1.0}


def test_a_checkpoint_names_its_run(make_record: MakeRecord, run_config: RunConfig) -> None:
    record = make_record()
    record.save()
    for name in ("last", "best"):
        save_checkpoint(record.folder / "checkpoints" / f"{name}.ckpt", {"x": 1})
    last = record.folder / "checkpoints" / "last.ckpt"
    assert resolve_run(record.folder, run_config).checkpoint().name == "best.ckpt"
    assert resolve_run(last, run_config).checkpoint() == last
    assert resolve_run(last, run_config).run_id == "1t212ycn"


def test_a_checkpoint_alone_is_enough(
    tmp_path: Path, run_config: RunConfig, messages: Callable[[], list[str]]
) -> None:
    from desc.models import create_model
    from desc.models.checkpoint import load_model, save_model
    from desc.models.statistics import fit_statistics

    config = DescriptorConfig(n_mfcc=2, descriptors=("mfcc",))
    values = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    statistics = fit_statistics([DescriptorSequence(values, config, "a.wav", "00", 40 * 1024)])
    model = create_model(ModelConfig(hidden_size=8), config, statistics)
    save_model(model, tmp_path / "sent by a friend.ckpt")
    record = resolve_run("sent by a friend.ckpt", run_config)
    assert record.descriptor_config == config
    assert record.model_config.hidden_size == 8
    assert load_model(record.checkpoint()).descriptor_config == config
    (tmp_path / "run.json").write_text("{")
    again = resolve_run("sent by a friend.ckpt", run_config)
    assert (again.model_config, again.checkpoint()) == (record.model_config, record.checkpoint())
    assert "run.json: no valid JSON" in messages()[-1]
    (tmp_path / "other.ckpt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"other\.ckpt"):
        resolve_run("other.ckpt", run_config)


def test_the_project_comes_before_the_downloads(
    make_record: MakeRecord, tmp_path: Path, run_config: RunConfig
) -> None:
    downloads = tmp_path / "downloads"
    make_record(downloads / "me" / "descriptor_model" / "1t212ycn", metrics={"x": 2.0}).save()
    assert resolve_run("1t212ycn", run_config, downloads).metrics == {"x": 2.0}
    assert resolve_run("me/descriptor_model/1t212ycn", run_config, downloads).metrics == {"x": 2.0}
    with pytest.raises(RunNotFoundError):
        resolve_run("you/descriptor_model/1t212ycn", run_config, downloads)
    make_record().save()
    for name in ("1t212ycn", "descriptor_model/1t212ycn", "me/descriptor_model/1t212ycn"):
        assert resolve_run(name, run_config, downloads).metrics == {"val_nll": 12.5}


def test_a_run_of_another_project_is_used_with_a_note(
    make_record: MakeRecord,
    tmp_path: Path,
    run_config: RunConfig,
    messages: Callable[[], list[str]],
) -> None:
    make_record(tmp_path / "experiments" / "quartet" / "1t212ycn").save()
    assert resolve_run("1t212ycn", run_config).folder.parent.name == "quartet"
    assert messages() == ["run 1t212ycn was found in project quartet, not descriptor_model"]


def test_the_error_names_every_place(
    make_record: MakeRecord, tmp_path: Path, run_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_record().save()
    path = tmp_path / "experiments" / "descriptor_model" / "1t212ycn" / "run.json"
    path.write_text("{")
    with pytest.raises(RunNotFoundError) as error:
        resolve_run("1t212ycn", run_config, tmp_path / "downloads")
    lines = str(error.value).splitlines()
    assert lines[0] == "run 1t212ycn was not found:"
    assert lines[1] == "  path 1t212ycn: no such run folder or .ckpt file"
    assert "run.json: no valid JSON, perhaps damaged" in lines[2]
    assert "not in any other project" in lines[3]
    assert str(tmp_path / "downloads") in lines[4]
    assert lines[5].startswith("  W&B descriptor_model/1t212ycn: not contacted (no W&B API key")
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with pytest.raises(RunNotFoundError, match=r"not contacted \(offline\)"):
        resolve_run("1t212ycn", RunConfig(experiment_dir="experiments", offline=True))
    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(RunNotFoundError, match=r"not contacted \(W&B is set to offline\)"):
        resolve_run("1t212ycn", run_config)


def test_an_empty_name_is_said_to_be_empty(run_config: RunConfig) -> None:
    with pytest.raises(RunNotFoundError, match="run_id is empty; give a run's id or folder"):
        resolve_run(" ", run_config)


@pytest.mark.parametrize("text", ["../../secret", "a/b/c/d", "..", "x*", "", "sub/../../x"])
def test_what_is_no_id_is_looked_for_as_a_path_only(text: str, run_config: RunConfig) -> None:
    with pytest.raises(RunNotFoundError) as error:
        resolve_run(text, run_config)
    assert len(str(error.value).splitlines()) == 2


def test_a_damaged_run_named_by_its_path_is_said_to_be_damaged(
    make_record: MakeRecord, run_config: RunConfig
) -> None:
    record = make_record()
    record.save()
    (record.folder / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        resolve_run(record.folder, run_config)


def test_runs_are_listed_oldest_first_and_damaged_ones_reported(
    make_record: MakeRecord,
    tmp_path: Path,
    run_config: RunConfig,
    messages: Callable[[], list[str]],
) -> None:
    assert list_runs(run_config) == []
    root = tmp_path / "experiments" / "descriptor_model"
    for run_id, created in (("bbbbbbbb", "2026-01-02"), ("aaaaaaaa", "2026-01-03"), ("c", "2026")):
        make_record(root / run_id, created=created).save()
    make_record(root / "dddddddd").save()
    (root / "dddddddd" / "run.json").write_text("?")
    records = list_runs(run_config)
    assert [record.run_id for record in records] == ["c", "bbbbbbbb", "aaaaaaaa"]
    (line,) = messages()
    assert "dddddddd" in line


def test_an_upload_says_why_it_cannot_be(make_record: MakeRecord, run_config: RunConfig) -> None:
    with pytest.raises(TrackingError, match="1t212ycn was not sent: no W&B API key"):
        upload_run(make_record(), run_config)

"""Names and notes of runs, and finding runs by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from desc.configuration import RunConfig
from desc.errors import ConfigurationError, RunNotFoundError, StorageError
from desc.runs import RunLog, RunRecord, delete_run, resolve_record, resolve_run, write_label

MakeRecord = Callable[..., RunRecord]


@pytest.fixture
def runs(make_record: MakeRecord, run_config: RunConfig) -> dict[str, RunRecord]:
    """Three runs; the newest is bbbbbbbb."""
    project = Path(run_config.experiment_dir) / run_config.project
    days = {"aaaaaaaa": "01", "bbbbbbbb": "03", "cccccccc": "02"}
    for run_id, day in days.items():
        make_record(project / run_id, run_id=run_id, created=f"2026-11-{day}T00:00").save()
    return {run_id: RunRecord.load(project / run_id) for run_id in days}


def local(name: str, run_config: RunConfig) -> str:
    return resolve_record(RunRecord, name, run_config, timeout_s=0).run_id


def test_a_run_is_found_by_its_name(runs: dict[str, RunRecord], run_config: RunConfig) -> None:
    write_label(runs["aaaaaaaa"].folder, name="night garden, 2")
    assert resolve_run("night garden, 2", run_config).run_id == "aaaaaaaa"
    assert runs["aaaaaaaa"].name == "night garden, 2"
    assert "aaaaaaaa night garden, 2: " in repr(runs["aaaaaaaa"])
    write_label(runs["aaaaaaaa"].folder, name="day garden")
    assert local("day garden", run_config) == "aaaaaaaa"
    elsewhere = replace(run_config, project="other")
    assert local("day garden", elsewhere) == "aaaaaaaa"
    with pytest.raises(RunNotFoundError, match="did you mean day garden"):
        local("night garden", run_config)


def test_last_is_the_newest(runs: dict[str, RunRecord], run_config: RunConfig) -> None:
    assert local("last", run_config) == "bbbbbbbb"
    with pytest.raises(RunNotFoundError, match="there is no run yet"):
        local("last", replace(run_config, project="none"))


def test_names_are_plain_and_free(runs: dict[str, RunRecord], run_config: RunConfig) -> None:
    folder = runs["aaaaaaaa"].folder
    for name in ("last", "a/b", "a:b", " a", "..", "x\n"):
        with pytest.raises(ConfigurationError, match="must be plain text"):
            write_label(folder, name=name)
    with pytest.raises(ConfigurationError, match="ids of other runs"):
        write_label(folder, name="cccccccc")
    write_label(folder, name="garden")
    write_label(folder, name="garden")
    with pytest.raises(ConfigurationError, match="run aaaaaaaa has it"):
        write_label(runs["bbbbbbbb"].folder, name="garden")
    with pytest.raises(ConfigurationError, match="run aaaaaaaa has it"):
        RunLog.new(replace(run_config, name="garden"))


def test_a_name_of_several_runs_is_refused(
    runs: dict[str, RunRecord], run_config: RunConfig
) -> None:
    write_label(runs["aaaaaaaa"].folder, name="garden")
    label = (runs["aaaaaaaa"].folder / "label.json").read_text()
    (runs["cccccccc"].folder / "label.json").write_text(label)
    with pytest.raises(RunNotFoundError, match=r"2 runs are named garden.*aaaaaaaa, cccccccc"):
        local("garden", run_config)


def test_a_note_replaces_that_of_the_settings(runs: dict[str, RunRecord]) -> None:
    record = runs["aaaaaaaa"]
    assert record.notes == "first try"
    write_label(record.folder, note="softer")
    write_label(record.folder, name="garden")
    assert (record.notes, record.name) == ("softer", "garden")
    (record.folder / "label.json").write_text("[1")
    assert (record.notes, record.name) == ("first try", "")


def test_a_new_run_gets_its_name_at_the_start(
    make_record: MakeRecord, run_config: RunConfig
) -> None:
    with RunLog.new(replace(run_config, name="garden", offline=True)) as log:
        log.begin(make_record(log.folder, run_id=log.run_id))
        assert local("garden", run_config) == log.run_id
        record = RunRecord.load(log.folder)
        with pytest.raises(StorageError, match="a process is training this run"):
            delete_run(record)
    assert record.folder.is_dir()


def test_a_deleted_run_leaves_nothing(runs: dict[str, RunRecord]) -> None:
    folder = runs["aaaaaaaa"].folder
    delete_run(runs["aaaaaaaa"])
    assert sorted(path.name for path in folder.parent.iterdir()) == ["bbbbbbbb", "cccccccc"]
    with pytest.raises(StorageError, match="not removed"):
        delete_run(runs["aaaaaaaa"])


def test_a_run_is_deleted_by_a_link_or_a_dot(
    runs: dict[str, RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, link = runs["aaaaaaaa"].folder, tmp_path / "link"
    link.symlink_to(folder.absolute())
    delete_run(RunRecord.load(link))
    assert not link.is_symlink()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["bbbbbbbb", "cccccccc"]
    monkeypatch.chdir(runs["bbbbbbbb"].folder)
    delete_run(RunRecord.load(Path(".")))
    monkeypatch.chdir(tmp_path)
    assert [path.name for path in folder.parent.iterdir()] == ["cccccccc"]

"""`desc runs`: the table of runs, their names, notes and removal, and an impossible upload."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import desc
from desc.commands.main import main


@pytest.fixture
def project(tmp_path: Path) -> list[str]:
    """Two runs, one of them damaged; returns the options that name their folder."""
    for run_id in ("1t212ycn", "damaged1"):
        record = desc.RunRecord(
            run_id=run_id,
            folder=tmp_path / "quartet" / run_id,
            descriptor_config=desc.DescriptorConfig(),
            model_config=desc.ModelConfig(selected_model="TransformerEncoderOnlyModel"),
            train_config=desc.TrainConfig(),
            metrics={"val_loss": 12.34567, "fit_s": 90.0, "steps": 450.0, "val_fd": 5.71},
            training_files={"00": "a.wav"},
            created="2026-11-28T01:02:03.456",
            project="quartet",
        )
        record.save()
    (record.folder / "run.json").write_text("{")
    return ["--experiment_dir", str(tmp_path), "--project", "quartet"]


def test_runs_are_listed(project: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", *project]) == 0
    printed = capsys.readouterr()
    head, line = printed.out.splitlines()
    assert head.split() == ["id", "model", "music", "min", "steps", "val_fd", "state", "folder"]
    words = ["1t212ycn", "TransformerEncoderOnlyModel", "1", "file", "1.5", "450", "5.7"]
    folder = Path(project[1]) / "quartet" / "1t212ycn"
    assert line.split()[:8] == [*words, "finished"]
    assert line.endswith(str(folder))
    assert "skipped" in printed.err
    assert "damaged1" in printed.err


def test_a_narrow_terminal_gets_short_lines(
    project: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((60, 20)))
    assert main(["runs", *project]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1t212ycn"
    assert "  val_fd 5.7" in lines
    assert max(len(line) for line in lines if "folder" not in line) <= 60


def test_a_run_is_named_noted_and_listed_as_json(
    project: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", *project, "--rename", "1t212ycn", "garden"]) == 0
    assert main(["runs", *project, "--note", "garden", "the long one"]) == 0
    assert main(["runs", *project, "--rename", "garden", "last"]) == 2
    capsys.readouterr()
    assert main(["runs", *project, "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["run_id"], listed["name"], listed["note"]) == (
        "1t212ycn",
        "garden",
        "the long one",
    )
    assert listed["metrics"]["val_fd"] == 5.71
    assert main(["runs", *project]) == 0
    assert "garden  1t212ycn" in capsys.readouterr().out


def test_two_runs_are_compared_by_what_differs(
    project: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(project[1]) / "quartet"
    shutil.rmtree(folder / "damaged1")
    content = json.loads((folder / "1t212ycn" / "run.json").read_text())
    content["run_id"] = "22222222"
    content["model_config"]["hidden_size"] = 64
    content["metrics"]["val_fd"] = 4.5
    (folder / "22222222").mkdir()
    (folder / "22222222" / "run.json").write_text(json.dumps(content))
    assert main(["runs", *project, "--compare", "1t212ycn", "22222222"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["1t212ycn", "22222222"], ["hidden_size", "none", "64"], ["val_fd", "5.71", "4.5"],
    ]  # fmt: skip


def test_a_run_is_deleted_on_demand_only(
    project: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(project[1]) / "quartet" / "1t212ycn"
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["runs", *project, "--delete", "1t212ycn"]) == 2
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    assert main(["runs", *project, "--delete", "1t212ycn"]) == 1
    assert folder.is_dir()
    assert main(["runs", *project, "--delete", "1t212ycn", "--yes"]) == 0
    assert not folder.exists()


def test_a_run_that_is_not_clearly_named_is_not_deleted(
    project: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(project[1]) / "quartet" / "1t212ycn"
    (folder / "checkpoints").mkdir()
    checkpoint = folder / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(b"x")
    assert main(["runs", *project, "--rename", "1t212ycn", "garden"]) == 0
    other = [*project[:2], "--project", "other"]
    for name in ("garden", "1t212ycn"):
        assert main(["runs", *other, "--delete", name, "--yes"]) == 2
        told = capsys.readouterr().err
        assert f"delete='{name}' must be a run of project other" in told
        assert str(folder) in told
    assert main(["runs", *project, "--delete", str(checkpoint), "--yes"]) == 2
    assert checkpoint.is_file()
    assert main(["runs", *other, "--delete", str(folder), "--yes"]) == 0
    assert not folder.exists()


def test_a_name_and_a_note_can_be_taken_away(
    project: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for option, text in (("rename", "garden"), ("note", "long"), ("rename", ""), ("note", "")):
        assert main(["runs", *project, f"--{option}", "1t212ycn", text]) == 0
        said.append(capsys.readouterr().out)
    assert said == [
        "run 1t212ycn is named garden\n",
        "run 1t212ycn has the note: long\n",
        "run 1t212ycn has no name now\n",
        "run 1t212ycn has no note now\n",
    ]
    assert main(["runs", *project, "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["note"]) == ("", "")


def test_a_folder_without_runs_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--experiment_dir", "nowhere"]) == 0
    assert capsys.readouterr().out == "no runs in nowhere/descriptor_model\n"


def test_an_upload_names_its_obstacle(
    project: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", *project, "--offline", "--upload", "1t212ycn"]) == 1
    assert "run 1t212ycn was not sent: offline" in capsys.readouterr().err
    assert main(["runs", *project, "--upload", "zzzzzzzz"]) == 1
    told = capsys.readouterr().err
    assert "run zzzzzzzz was not found" in told
    assert "offline" not in told
    assert "W&B" not in told

"""`desc runs`: the list of runs, and an impossible upload."""

from __future__ import annotations

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
            metrics={"val_loss": 12.34567},
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
    assert printed.out == (
        "1t212ycn  2026-11-28T01:02  TransformerEncoderOnlyModel    1 files  finished"
        "  validation loss 12.346\n"
    )
    assert "skipped" in printed.err
    assert "damaged1" in printed.err


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

"""Damaged files of a result end in an error that names them, or in what a page shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from desc import outputs
from desc.report import ResultView
from desc.report.result_page import descriptor_series, figures_of, map_points, unit_series
from tests.fuzzing import fuzz


@pytest.mark.parametrize(
    ("name", "rounds"),
    [
        (outputs.REPORT_DATA, 30),
        (outputs.PREDICTION, 30),
        (outputs.MATCHES, 15),
        (outputs.PLAYLIST, 15),
        (outputs.WAV, 5),
    ],
)
def test_damaged_results_end_in_a_named_error(
    name: str, rounds: int, result: Path, tmp_path: Path
) -> None:
    shutil.copytree(result, tmp_path / "fuzzed")

    def read(path: Path) -> None:
        view = ResultView.load(path.parent)
        names = [name for name, _ in view.shares()]
        descriptor_series(view)
        figures_of(view)
        unit_series(view, names)
        map_points(view, names)

    fuzz(tmp_path / "fuzzed" / name, read, rounds)

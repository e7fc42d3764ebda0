"""Maps: a plane of principal components, and UMAP."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from desc import outputs
from desc.commands.main import main
from desc.errors import OutputError
from desc.report import ReportData
from desc.report.projection import NeighbourMap, Plane
from desc.report.result import MAPS

Captured = pytest.CaptureFixture[str]


def test_the_plane_holds_points_that_lie_in_one(rng: np.random.Generator) -> None:
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0][:2]
    flat = rng.standard_normal((200, 2)) * [3, 1] @ basis + 7
    plane = Plane.fit(flat)
    assert plane.share == pytest.approx(1)
    shown = plane.project(flat)
    np.testing.assert_allclose(
        np.linalg.norm(shown[1:] - shown[0], axis=1), np.linalg.norm(flat[1:] - flat[0], axis=1)
    )
    assert shown[:, 0].std() > shown[:, 1].std()
    line = Plane.fit(np.arange(5.0)[:, None])
    np.testing.assert_allclose(line.project([[0.0], [4.0]]), [[-2, 0], [2, 0]])


def test_a_map_by_umap_is_drawn_on_request(
    result: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for umap-learn that returns the first two columns."""

    class Reducer:
        def __init__(self, **settings: int) -> None:
            assert settings == {"n_neighbors": 15, "random_state": 0, "n_jobs": 1}

        def fit(self, points: np.ndarray) -> Reducer:
            assert points.dtype == np.float32
            return self

        def transform(self, points: np.ndarray) -> np.ndarray:
            return points[:, :2]

    umap = types.ModuleType("umap")
    umap.UMAP = Reducer
    umap.__spec__ = importlib.machinery.ModuleSpec("umap", None)
    monkeypatch.setitem(sys.modules, "umap", umap)
    pages = [tmp_path / f"{kind}.html" for kind in MAPS]
    for page in pages:
        assert main(["report", str(result), "--map", page.stem, "--output_path", str(page)]) == 0
    by_variance, by_neighbours = (page.read_text(encoding="utf-8") for page in pages)
    assert "% of the variance" in by_variance
    assert "UMAP (only small distances are meaningful)" in by_neighbours
    points = ReportData.load(result / outputs.REPORT_DATA).points
    np.testing.assert_array_equal(
        NeighbourMap.fit(points).project(points), points[:, :2].astype(np.float32)
    )
    with pytest.raises(OutputError, match="needs at least 16 points, not 15"):
        NeighbourMap.fit(points[:15])


def test_without_umap_learn_it_says_what_to_install(
    result: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    words = ["report", str(result), "--map", "umap", "--output_path", str(tmp_path / "page.html")]
    assert main(words) == 2
    assert "pip install umap-learn" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

"""`desc report`: pages again, and the page of a run."""

from __future__ import annotations

import csv
import importlib.machinery
import importlib.util
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc import outputs
from desc.commands.main import main
from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import open_corpus
from desc.descriptors.config import DescriptorConfig
from desc.errors import OutputError
from desc.report import ReportData
from desc.report.projection import NeighbourMap
from desc.report.result import MAPS
from desc.report.run import EXAMPLE_FRAMES, RunView
from desc.runs import RunRecord
from desc.storage import DescriptorStore
from desc.training.fit import train
from tests.browser import Browser

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def record(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]
) -> RunRecord:
    """A run of a tiny LSTM on two short recordings."""
    root = tmp_path_factory.mktemp("run")
    (root / "recordings").mkdir()
    for seed, name in enumerate(["<b>one", "two"]):
        soundfile.write(
            root / "recordings" / f"{name}.wav", make_signal("notes", 6.0, seed=seed), 44100
        )
    store = DescriptorStore(root / "cache")
    return train(
        open_corpus(root / "recordings", DescriptorConfig(), store, jobs=1),
        model=ModelConfig(window_size=16, context_size=32, hidden_size=16, num_layers=1),
        training=TrainConfig(epochs=3, batch_size=8),
        run=RunConfig(str(root / "experiments"), offline=True),
    )


def test_a_result_and_a_folder_of_results(
    result: Path, tmp_path: Path, capsys: Captured
) -> None:  # fmt: skip
    for name in ("a.wav", "more/b.wav"):
        shutil.copytree(result, tmp_path / "out" / name)
        (tmp_path / "out" / name / outputs.REPORT).unlink(missing_ok=True)
    assert main(["report", str(tmp_path / "out" / "a.wav")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'a.wav' / outputs.REPORT}\n"
    assert main(["report", str(tmp_path / "out")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    other = tmp_path / "page.html"
    assert main(["report", str(tmp_path / "out"), "--output_path", str(other)]) == 2
    assert "holds 2 results" in capsys.readouterr().err
    words = ["report", str(tmp_path / "out" / "a.wav"), "--output_path", str(other)]
    assert main(words) == 0
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_a_map_by_umap_is_drawn_on_request(
    result: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for umap-learn, which knows what it is asked: its map is the first two columns."""

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


def test_what_is_no_run_and_no_result(tmp_path: Path, capsys: Captured) -> None:
    words = ["report", str(tmp_path), "--offline", "--cache_dir", str(tmp_path / "cache")]
    assert main(words) == 1
    assert f"{tmp_path}" in capsys.readouterr().err


def test_examples_continue_from_the_middle(record: RunRecord) -> None:
    root = record.folder.parents[2]
    store = DescriptorStore(root / "cache")
    view = RunView.load(record, store)
    assert [example.is_training for example in view.examples] == [False, True]
    example = view.examples[0]
    (digest,) = record.validation_files
    sequence = store.load(digest, record.descriptor_config, "x")
    assert sequence is not None
    static = sequence.complete_static
    whole = np.concatenate([example.before, example.real])
    np.testing.assert_array_equal(whole[-len(example.real) :], static[-len(example.real) :])
    n = min(EXAMPLE_FRAMES, len(static) - len(static) // 2)
    assert example.drawn.shape == (3, n, 13)
    assert not np.array_equal(example.drawn[0], example.drawn[1])
    rows = list(csv.DictReader((record.folder / "metrics.csv").open()))
    logged = [float(row["val_loss"]) for row in rows if row["val_loss"]]
    np.testing.assert_array_equal(view.curves["val_loss"][:, 1], logged)


def test_the_page_of_a_run(
    record: RunRecord, browser: Browser, tmp_path: Path, capsys: Captured
) -> None:
    page = tmp_path / "run.html"
    root = record.folder.parents[2]
    words = ["report", record.run_id, "--output_path", str(page), "--offline"]
    words += ["--experiment_dir", str(root / "experiments"), "--cache_dir", str(root / "cache")]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{page}\n"
    browser.open(page.as_uri(), width=420)
    browser.wait("document.querySelectorAll('#examples canvas').length === 2")
    assert browser.requests == [page.as_uri()]
    assert "<b>one.wav" in browser.value(
        "document.querySelector('#files-title').parentElement.textContent"
    )
    browser.hover("#loss", x=0.8)
    browser.wait("document.querySelector('.tip').textContent.includes('validation')")
    shown = browser.value("document.querySelector('#figures').textContent")
    assert f"{record.metrics['val_loss']:.6g}" in shown
    assert browser.value("document.documentElement.scrollWidth") <= 420
    assert browser.complaints == []


def test_a_run_whose_recordings_are_not_cached(record: RunRecord, tmp_path: Path) -> None:
    assert RunView.load(record, DescriptorStore(tmp_path / "empty")).examples == ()

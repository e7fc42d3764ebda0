"""The page of a run, and the continuations in it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from desc.commands.main import main
from desc.report.run import EXAMPLE_FRAMES, RunView
from desc.storage import DescriptorStore
from tests.browser import Browser
from tests.small_run import SmallRun

Captured = pytest.CaptureFixture[str]


def test_examples_continue_from_the_middle(small_run: SmallRun) -> None:
    record, store = small_run.record, small_run.store
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
    assert example.drawn.shape == (3, n, 25)  # 13 MFCC and 12 of chroma
    assert not np.array_equal(example.drawn[0], example.drawn[1])
    rows = list(csv.DictReader((record.folder / "metrics.csv").open()))
    logged = [float(row["val_loss"]) for row in rows if row["val_loss"]]
    np.testing.assert_array_equal(view.curves["val_loss"][:, 1], logged)


def test_the_page_of_a_run(
    small_run: SmallRun, browser: Browser, tmp_path: Path, capsys: Captured
) -> None:
    page = tmp_path / "run.html"
    words = ["report", small_run.run_id, "--output_path", str(page), "--offline"]
    assert main([*words, *small_run.options]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    browser.open(page.as_uri(), width=420)
    browser.wait("document.querySelectorAll('#examples canvas').length === 2")
    assert browser.requests == [page.as_uri()]
    assert "<b>two.wav" in browser.value(
        "document.querySelector('#files-title').parentElement.textContent"
    )
    browser.hover("#loss", x=0.8)
    browser.wait("document.querySelector('.tip').textContent.includes('validation')")
    charts = browser.value(
        "[...document.querySelectorAll('#curves figcaption')].map(e => e.textContent)"
    )
    curves = RunView.load(small_run.record, small_run.store).curves
    measured = [
        name for name in curves if name.startswith("val_") and name not in ("val_loss", "val_beats")
    ]
    assert [chart.split(":")[0] for chart in charts] == measured
    shown = browser.value("document.querySelector('#figures').textContent")
    assert f"{small_run.record.metrics['val_loss']:.6g}" in shown
    assert browser.value("document.documentElement.scrollWidth") <= 420
    assert browser.complaints == []


def test_a_run_whose_recordings_are_not_cached(small_run: SmallRun, tmp_path: Path) -> None:
    assert RunView.load(small_run.record, DescriptorStore(tmp_path / "empty")).examples == ()

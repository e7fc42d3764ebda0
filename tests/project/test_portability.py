"""Portability: Windows, macOS, other encodings, clusters."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import numpy as np
import pytest

from desc.audio import content_digest
from desc.corpus import find_files, parallel, patterns
from desc.corpus.parallel import Outcome, Task, extract_into
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.families import FAMILIES
from desc.descriptors.features import FEATURES
from desc.matching import Neighbours
from desc.outputs import MATCHES, write_matches
from desc.storage import DescriptorStore, manifest

ROOT = Path(__file__).parents[2]
CONFIG = DescriptorConfig()


def test_characters_beyond_a_pipes_encoding_are_escaped(tmp_path: Path) -> None:
    """Printing `→` or a name to a pipe of Windows, whose encoding is a code page."""
    done = subprocess.run(
        [sys.executable, "-m", "desc", "runs", "--experiment_dir", "Klänge ♪"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
        capture_output=True, encoding="cp1252", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no runs in Klänge \\u266a/" in done.stdout


def test_patterns_may_be_typed_with_the_systems_separator(
    make_wav: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_wav("sounds/strings/a.wav").parents[1]
    make_wav("sounds/bells/b.wav")
    windows = SimpleNamespace(**{name: getattr(os, name) for name in dir(os)} | {"sep": "\\"})
    monkeypatch.setattr(patterns, "os", windows)
    files, _ = find_files(folder, include="strings\\*.wav")
    assert [source for _, source in files] == ["strings/a.wav"]


def test_paths_in_files_have_forward_slashes(tmp_path: Path) -> None:
    database = SimpleNamespace(
        root=PureWindowsPath("C:\\Sounds\\large"), files=[SimpleNamespace(source="a/b.wav")],
        file_index=np.array([0, 0]), centre_samples=np.array([0, 1024]), digest="0", config=CONFIG,
        speeds=[1.0],
    )  # fmt: skip
    rows, distances = np.array([1]), np.array([0.5])
    match = SimpleNamespace(
        matcher=SimpleNamespace(database=database, query=SimpleNamespace(neighbours=1)),
        rows=rows, distances=distances,
        neighbours=Neighbours(rows[:, None], distances[:, None]),
    )  # fmt: skip
    write_matches(tmp_path, match)  # type: ignore[arg-type]
    written = json.loads((tmp_path / MATCHES).read_text("utf-8"))
    assert written["_meta"]["corpus"] == "C:/Sounds/large"
    assert written["_id"] == ["a/b.wav"]


def test_a_manifest_that_stays_locked_costs_time_not_results(
    make_wav: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert manifest.TIMEOUT_S >= 10  # of another process, which needs milliseconds
    monkeypatch.setattr(manifest, "TIMEOUT_S", 0.05)
    path, store = make_wav(), DescriptorStore(tmp_path / "cache")
    digest = store.digest(path)
    (database,) = (tmp_path / "cache").rglob("*.sqlite*")
    with sqlite3.connect(database) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert DescriptorStore(tmp_path / "cache").digest(path) == digest == content_digest(path)
    holder.close()


def test_extraction_in_a_process_that_was_started_anew(
    make_wav: Callable[..., Path], tmp_path: Path
) -> None:
    """As on Windows and macOS: the process does not share this one's memory."""
    path, cache = make_wav(duration_s=1.0), tmp_path / "cache"
    families = [(FAMILIES[name], FEATURES[name]) for name in CONFIG.descriptors]
    task = Task(path, "sound.wav", content_digest(path))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        outcome = pool.apply(extract_into, (cache, CONFIG, families, task))
    assert outcome == Outcome(task)
    stored = DescriptorStore(cache).load(task.digest, CONFIG, "sound.wav")
    assert stored is not None
    assert len(stored) == 1 + 44100 // 1024


def own_process(task: Task) -> Outcome:
    """Return the process that a task ran in."""
    return Outcome(task, str(os.getpid()))


@pytest.mark.slow
def test_a_dask_cluster_does_the_tasks(
    monkeypatch: pytest.MonkeyPatch, make_wav: Callable[..., Path]
) -> None:
    distributed = pytest.importorskip("distributed")
    import joblib

    monkeypatch.setattr(parallel, "WORKERS_START_S", -1.0)
    tasks = [Task(make_wav(f"{i}.wav"), f"{i}.wav", str(i)) for i in range(4)]
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as nodes,
        distributed.Client(nodes) as client,
    ):
        workers = {str(number) for number in client.run(os.getpid).values()}
        with joblib.parallel_config("dask"):
            outcomes = list(parallel.run_tasks(own_process, tasks, jobs=-1))
    assert sorted(outcome.task.digest for outcome in outcomes) == ["0", "1", "2", "3"]
    assert {outcome.reason for outcome in outcomes} <= workers

"""Extraction on a Dask cluster: a real scheduler, workers in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc import cluster
from desc.cluster import call_on_workers, dask_cluster
from desc.commands.main import main
from desc.configuration import QueryConfig
from desc.corpus import open_corpus
from desc.descriptors.config import DescriptorConfig
from desc.errors import AudioError, DescError
from desc.matching import index
from desc.progress import reporting
from desc.storage import DescriptorStore
from tests.small_run import SmallRun

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")

CONFIG = DescriptorConfig()
SLOW = """
import time
from desc.corpus import parallel
from desc.descriptors.extraction import extract

def slowly(*args, **kwargs):
    time.sleep(0.1)
    return extract(*args, **kwargs)

parallel.extract = slowly
"""
Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start("scheduler" or "worker") starts a process of a cluster in tmp_path."""
    (tmp_path / "slow.py").write_text(SLOW)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    options = {
        "scheduler": ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
        "worker": ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", "slow.py"],
    }
    processes = []

    def started(kind: str) -> subprocess.Popen[bytes]:
        words = [f"distributed.cli.dask_{kind}", *options[kind], "--scheduler-file", "address"]
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.wait()


def address(folder: Path) -> str:
    """Wait for a scheduler; return its address. Its file is there before its text is."""
    until = time.monotonic() + 60
    while True:
        try:
            return str(json.loads((folder / "address").read_text())["address"])
        except (FileNotFoundError, json.JSONDecodeError):
            assert time.monotonic() < until, "no scheduler"
            time.sleep(0.02)


def contents(store: DescriptorStore) -> dict[str, bytes]:
    """Return the files of descriptors, those being written included."""
    folder = store.cache_dir / "descriptors"
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fail(item: int) -> int:
    if item == 2:
        raise AudioError(f"{item} cannot be read")
    return item


def test_a_killed_worker_loses_nothing(
    tmp_path: Path, start: Start, make_wav: Callable[..., Path]
) -> None:
    start("scheduler")
    workers = [start("worker"), start("worker")]
    for i in range(10):
        make_wav(f"rec/{i}.wav", kind="noise", duration_s=1.0, seed=i)
    (tmp_path / "rec" / "bad.wav").write_text("no audio")
    stores = [DescriptorStore(tmp_path / name) for name in ("alone", "together")]
    alone = open_corpus(tmp_path / "rec", CONFIG, stores[0], jobs=1)
    calls = []

    def kill_one(stage: str, done: int, total: int) -> None:
        calls.append((stage, done, total))
        if (stage, done) == ("extract", 3):
            workers[0].kill()

    with dask_cluster(address(tmp_path), stores[1].cache_dir):
        cluster.active_cluster().wait_for_workers(2)
        with reporting(kill_one):
            together = open_corpus(tmp_path / "rec", CONFIG, stores[1])
        with pytest.raises(AudioError, match="2 cannot be read"):
            list(call_on_workers(cluster.active_cluster(), fail, [2]))
    assert workers[0].poll() is not None
    assert workers[1].poll() is None
    assert calls[-1] == ("extract", 11, 11)
    assert together.n_extracted == 10
    assert together.skipped == alone.skipped
    assert together.digest == alone.digest
    assert contents(stores[1]) == contents(stores[0])
    assert len(contents(stores[0])) == 10


@pytest.mark.slow
def test_a_lost_scheduler_is_an_error(
    tmp_path: Path,
    start: Start,
    make_wav: Callable[..., Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    scheduler, _ = start("scheduler"), start("worker")
    for i in range(10):
        make_wav(f"rec/{i}.wav", kind="noise", duration_s=1.0, seed=i)
    store = DescriptorStore(tmp_path / "cache")

    def kill_it(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("extract", 2):
            scheduler.kill()

    lost = pytest.raises(DescError, match="scheduler is gone")
    with lost, dask_cluster(address(tmp_path), store.cache_dir), reporting(kill_it):
        open_corpus(tmp_path / "rec", CONFIG, store)
    assert "Traceback" not in capfd.readouterr().err
    assert 10 > open_corpus(tmp_path / "rec", CONFIG, store, jobs=1).n_extracted > 0


def test_a_scheduler_belongs_to_its_backend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["extract", "--audio_db_dir", str(tmp_path), "--cache_dir", str(tmp_path / "cache")]
    assert main([*words, "--backend", "dask"]) == 2
    assert main([*words, "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.count("--backend dask needs --scheduler with an address") == 2


def test_a_scheduler_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "START_S", 0.2)
    for name in ("tcp://127.0.0.1:1", "nonsense://x"):
        expected = pytest.raises(DescError, match=f"scheduler='{name}' does not answer")
        with expected, dask_cluster(name, tmp_path):
            pass


@pytest.mark.slow
def test_workers_build_the_index_of_one_machine(
    tmp_path: Path, start: Start, small_run: SmallRun
) -> None:
    start("scheduler")
    workers = [start("worker"), start("worker")]
    words = ["index", "--run_id", small_run.run_id, "--index", "ivf"]
    words += ["--audio_db_dir", str(small_run.root / "training"), *small_run.options[:2]]
    folders = [tmp_path / name for name in ("alone", "together")]
    assert main([*words, "--cache_dir", str(folders[0])]) == 0
    place = ["--backend", "dask", "--scheduler", address(tmp_path)]
    assert main([*words, "--cache_dir", str(folders[1]), *place]) == 0
    alone, together = (
        {str(p.relative_to(f)): p.read_bytes() for p in (f / "index").rglob("*") if p.is_file()}
        for f in folders
    )
    assert any(name.endswith("rows.faiss") for name in alone)
    assert together == alone
    assert [worker.poll() for worker in workers] == [None, None]


@pytest.mark.slow
def test_workers_search_a_shard_each_as_one_process_all(tmp_path: Path, start: Start) -> None:
    start("scheduler")
    workers = [start("worker"), start("worker")]
    values = np.random.default_rng(0).standard_normal((900, 5)).astype(np.float32)
    values[300:310] = values[600:610] = values[:10]  # as near, in three shards
    query, trained = QueryConfig(index="ivf"), tmp_path / "trained"
    index.train_lists(values, query, trained)
    shards = [tmp_path / f"{first}.faiss" for first in (0, 300, 600)]
    for first, shard in zip((0, 300, 600), shards, strict=True):
        rows = np.arange(first, first + 300)
        index.encode_rows(trained, values[rows], rows, query, shard)
    lists = index.InvertedLists.open(shards, query)
    assert lists is not None
    every, some = np.ones(900, bool), np.arange(900) % 7 > 0
    asked = [(values[:20], every, 9, 4), (values[20:60], some, 50, lists.n_cells)]
    alone = [lists.candidates(*settings) for settings in asked]
    nothing_here = replace(lists, shards=(None, None, None))
    with dask_cluster(address(tmp_path), tmp_path):
        cluster.active_cluster().wait_for_workers(2)
        together = [nothing_here.candidates(*settings) for settings in asked]
    for found, true in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, true)
    assert set(alone[0][:10, :3].ravel() % 300) == set(range(10))
    assert [worker.poll() for worker in workers] == [None, None]

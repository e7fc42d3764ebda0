"""Extraction in parallel."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from desc.corpus import open_corpus, parallel
from desc.corpus.parallel import Outcome, Task, extract_into, run_tasks
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import DescError
from desc.progress import reporting
from desc.storage import DescriptorStore

CONFIG = DescriptorConfig()


def test_overlapping_extractions_leave_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = ({name: threading.Event() for name in "ab"} for _ in range(2))

    def held(path: Path, *_: object, **__: object) -> DescriptorSequence:
        begun[path.name].set()
        go_on[path.name].wait(10)
        raise DescError("held")

    monkeypatch.setattr(parallel, "extract", held)
    logger = logging.getLogger("desc.audio")
    before, threads = (logger.level, logger.propagate, list(logger.handlers)), {}
    for name in "ab":
        task = Task(tmp_path / name, name, name)
        threads[name] = threading.Thread(target=extract_into, args=(tmp_path, CONFIG, [], task))
        threads[name].start()
        assert begun[name].wait(10)
    for name in "ab":
        go_on[name].set()
        threads[name].join()
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


class TestParallel:
    def test_processes_give_the_same_and_one_bad_file_stops_none(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "bad.wav").write_text("no audio")
        monkeypatch.setattr(parallel, "WORKERS_START_S", -1.0)
        calls: list[tuple[str, int, int]] = []
        stores = [DescriptorStore(tmp_path / name) for name in ("one", "two")]
        alone = open_corpus(folder, CONFIG, stores[0], jobs=1)
        with reporting(lambda *call: calls.append(call)):
            together = open_corpus(folder, CONFIG, stores[1], jobs=2)
        assert together.digest == alone.digest
        assert together.n_extracted == 3
        assert together.skipped == alone.skipped
        assert calls[-4:] == [("extract", i, 4) for i in range(1, 5)]
        for one, other in zip(together.sequences, alone.sequences, strict=True):
            np.testing.assert_array_equal(one.values, other.values)

    def test_little_work_starts_no_processes(
        self, folder: Path, store: DescriptorStore, extracted: list[str]
    ) -> None:
        open_corpus(folder, CONFIG, store, jobs=2)
        assert len(extracted) == 3  # counted here, so done here

    def test_a_process_that_dies_takes_one_file_with_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parallel, "WORKERS_START_S", -1.0)

        def crash(task: Task) -> Outcome:
            if task.digest == "2":
                os._exit(1)
            return Outcome(task)

        tasks = [Task(Path("x.wav"), f"{i}.wav", str(i)) for i in range(5)]
        outcomes = list(run_tasks(crash, tasks, 2))
        assert sorted(outcome.task.digest for outcome in outcomes) == ["0", "1", "2", "3", "4"]
        reasons = {o.task.digest: o.reason for o in outcomes if o.reason}
        assert list(reasons) == ["2"]
        assert "died" in reasons["2"]
        again = list(run_tasks(Outcome, tasks, 2))
        assert len(again) == 5, "later work finds workers again"

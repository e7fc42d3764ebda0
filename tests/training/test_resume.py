"""A resumed run equals an uninterrupted one, bit for bit."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import Corpus
from desc.engine import stopping
from desc.engine.optimization import RunningAverage
from desc.engine.resuming import resumed_settings
from desc.engine.stopping import EARLY
from desc.errors import CheckpointError, ConfigurationError, TrainingInterruptedError
from desc.models.base import Sizes
from desc.models.checkpoint import load_model
from desc.models.lstm import LSTM
from desc.runs import RunRecord, read_metrics
from desc.training.fit import train
from tests.training.hooks import after_step, signal_after

MODEL = ModelConfig(
    window_size=8,
    forecast_size=4,
    context_size=8,
    hidden_size=8,
    num_layers=2,
    nhead=2,
    dim_feedforward=16,
    n_components=2,
    dropout=0.3,
)
TRAINING = TrainConfig(epochs=4, batch_size=8, learning_rate=0.01, accelerator="cpu")


@pytest.fixture(scope="session")
def corpus(make_corpus: Callable[..., Corpus]) -> Corpus:
    return make_corpus([120, 90, 150, 60])


def only_run(run_config: RunConfig) -> RunRecord:
    (path,) = Path(run_config.experiment_dir).rglob("run.json")
    return RunRecord.load(path.parent)


def content(folder: Path, name: str) -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def saved_step(folder: Path, name: str) -> int:
    return content(folder, name)["desc.training"]["progress"]["step"]


def equal(a: Any, b: Any) -> bool:
    """Tell whether two checkpoints hold the same, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return set(a) == set(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def rows(folder: Path) -> list[dict[str, float]]:
    """Return the logged rows without times."""
    return [
        {k: v for k, v in row.items() if k not in ("time", "steps_per_second")}
        for row in read_metrics(folder / "metrics.csv")
    ]


def assert_same_run(resumed: RunRecord, straight: RunRecord, stops: tuple[int, ...] = ()) -> None:
    for name in ("last", "best"):
        ours, theirs = content(resumed.folder, name), content(straight.folder, name)
        assert set(ours) == set(theirs)
        for key in ours:
            assert equal(ours[key], theirs[key]), (name, key)
    logged, expected = rows(resumed.folder), rows(straight.folder)
    # A stop adds its own validation, which the run that was not stopped does not have.
    assert [r for r in logged if not (r["step"] in stops and "val_loss" in r)] == expected
    for key in ("val_nll", "var_nll", "steps", "best_step"):
        assert resumed.metrics[key] == straight.metrics[key]
    assert resumed.status == straight.status == "finished"
    names = {p.name for p in (resumed.folder / "checkpoints").iterdir()}
    assert names == {"best.ckpt", "last.ckpt"}


def straight_run(name: str, corpus: Corpus, folder: Path) -> tuple[RunRecord, ModelConfig]:
    model = replace(MODEL, selected_model=name)
    run = RunConfig(experiment_dir=str(folder), offline=True)
    return train(corpus, model=model, training=TRAINING, run=run), model


@pytest.mark.parametrize(
    "name", ["LSTM", "TransformerModel", "TransformerEncoderOnlyModel", "LSTMEncoderDecoderModel"]
)
def test_an_interrupted_run_goes_on_in_mid_epoch(
    name: str,
    corpus: Corpus,
    run_config: RunConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    straight, model = straight_run(name, corpus, tmp_path / "straight")
    total = straight.schedule["total_steps"]
    stop = total // 4 + 2  # in mid-epoch 2
    caplog.set_level(logging.INFO, "desc")
    with signal_after(stop), pytest.raises(TrainingInterruptedError):
        train(corpus, model=model, training=TRAINING, run=run_config)
    stopped = only_run(run_config)
    assert stopped.status == "stopped"
    assert stopped.schedule["ended"] == "interrupted"
    assert stopped.metrics["steps"] == stop
    assert f"run {stopped.run_id} can be resumed" in caplog.text
    assert saved_step(stopped.folder, "last") == stop
    ends = [r["step"] for r in rows(straight.folder) if "val_loss" in r]
    assert ends[0] < stop < ends[1], "in mid-epoch"
    resumed = train(corpus, run=run_config, resume_run_id=stopped.run_id)
    assert resumed.run_id == stopped.run_id
    assert f"after step {stop} of {total}" in caplog.text
    assert_same_run(resumed, straight, (stop,))


def test_a_run_of_another_default_width_is_resumed(
    corpus: Corpus, run_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = replace(MODEL, selected_model="LSTM", hidden_size=None, num_layers=1)
    monkeypatch.setattr(LSTM, "DEFAULTS", Sizes(hidden_size=12, num_layers=1))
    with signal_after(6), pytest.raises(TrainingInterruptedError):
        train(corpus, model=default, training=TRAINING, run=run_config)
    monkeypatch.setattr(LSTM, "DEFAULTS", Sizes(hidden_size=8, num_layers=1))
    resumed = train(corpus, run=run_config, resume_run_id=only_run(run_config).run_id)
    assert resumed.status == "finished"
    assert load_model(resumed.checkpoint()).sizes.hidden_size == 12


def test_ctrl_c_and_stops_at_every_kind_of_step(
    corpus: Corpus, run_config: RunConfig, tmp_path: Path
) -> None:
    straight, model = straight_run("LSTM", corpus, tmp_path / "straight")
    ends = [r["step"] for r in rows(straight.folder) if "val_loss" in r]
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    # The first step, the last of an epoch, the first of the next, the last but one.
    stops = [1, int(ends[0]), int(ends[0]) + 1, int(ends[-1]) - 1]
    run_id = None
    for stop in stops:
        with signal_after(stop), pytest.raises(KeyboardInterrupt):
            train(corpus, model=model, training=TRAINING, run=run_config, resume_run_id=run_id)
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
        run_id = only_run(run_config).run_id
        assert saved_step(only_run(run_config).folder, "last") == stop
    resumed = train(corpus, run=run_config, resume_run_id=run_id)
    assert_same_run(resumed, straight, tuple(set(stops) - set(ends)))


def test_sigterm_saves_the_run_and_has_its_effect(corpus: Corpus, run_config: RunConfig) -> None:
    received = []
    former = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with signal_after(5, signal.SIGTERM), pytest.raises(KeyboardInterrupt):
            train(corpus, model=MODEL, training=TRAINING, run=run_config)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert received == [signal.SIGTERM]
    assert only_run(run_config).status == "stopped"
    assert saved_step(only_run(run_config).folder, "last") == 5


def test_a_second_ctrl_c_does_not_wait(
    corpus: Corpus, run_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrives while the weights are partly updated: the last complete state is kept."""
    honest = RunningAverage.update

    def update(self: RunningAverage, step: int) -> None:
        if step == 15:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        honest(self, step)

    monkeypatch.setattr(RunningAverage, "update", update)
    with pytest.raises(KeyboardInterrupt):
        train(corpus, model=MODEL, training=TRAINING, run=run_config)
    monkeypatch.undo()
    stopped = only_run(run_config)
    step = saved_step(stopped.folder, "last")
    assert 0 < step < 15
    assert step in [r["step"] for r in rows(stopped.folder) if "val_loss" in r], "whole epochs"
    assert stopped.metrics["steps"] == step
    resumed = train(corpus, run=run_config, resume_run_id=stopped.run_id)
    assert resumed.status == "finished"


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(
    corpus: Corpus, run_config: RunConfig, tmp_path: Path
) -> None:
    straight, model = straight_run("LSTM", corpus, tmp_path / "straight")
    stop = straight.schedule["total_steps"] * 3 // 4 - 2
    for step in (2, stop):  # before the first checkpoint, and after some
        run_id = None if step == 2 else only_run(run_config).run_id
        with after_step(step, fail), pytest.raises(RuntimeError, match="power"):
            train(corpus, model=model, training=TRAINING, run=run_config, resume_run_id=run_id)
        assert only_run(run_config).status == "failed"
    resumed = train(corpus, run=run_config, resume_run_id=only_run(run_config).run_id)
    assert_same_run(resumed, straight)


def fail() -> None:
    raise RuntimeError("power")


def test_the_best_of_a_stop_does_not_outlive_the_stop(
    corpus: Corpus, run_config: RunConfig, tmp_path: Path
) -> None:
    """The loss falls between two validations, so the stop has the best model so far."""
    training = replace(TRAINING, save_interval=2, epochs=6)
    run = RunConfig(experiment_dir=str(tmp_path / "straight"), offline=True)
    straight = train(corpus, model=MODEL, training=training, run=run)
    planned = [r for r in rows(straight.folder) if "val_loss" in r]
    stop = int(planned[1]["step"]) - 3
    with signal_after(stop), pytest.raises(KeyboardInterrupt):
        train(corpus, model=MODEL, training=training, run=run_config)
    stopped = only_run(run_config)
    assert stopped.metrics["best_step"] == stop, "the premise of this test"
    best, before = (content(stopped.folder, name) for name in ("best", "planned_best"))
    assert not equal(best, before)
    progress = content(stopped.folder, "last")["desc.training"]["progress"]
    assert progress["best_score"] == planned[0]["val_loss"]
    assert progress["best_step"] == planned[0]["step"]
    resumed = train(corpus, run=run_config, resume_run_id=stopped.run_id)
    assert_same_run(resumed, straight, (stop,))


def test_a_time_limit_counts_per_call(
    corpus: Corpus, run_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, model = straight_run("LSTM", corpus, tmp_path / "straight")
    now = [0.0]
    monkeypatch.setattr(stopping, "now", lambda: now[0])
    training = replace(TRAINING, max_time_s=900.0)
    with after_step(7, lambda: now.__setitem__(0, 1000.0)):
        stopped = train(corpus, model=model, training=training, run=run_config)
    assert stopped.schedule["ended"] == "time limit"
    assert stopped.metrics["steps"] == 7
    resumed = train(corpus, run=run_config, resume_run_id=stopped.run_id)
    assert_same_run(resumed, straight, (7,))


def test_a_run_at_its_end_has_nothing_left_to_do(
    corpus: Corpus, run_config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    record = train(corpus, model=MODEL, training=replace(TRAINING, epochs=1), run=run_config)
    before = content(record.folder, "last")
    caplog.set_level(logging.INFO, "desc")
    again = train(corpus, run=run_config, resume_run_id=record.run_id)
    assert again.run_id == record.run_id
    assert "nothing is left to do" in caplog.messages[-1]
    assert equal(before, content(record.folder, "last"))


@pytest.fixture
def stopped(corpus: Corpus, run_config: RunConfig) -> RunRecord:
    with signal_after(3), pytest.raises(KeyboardInterrupt):
        train(corpus, model=MODEL, training=TRAINING, run=run_config)
    return only_run(run_config)


def test_other_settings_are_refused(
    stopped: RunRecord, corpus: Corpus, run_config: RunConfig
) -> None:
    other = replace(MODEL, hidden_size=12)
    longer = replace(TRAINING, epochs=9, batch_size=3)
    with pytest.raises(ConfigurationError, match=r"hidden_size=12 \(the run has 8\)"):
        train(corpus, model=other, run=run_config, resume_run_id=stopped.run_id)
    with pytest.raises(ConfigurationError, match=r"batch_size=3.*epochs=9 \(the run has 4\)"):
        train(corpus, training=longer, run=run_config, resume_run_id=stopped.run_id)
    assert only_run(run_config) == stopped


def test_other_recordings_are_refused(
    stopped: RunRecord,
    corpus: Corpus,
    run_config: RunConfig,
    make_corpus: Callable[..., Corpus],
) -> None:
    fewer = replace(corpus, sequences=corpus.sequences[1:])
    with pytest.raises(ConfigurationError, match="recordings"):
        train(fewer, run=run_config, resume_run_id=stopped.run_id)
    with pytest.raises(ConfigurationError, match=r"recordings.*new: 0.*missing: 0"):
        train(make_corpus([50] * 4), run=run_config, resume_run_id=stopped.run_id)
    assert only_run(run_config) == stopped


def test_a_renamed_folder_is_the_same(
    stopped: RunRecord, corpus: Corpus, run_config: RunConfig
) -> None:
    renamed = tuple(replace(s, source=f"z{9 - i}") for i, s in enumerate(corpus.sequences))[::-1]
    record = train(replace(corpus, sequences=renamed), run=run_config, resume_run_id=stopped.run_id)
    assert record.status == "finished"


def test_a_moved_run_goes_on_by_its_path(
    stopped: RunRecord, corpus: Corpus, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / stopped.run_id
    shutil.move(stopped.folder, elsewhere)
    run = RunConfig(experiment_dir=str(tmp_path / "new"), offline=True)
    record = train(corpus, run=run, resume_run_id=str(elsewhere))
    assert record.status == "finished"
    assert record.folder == tmp_path / "new" / "descriptor_model" / stopped.run_id


def test_damaged_checkpoints_are_named(
    stopped: RunRecord, corpus: Corpus, run_config: RunConfig
) -> None:
    for path in (stopped.folder / "checkpoints").glob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"\.ckpt"):
        train(corpus, run=run_config, resume_run_id=stopped.run_id)


def test_a_run_of_an_earlier_version_says_that_it_cannot_be_resumed(
    stopped: RunRecord, corpus: Corpus, run_config: RunConfig
) -> None:
    path = stopped.folder / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    del content["desc.training"]
    torch.save(content | {"desc_training": {"step": 3}, "optimizer_states": []}, path)
    with pytest.raises(CheckpointError, match=f"run {stopped.run_id} .*cannot be resumed") as error:
        train(corpus, run=run_config, resume_run_id=stopped.run_id)
    assert error.value.exit_status == 1
    assert "\n" not in str(error.value)
    assert load_model(path).model_config == MODEL, "it still predicts"


def test_settings_of_a_call_may_change() -> None:
    stored = TrainConfig(epochs=7, max_time_s=5.0)
    given = TrainConfig(max_time_s=9.0, accelerator="cpu")
    assert resumed_settings(given, stored) == replace(stored, max_time_s=9.0, accelerator="cpu")
    assert resumed_settings(TrainConfig(), stored) == replace(stored, max_time_s=None)


def test_a_run_in_a_thread_trains(corpus: Corpus, run_config: RunConfig) -> None:
    """Threads receive no signals; training works nevertheless."""
    records: list[RunRecord] = []
    training = replace(TRAINING, epochs=1)
    thread = threading.Thread(
        target=lambda: records.append(train(corpus, model=MODEL, training=training, run=run_config))
    )
    thread.start()
    thread.join()
    assert records[0].status == "finished"


def test_a_run_interrupted_after_its_end_is_complete(
    make_corpus: Callable[..., Corpus], tmp_path: Path
) -> None:
    """Ctrl-C during the last validation's hooks, and a kill before it is written."""
    corpus = make_corpus([60, 60, 60])
    settings = replace(TRAINING, epochs=30, patience=1, learning_rate=1.0)  # soon worse
    run = RunConfig(experiment_dir=str(tmp_path / "straight"), offline=True)
    straight = train(corpus, model=MODEL, training=settings, run=run)
    assert straight.schedule["ended"] == EARLY
    last = int(straight.metrics["steps"])

    def interrupt(model: object, step: int) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGINT)

    run = RunConfig(experiment_dir=str(tmp_path / "stopped"), offline=True)
    with pytest.raises(TrainingInterruptedError):
        train(corpus, model=MODEL, training=settings, run=run, on_validation=interrupt)
    stopped = only_run(run)
    assert (stopped.status, stopped.schedule["ended"]) == ("finished", EARLY)
    replace(stopped, status="running").save()
    again = train(corpus, model=MODEL, training=settings, run=run, resume_run_id=stopped.run_id)
    assert (again.status, again.metrics["steps"]) == ("finished", last)

"""Runs from start to end, with every stop condition."""

from __future__ import annotations

import json
import logging
import math
import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import Corpus
from desc.devices import choose_device
from desc.engine import stopping
from desc.engine.optimization import RunningAverage
from desc.errors import ConfigurationError, DescError
from desc.models import MODELS
from desc.models.base import DescriptorModel
from desc.models.checkpoint import load_model
from desc.models.lstm import LSTM
from desc.progress import reporting
from desc.runs import RunRecord, read_metrics, resolve_run
from desc.training.fit import train
from desc.training.task import DescriptorTask
from desc.training.windows import Batch

MakeCorpus = Callable[..., Corpus]
MODEL = ModelConfig(
    window_size=8, forecast_size=4, context_size=8, hidden_size=8, num_layers=1, n_components=2
)
TRAINING = TrainConfig(epochs=3, batch_size=8)


class FakeClock:
    """A clock that moves on by `step_s` whenever it is read."""

    def __init__(self, step_s: float) -> None:
        self.now, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


@pytest.fixture(scope="session")
def corpus(make_corpus: MakeCorpus) -> Corpus:
    return make_corpus([120, 90, 150, 60])


@pytest.mark.parametrize(("steps", "epochs"), [(1, 10), (31, 11)])
def test_epochs_that_are_not_given_follow_from_the_music(
    steps: int,
    epochs: int,
    corpus: Corpus,
    run_config: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Small corpora get more epochs, large ones at least ten."""
    monkeypatch.setattr(LSTM, "STEPS", steps)
    training = TrainConfig(batch_size=16, early_stopping=False, realism_every_epochs=0)
    record = train(corpus, model=MODEL, training=training, run=run_config)
    assert record.schedule["total_steps"] == 3 * epochs
    assert record.metrics["epochs"] == epochs
    assert record.train_config.epochs == epochs


def test_a_run_leaves_all_that_is_needed(
    corpus: Corpus, run_config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    done: list[tuple[str, int, int]] = []
    with reporting(lambda *args: done.append(args)):
        record = train(corpus, model=MODEL, training=TRAINING, run=run_config)
    notes = caplog.messages
    assert record.status == "finished"
    total = record.schedule["total_steps"]
    assert done == [("train", step, total) for step in range(1, total + 1)]
    found = resolve_run(record.run_id, run_config)
    assert found == replace(record, folder=found.folder)
    assert len(found.training_files) == 3
    assert len(found.validation_files) == 1
    assert found.metrics["steps"] == total
    assert found.metrics["epochs"] == 3
    assert set(found.load_arrays()) >= {"window_mean", "window_spread", "var_coefficients"}
    for which in ("best", "last"):
        model = load_model(found.checkpoint(which))
        assert isinstance(model, DescriptorModel)
        assert model.model_config == MODEL
    assert sorted(p.name for p in (record.folder / "checkpoints").iterdir()) == [
        "best.ckpt",
        "last.ckpt",
    ]
    assert any(line.startswith("training LSTM on 3 recordings") for line in notes)
    assert f"{total} training steps: too few to learn much" in notes[-1]
    assert f"{record.metrics['val_nll']:.2f} against {record.metrics['var_nll']:.2f}" in notes[-1]


def test_figures_go_to_the_csv(corpus: Corpus, run_config: RunConfig) -> None:
    record = train(corpus, model=MODEL, training=replace(TRAINING, save_interval=2), run=run_config)
    rows = read_metrics(record.folder / "metrics.csv")
    steps = [row["step"] for row in rows]
    assert steps == sorted(steps)
    total = record.schedule["total_steps"]
    learned = [row for row in rows if "loss" in row]
    assert {row["epoch"] for row in learned} == {0, 1, 2}
    assert learned[-1]["step"] == total
    for row in learned:
        assert math.isfinite(row["loss"])
        assert 0 < row["learning_rate"] <= TRAINING.learning_rate
        assert row["steps_per_second"] > 0
    validated = [row for row in rows if "val_loss" in row]
    assert len(validated) == 2, "after two epochs, and at the end"
    assert validated[-1]["step"] == total
    assert min(row["val_loss"] for row in validated) == record.metrics["val_nll"]


def test_training_improves_what_it_measures(make_corpus: MakeCorpus, run_config: RunConfig) -> None:
    training = TrainConfig(epochs=12, batch_size=16, learning_rate=0.01)
    record = train(make_corpus([300] * 4), model=MODEL, training=training, run=run_config)
    rows = [r["val_loss"] for r in read_metrics(record.folder / "metrics.csv") if "val_loss" in r]
    assert min(rows) < rows[0] - 0.1
    # The data is a linear process: its own model cannot be beaten by much, only approached.
    assert record.metrics["val_nll"] < record.metrics["var_nll"] + 0.5


@pytest.mark.parametrize("name", MODELS)
def test_every_model_and_head_trains(name: str, corpus: Corpus, run_config: RunConfig) -> None:
    model = replace(MODEL, selected_model=name, nhead=2, dim_feedforward=16)
    for head in ("mse", "student_t") if name == "LSTM" else ("mixture",):
        record = train(
            corpus,
            model=replace(model, head=head),
            training=replace(TRAINING, epochs=1),
            run=run_config,
        )
        assert record.status == "finished"
        assert ("val_nll" in record.metrics) == (head != "mse")
        assert math.isfinite(record.metrics["val_loss"])


def test_one_seed_gives_one_run(corpus: Corpus, run_config: RunConfig) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        training = replace(TRAINING, seed=seed)
        model = replace(MODEL, dropout=0.3)
        record = train(corpus, model=model, training=training, run=run_config)
        return load_model(record.checkpoint("last")).state_dict()

    first, again, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_nobodys_random_numbers_change(corpus: Corpus, run_config: RunConfig) -> None:
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    train(corpus, model=MODEL, training=replace(TRAINING, epochs=1), run=run_config)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


def test_hooks_change_nothing(corpus: Corpus, run_config: RunConfig) -> None:
    seen = []

    def hook(model: torch.nn.Module, step: int) -> None:
        assert not model.training
        torch.randn(1000)
        seen.append(step)

    model = replace(MODEL, dropout=0.3)
    record = train(corpus, model=model, training=TRAINING, run=run_config, on_validation=hook)
    plain = train(corpus, model=model, training=TRAINING, run=run_config)
    assert len(seen) == 3
    assert seen[-1] == record.schedule["total_steps"]
    ours, theirs = (load_model(r.checkpoint("last")).state_dict() for r in (record, plain))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_lightning_says_nothing(
    corpus: Corpus, run_config: RunConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(corpus, model=MODEL, training=replace(TRAINING, epochs=1), run=run_config)
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err == ""
    assert not [w for w in caught if "lightning" in str(w.filename)]
    assert logging.getLogger("lightning_fabric").level != logging.ERROR


def test_early_stopping(
    corpus: Corpus, run_config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    # Steps so large that the loss soon rises.
    training = TrainConfig(epochs=50, batch_size=8, learning_rate=0.3, patience=2)
    record = train(corpus, model=MODEL, training=training, run=run_config)
    assert record.status == "finished"
    assert record.schedule["ended"] == "stopped early"
    rows = [r for r in read_metrics(record.folder / "metrics.csv") if "val_loss" in r]
    losses = [row["val_loss"] for row in rows]
    assert len(losses) < 50
    assert np.argmin(losses) == len(losses) - 3
    assert record.metrics["val_nll"] == min(losses)
    assert record.metrics["best_step"] == rows[-3]["step"]
    last = torch.load(record.checkpoint("last"), weights_only=True)["desc.training"]
    assert last["progress"]["best_step"] == rows[-3]["step"]
    assert any("stopped early" in line for line in caplog.messages)
    unbroken = replace(training, early_stopping=False, epochs=len(losses) + 2)
    longer = train(corpus, model=MODEL, training=unbroken, run=run_config)
    assert longer.metrics["epochs"] == len(losses) + 2


def test_the_time_limit_fixes_the_length(
    corpus: Corpus,
    run_config: RunConfig,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "desc")
    monkeypatch.setattr(stopping, "now", FakeClock(0.1))
    training = replace(TRAINING, epochs=1000, max_time_s=30.0)
    record = train(
        corpus,
        model=MODEL,
        training=training,
        run=run_config,
    )
    # The measured steps read the clock once each, the real ones a few times.
    total = record.schedule["total_steps"]
    assert 50 < total < 300
    assert record.status == "stopped"
    assert record.schedule["ended"] == "time limit"
    assert 0 < record.metrics["steps"] < total
    assert record.metrics["fit_s"] <= 30
    told = f"run {record.run_id} can be resumed"
    assert any("time limit reached" in line and told in line for line in caplog.messages)


def test_epochs_that_fit_into_the_time_are_done(corpus: Corpus, run_config: RunConfig) -> None:
    training = replace(TRAINING, max_time_s=1e6)
    record = train(corpus, model=MODEL, training=training, run=run_config)
    assert record.status == "finished"
    assert record.metrics["epochs"] == 3


def test_a_tiny_time_limit_still_makes_a_run(corpus: Corpus, run_config: RunConfig) -> None:
    record = train(
        corpus, model=MODEL, training=replace(TRAINING, max_time_s=0.001), run=run_config
    )
    assert record.metrics["steps"] == 1
    assert record.checkpoint("best").exists()


def test_divergence_is_an_error_that_helps(
    corpus: Corpus,
    run_config: RunConfig,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = RunningAverage.update

    def poison(self: RunningAverage, step: int) -> None:
        honest(self, step)
        if step == 7:
            next(iter(self.values.values())).fill_(math.nan)

    monkeypatch.setattr(RunningAverage, "update", poison)
    caplog.set_level(logging.INFO, "desc")
    with pytest.raises(DescError, match=r"diverged at step \d+ \(val_loss=nan\).*learning_rate"):
        train(corpus, model=MODEL, training=TRAINING, run=run_config)
    (record,) = [
        RunRecord.load(p.parent) for p in Path(run_config.experiment_dir).rglob("run.json")
    ]
    assert record.status == "failed"
    assert f"run {record.run_id} failed" in caplog.messages[-1]
    state = torch.load(record.checkpoint("last"), weights_only=True)["desc.training"]
    assert state["progress"]["step"] <= 8
    assert all(p.isfinite().all() for p in load_model(record.checkpoint("last")).parameters())


def test_a_loss_that_is_no_number_ends_the_run_at_once(
    corpus: Corpus, run_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = DescriptorTask.total_nll
    calls = []

    def exploding(self: DescriptorTask, batch: Batch) -> torch.Tensor:
        calls.append(1)
        return honest(self, batch) * (math.inf if len(calls) > 20 else 1.0)

    monkeypatch.setattr(DescriptorTask, "total_nll", exploding)
    with pytest.raises(DescError, match=r"diverged at step \d+ \(loss=(inf|nan)\)"):
        train(corpus, model=MODEL, training=TRAINING, run=run_config)


def test_unused_options_are_named_in_one_line(
    corpus: Corpus, run_config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    train(
        corpus,
        model=replace(MODEL, nhead=3),
        training=replace(TRAINING, epochs=1),
        run=run_config,
    )
    (line,) = [line for line in caplog.messages if "does not use" in line]
    for name in ("forecast_size", "nhead"):
        assert name in line


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accelerator": "gpu"}, "accelerator='gpu'"),
        ({"accelerator": "mps"}, "accelerator='mps'"),
        ({"accelerator": "cpu", "precision": "16-mixed"}, "precision='16-mixed'"),
    ],
)
def test_what_this_machine_lacks_is_refused(
    settings: dict, message: str, corpus: Corpus, run_config: RunConfig
) -> None:
    if settings["accelerator"] != "cpu" and choose_device("auto").type != "cpu":
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigurationError, match=message):
        train(corpus, model=MODEL, training=replace(TRAINING, **settings), run=run_config)
    assert not list(Path(run_config.experiment_dir).rglob("run.json"))


def test_bfloat16_trains(corpus: Corpus, run_config: RunConfig) -> None:
    training = replace(TRAINING, epochs=1, precision="bf16-mixed", accelerator="cpu")
    model = replace(MODEL, selected_model="TransformerEncoderOnlyModel", nhead=2)
    record = train(corpus, model=model, training=training, run=run_config)
    assert math.isfinite(record.metrics["val_nll"])
    weights = load_model(record.checkpoint()).state_dict()
    assert all(w.dtype == torch.float32 for w in weights.values() if w.is_floating_point())


def test_one_file_alone_trains(make_corpus: MakeCorpus, run_config: RunConfig) -> None:
    record = train(
        make_corpus([400]), model=MODEL, training=replace(TRAINING, epochs=1), run=run_config
    )
    assert record.training_files == record.validation_files
    assert math.isfinite(record.metrics["var_nll"])


def test_recordings_of_nine_frames_train(
    make_corpus: MakeCorpus, run_config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    record = train(make_corpus([9] * 4), model=MODEL, training=TRAINING, run=run_config)
    assert record.status == "finished"
    assert math.isfinite(record.metrics["val_nll"])
    assert math.isnan(record.metrics["var_nll"])
    assert json.loads((record.folder / "run.json").read_text())["metrics"]["var_nll"] is None
    assert any("realism is not measured" in line for line in caplog.messages)
    assert not any("VAR" in line for line in caplog.messages)

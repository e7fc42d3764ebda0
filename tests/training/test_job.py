"""What a training says of itself, and runs that start from others."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import Corpus
from desc.errors import ConfigurationError
from desc.models.checkpoint import load_model
from desc.runs import RunRecord
from desc.runs.metrics_file import read_metrics
from desc.training.fit import train
from desc.training.plan import Speed
from desc.training.validation_metrics import Realism
from tests.training.test_resume import assert_same_run

MakeCorpus = Callable[..., Corpus]
MODEL = ModelConfig(
    window_size=8, forecast_size=4, context_size=8, hidden_size=8, num_layers=1, n_components=2
)
TRAINING = TrainConfig(epochs=2, batch_size=8, accelerator="cpu", realism_every_epochs=0)


@pytest.fixture(scope="session")
def corpus(make_corpus: MakeCorpus) -> Corpus:
    return make_corpus([120, 90, 150, 60])


@pytest.fixture(scope="module")
def parent(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """Return a finished run."""
    run = RunConfig(experiment_dir=str(tmp_path_factory.mktemp("parent")), offline=True)
    return train(corpus, model=MODEL, training=TRAINING, run=run)


def test_few_steps_are_told_in_plain_words(
    corpus: Corpus, run_config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    record = train(corpus, model=MODEL, training=TRAINING, run=run_config)
    steps = int(record.schedule["total_steps"])
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert line.startswith(f"{steps} training steps: too few to learn much; LSTM usually takes")


def test_realism_that_takes_too_much_of_the_time_is_not_measured(
    corpus: Corpus,
    make_corpus: MakeCorpus,
    run_config: RunConfig,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "desc")
    held_out = make_corpus([260], first_seed=50)
    given = {"validation": held_out, "model": MODEL, "run": run_config}
    monkeypatch.setattr(Realism, "duration_s", lambda *_: 20.0)
    settings = replace(TRAINING, realism_every_epochs=1, max_time_s=60.0)
    record = train(corpus, training=settings, **given)
    assert record.schedule["realism_every_epochs"] == 0
    assert record.train_config.realism_every_epochs == 1, "the settings stay as they were given"
    assert "val_fd" not in record.metrics
    assert "a measurement takes 20 s, and checks may take 5 % of the time limit, 3 s" in caplog.text
    caplog.clear()
    record = train(corpus, training=replace(settings, max_time_s=500.0), **given)
    assert "realism: at the end the model continues" in caplog.text
    assert {"val_fd", "var_fd", "real_fd"} <= record.metrics.keys()
    assert "the linear baseline (VAR, replay)" in caplog.messages[-1]


def test_validations_keep_to_their_share_of_the_time(
    corpus: Corpus, run_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second each: two fit into half of 5 % of 100 s, of which the last is at the end."""
    monkeypatch.setattr("desc.training.job.measure_speed", lambda *_: Speed(0.01, 1.0))
    settings = replace(TRAINING, epochs=20, max_time_s=100.0)
    record = train(corpus, model=MODEL, training=settings, run=run_config)
    rows = read_metrics(record.folder / "metrics.csv")
    assert record.schedule["save_interval"] == 11
    validated = [row for row in rows if "val_loss" in row]
    assert len(validated) == 2
    assert validated[-1]["step"] == record.schedule["total_steps"]


def test_a_window_longer_than_the_recordings_is_refused(
    corpus: Corpus, run_config: RunConfig
) -> None:
    model = replace(MODEL, window_size=151)
    with pytest.raises(ConfigurationError, match=r"window_size=151 frames .* 150 complete frames"):
        train(corpus, model=model, run=run_config)


def test_a_run_starts_from_the_weights_of_another(
    parent: RunRecord, corpus: Corpus, make_corpus: MakeCorpus, run_config: RunConfig
) -> None:
    weights = load_model(parent.checkpoint()).state_dict()
    settings = replace(TRAINING, from_run=str(parent.folder), learning_rate=1e-12, ema_decay=0.0)
    longer = train(corpus, training=settings, run=run_config)
    assert longer.run_id != parent.run_id
    assert json.loads((longer.folder / "run.json").read_text())["train_config"]["from_run"] == (
        parent.run_id
    )
    assert longer.model_config == parent.model_config
    assert longer.validation_files == parent.validation_files
    for name, value in load_model(longer.checkpoint()).state_dict().items():
        torch.testing.assert_close(value, weights[name], atol=1e-6, rtol=0)
    more = make_corpus([120, 90, 150, 60, 100, 110, 105, 95, 130, 140])
    wider = train(more, training=settings, run=run_config)
    assert not wider.validation_files.keys() & parent.training_files.keys()
    assert wider.training_files.keys() > parent.training_files.keys()


def test_another_architecture_than_the_parent_has_is_refused(
    parent: RunRecord, corpus: Corpus, run_config: RunConfig
) -> None:
    settings = replace(TRAINING, from_run=str(parent.folder))
    model = replace(MODEL, hidden_size=16)
    with pytest.raises(ConfigurationError, match=r"hidden_size=16 \(the run has 8\)"):
        train(corpus, model=model, training=settings, run=run_config, given=["hidden_size"])
    other = replace(corpus, config=replace(corpus.config, hop_length=256))
    with pytest.raises(ConfigurationError, match="started with other descriptors: hop_length=256"):
        train(other, training=settings, run=run_config)


def test_a_run_that_starts_from_another_is_resumed_byte_for_byte(
    parent: RunRecord, corpus: Corpus, run_config: RunConfig
) -> None:
    settings = replace(TRAINING, from_run=str(parent.folder), epochs=3, early_stopping=False)
    whole = train(corpus, training=settings, run=run_config)

    def stop(model: object, step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(corpus, training=settings, run=run_config, on_validation=stop)
    (stopped,) = {p.parent for p in whole.folder.parent.glob("*/run.json")} - {whole.folder}
    resumed = train(corpus, run=run_config, resume_run_id=str(stopped))
    assert_same_run(resumed, whole)


def test_a_damaged_last_checkpoint_is_resumed_from_the_one_before(
    corpus: Corpus, run_config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(TRAINING, epochs=4, early_stopping=False)
    whole = train(corpus, model=MODEL, training=settings, run=run_config)
    assert not (whole.folder / "checkpoints" / "previous.ckpt").exists()

    def stop(model: object, step: int) -> None:
        if step > 4:
            raise KeyboardInterrupt

    limited = replace(settings, max_time_s=1e6)
    with pytest.raises(KeyboardInterrupt):
        train(corpus, model=MODEL, training=limited, run=run_config, on_validation=stop)
    (stopped,) = {p.parent for p in whole.folder.parent.glob("*/run.json")} - {whole.folder}
    last = stopped / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 16
    last.write_bytes(content)
    resumed = train(corpus, run=run_config, resume_run_id=str(stopped))
    assert resumed.train_config.max_time_s is None  # the limit was that of one call
    assert "last.ckpt: damaged: its checksum is wrong; continuing from previous.ckpt" in caplog.text
    assert_same_run(resumed, whole)

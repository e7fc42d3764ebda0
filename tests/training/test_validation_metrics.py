"""Realism during training: measured when due, and used only if monitored."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.corpus import Corpus, open_corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, CorpusError, DescError
from desc.models import MODELS
from desc.models.base import DescriptorModel
from desc.models.checkpoint import load_model
from desc.runs import RunRecord, read_metrics
from desc.scoring.reference_scales import ReferenceScales
from desc.training.fit import train
from desc.training.recordings import split_recordings
from desc.training.validation_metrics import Realism
from tests.small_run import SmallRun
from tests.training.hooks import signal_after
from tests.training.test_resume import assert_same_run

MODEL = ModelConfig(
    window_size=8, forecast_size=4, context_size=8, hidden_size=8, num_layers=1, n_components=2,
    nhead=2, dim_feedforward=16, dropout=0.3,
)  # fmt: skip
TRAINING = TrainConfig(
    epochs=5, batch_size=16, learning_rate=0.01, realism_every_epochs=2, accelerator="cpu"
)
REALISM = {
    "val_fd", "val_acf", "val_modspec_db", "val_crps_43", "val_track_distance", "val_tail_std",
    "val_diff_ratio", "val_spread",
}  # fmt: skip


@pytest.fixture(scope="session")
def corpus(make_corpus: Callable[..., Corpus]) -> Corpus:
    return make_corpus([150, 120])


@pytest.fixture(scope="session")
def held_out(make_corpus: Callable[..., Corpus]) -> Corpus:
    return make_corpus([260, 230, 40], first_seed=50)


@pytest.fixture
def fit(corpus: Corpus, held_out: Corpus, tmp_path: Path) -> Callable[..., RunRecord]:
    """fit(name, model="LSTM", validation=…, **settings) -> a run below tmp_path / name."""

    def fit(
        name: str,
        model: str = "LSTM",
        *,
        validation: Corpus = held_out,
        resume_run_id: str | None = None,
        **settings: object,
    ) -> RunRecord:
        return train(
            corpus,
            validation=validation,
            model=replace(MODEL, selected_model=model),
            training=replace(TRAINING, **settings),
            run=RunConfig(experiment_dir=str(tmp_path / name), offline=True),
            resume_run_id=resume_run_id,
        )

    return fit


def validations(record: RunRecord) -> list[dict[str, float]]:
    return [row for row in read_metrics(record.folder / "metrics.csv") if "val_loss" in row]


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_measuring_changes_no_weight(model: str, fit: Callable[..., RunRecord]) -> None:
    measured, plain = fit("a", model), fit("b", model, realism_every_epochs=0)
    for which in ("best", "last"):
        ours, theirs = (load_model(r.checkpoint(which)).state_dict() for r in (measured, plain))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not REALISM & {name for row in validations(plain) for name in row}
    assert "realism_s" not in plain.metrics
    rows = validations(measured)
    assert [row.keys() >= REALISM for row in rows] == [False, True, False, True, True]
    assert all(math.isfinite(row[name]) for row in rows[3:] for name in REALISM)
    assert measured.metrics["realism_s"] > 0
    assert [row["val_loss"] for row in rows] == [row["val_loss"] for row in validations(plain)]


def test_best_and_early_stopping_go_by_what_is_monitored(
    fit: Callable[..., RunRecord], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    settings = {"monitor": "val_fd", "realism_every_epochs": 1, "epochs": 30, "patience": 1}
    record = fit("a", learning_rate=0.05, **settings)
    rows = validations(record)
    scores = [row["val_fd"] for row in rows]
    assert record.schedule["ended"] == "stopped early"
    assert scores[-1] >= min(scores[:-1]), "one measurement without improvement ends it"
    assert scores[:-1] == sorted(scores[:-1], reverse=True)
    assert "val_fd no longer falls" in caplog.text
    best = rows[scores.index(min(scores))]
    assert record.metrics["best_step"] == best["step"]
    for name in ("val_loss", "val_fd", "val_acf"):
        assert record.metrics[name] == best[name]
    state = torch.load(record.checkpoint("last"), weights_only=True)["desc.training"]
    assert state["progress"]["best_step"] == best["step"]


def test_an_early_stop_measures_the_best_network(
    fit: Callable[..., RunRecord], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    settings = {"learning_rate": 0.05, "epochs": 30, "patience": 1}
    often = fit("a", realism_every_epochs=1, **settings)
    caplog.clear()
    seldom = fit("b", realism_every_epochs=20, **settings)
    assert seldom.schedule["ended"] == "stopped early"
    assert not any("val_fd" in row for row in validations(seldom))
    step = seldom.metrics["best_step"]
    (row,) = (row for row in validations(often) if row["step"] == step)
    assert {n: seldom.metrics[n] for n in REALISM} == {n: row[n] for n in REALISM}
    assert f"FD {row['val_fd']:.1f} against {seldom.metrics['var_fd']:.1f}" in caplog.text


def test_what_is_measured_seldom_decides_seldom(fit: Callable[..., RunRecord]) -> None:
    record = fit("a", monitor="val_acf", patience=1, realism_every_epochs=2)
    measured = {row["step"]: row["val_acf"] for row in validations(record) if "val_acf" in row}
    assert record.metrics["best_step"] == min(measured, key=lambda step: measured[step])


def test_a_resumed_run_goes_on_by_the_same_figure(fit: Callable[..., RunRecord]) -> None:
    settings = {"monitor": "val_fd", "realism_every_epochs": 1}
    straight = fit("a", **settings)
    stop_at = straight.schedule["total_steps"] // 2
    with signal_after(stop_at), pytest.raises(KeyboardInterrupt):
        fit("b", **settings)
    (stopped,) = (straight.folder.parents[2] / "b").rglob("run.json")
    resumed = fit("b", resume_run_id=stopped.parent.name, **settings)
    assert_same_run(resumed, straight, stops=(stop_at,))
    assert resumed.metrics["val_fd"] == straight.metrics["val_fd"]
    assert resumed.metrics["val_loss"] == straight.metrics["val_loss"]


def test_a_stop_before_anything_was_measured_measures(
    fit: Callable[..., RunRecord], tmp_path: Path
) -> None:
    settings = {"monitor": "val_fd", "realism_every_epochs": 4}
    steps_per_epoch = validations(fit("a", **settings))[0]["step"]
    with signal_after(int(steps_per_epoch)), pytest.raises(KeyboardInterrupt):
        fit("b", **settings)
    (path,) = (tmp_path / "b").rglob("run.json")
    stopped = RunRecord.load(path.parent)
    assert stopped.metrics["best_step"] == steps_per_epoch
    assert math.isfinite(stopped.metrics["val_fd"])
    assert (path.parent / "checkpoints" / "best.ckpt").exists()


def test_recordings_too_short_to_be_continued(
    fit: Callable[..., RunRecord],
    make_corpus: Callable[..., Corpus],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "desc")
    short = make_corpus([191], first_seed=70)
    record = fit("a", validation=short)
    assert "191 complete frames; 192 are needed" in caplog.text
    assert not REALISM & record.metrics.keys()
    with pytest.raises(CorpusError, match="monitor='val_fd' is not possible"):
        fit("b", validation=short, monitor="val_fd")
    assert not list((tmp_path / "b").rglob("run.json"))


def test_silence_after_the_music_is_not_continued(
    make_wav: Callable[..., Path], tmp_path: Path, small_run: SmallRun
) -> None:
    """Neither in recordings held out nor in the end of a single one."""
    rate = 44100
    audio = soundfile.read(small_run.root / "held_out" / "x.wav", dtype="float32")[0]
    make_wav("x.wav", np.concatenate([audio, np.zeros(8 * rate, np.float32)]))
    corpus = open_corpus(tmp_path, DescriptorConfig(), small_run.store, jobs=1)
    scales = ReferenceScales.from_run(
        small_run.record, load_model(small_run.record.checkpoint()).statistics
    )
    (whole,) = corpus.sequences
    for share, first_s in ((1.0, 0), (0.8, 21 - 0.8 * 21)):
        split = split_recordings(corpus, None, share, 0).validation if share < 1 else (whole,)
        excerpts = Realism.of(split, scales, 0, corpus).scorer.excerpts
        ends_s = (excerpts.positions + excerpts.protocol.steps) * 1024 / rate + first_s
        assert max(ends_s) == pytest.approx(13, abs=0.2)


def test_what_is_monitored_must_be_measured() -> None:
    with pytest.raises(ConfigurationError, match="realism_every_epochs=0 must be at least 1"):
        TrainConfig(monitor="val_fd", realism_every_epochs=0)
    with pytest.raises(ConfigurationError, match="monitor='val_los' must be one of val_loss"):
        TrainConfig(monitor="val_los")


def test_a_sample_that_fails_does_not_end_the_run(
    corpus: Corpus, held_out: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[int, str]] = []

    def render(model: DescriptorModel, recording: DescriptorSequence, path: Path) -> None:
        torch.rand(1)
        seen.append((len(recording.complete_static), path.name))
        if len(seen) == 2:  # the first call is the trial
            raise DescError("no sound")

    def run(folder: str, **options: object) -> RunRecord:
        return train(
            corpus,
            validation=held_out,
            model=MODEL,
            training=replace(TRAINING, realism_every_epochs=0, sample_every_epochs=2),
            run=RunConfig(experiment_dir=str(tmp_path / folder), offline=True),
            **options,
        )

    record, plain = run("a", render_sample=render), run("b")
    assert [name[:10] for _, name in seen[1:]] == ["epoch_0002", "epoch_0004", "epoch_0005"]
    assert {n for n, _ in seen} <= {round(0.75 * n) for n in (260, 230, 40)}
    assert "no audio sample epoch_0002" in caplog.text
    assert "no sound" in caplog.text
    ours, theirs = (load_model(r.checkpoint("last")).state_dict() for r in (record, plain))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)

"""Trainings: files, resuming and failures."""

from __future__ import annotations

import logging
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from desc.configuration import RunConfig
from desc.engine import stopping
from desc.engine.checkpoint import save_checkpoint
from desc.errors import ConfigurationError, DescError, TrainingInterruptedError
from desc.progress import reporting
from desc.report.drawing import draw_mels
from desc.runs import RunLog, SoundRecord, list_runs, read_metrics, resolve_record, resolve_run
from desc.runs.resolve import RunNotFoundError
from desc.soundgen.checkpoint import SoundCheckpoint
from desc.soundgen.flow_training import FlowTask
from desc.soundgen.jobs import train_flow, train_unagan, train_vocoder
from desc.soundgen.mel_generator import MelGenerator
from desc.soundgen.recordings import SoundRecordings
from desc.soundgen.unagan_training import UnaganTask, moment_distance
from desc.soundgen.vocoder import Vocoder
from desc.soundgen.vocoder_training import VocoderTask
from tests.soundgen.conftest import (
    FAST,
    FAST_FLOW,
    FAST_UNAGAN,
    FLOW,
    MEL,
    MELGAN,
    RATE,
    UNAGAN,
    VOCOS,
)
from tests.training.hooks import after_step
from tests.training.test_resume import content, equal, rows

Train = Callable[..., SoundRecord]
TASKS = {"unagan": UnaganTask, "flow": FlowTask}


@pytest.fixture(params=["melgan", "vocos", "unagan", "flow"])
def train(
    request: pytest.FixtureRequest, recordings: SoundRecordings, run_config: RunConfig
) -> Train:
    """train(**changes of the training, and options) of each network."""

    def call(**options: Any) -> SoundRecord:
        training = {"unagan": FAST_UNAGAN, "flow": FAST_FLOW}.get(request.param, FAST)
        names = set(vars(training)) & set(options)
        training = replace(training, **{name: options.pop(name) for name in names})
        job, model = {
            "melgan": (train_vocoder, MELGAN), "vocos": (train_vocoder, VOCOS),
            "unagan": (train_unagan, UNAGAN), "flow": (train_flow, FLOW),
        }[request.param]  # fmt: skip
        options.setdefault("run", replace(run_config, project=request.param))
        return job(lambda _: recordings, mel=MEL, model=model, training=training, **options)

    call.name = request.param  # type: ignore[attr-defined]
    return call


def test_a_run_holds_all_that_generation_needs(train: Train, recordings: SoundRecordings) -> None:
    record = train()
    assert re.fullmatch("[a-z0-9]{8}", record.run_id)
    assert (record.generator, record.status) == (train.name, "finished")  # type: ignore[attr-defined]
    assert record.training_files == recordings.files
    stored = SoundCheckpoint.load(record.checkpoint())
    assert stored.mel == MEL
    assert stored.gain == recordings.gain
    rows = read_metrics(record.folder / "metrics.csv")
    assert {row["step"] for row in rows} == {2, 3, 4, 6}
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert record.metrics["val_loss"] == min(r["val_loss"] for r in rows if "val_loss" in r)
    if record.generator in ("unagan", "flow"):
        mels = list(MelGenerator.from_run(str(record.folder)).blocks(50, seed=0))
        assert mels[0].shape == (20, 50)
        assert mels[0].isfinite().all()
    else:
        vocoder = Vocoder.from_run(str(record.folder))
        assert vocoder(np.zeros((20, 30), np.float32)).shape == (30 * 64,)
        discriminated = {row["step"] for row in rows if "train_discriminator" in row}
        assert discriminated == {4, 6}  # they take part from step 3
    assert list((record.folder / "samples").glob("step-6*.wav"))


@pytest.mark.slow
def test_the_projected_time_is_told_after_five_seconds(
    train: Train, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    now = [0.0]
    monkeypatch.setattr(stopping, "now", lambda: now[0])
    with reporting(lambda *_: now.__setitem__(0, now[0] + 0.5)):  # half a second per step
        train(steps=20, save_interval=40)
    # from step 2 on, as soon as five seconds are over: at step 12
    told = [line for line in caplog.messages if "per second" in line]
    assert told == ["2 steps per second: about 4 s left"]


def test_samples_and_spectrograms_are_shown_at_each_validation(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("vocoder_training", "mel_training"):
        monkeypatch.setattr(f"desc.soundgen.{module}.draw_mels", draw_mels)
    shown: list[tuple[int, set[str]]] = []

    def show(self: RunLog, files: dict[str, Path], step: int) -> None:
        assert all(path.is_relative_to(self.folder) and path.is_file() for path in files.values())
        shown.append((step, {path.name for path in files.values()}))

    monkeypatch.setattr(RunLog, "show", show)
    train()
    assert [step for step, _ in shown] == [3, 6]
    for step, names in shown:
        assert f"step-{step}.png" in names
        assert any(name.startswith(f"step-{step}") and name.endswith(".wav") for name in names)


def test_a_stopped_run_ends_as_one_that_was_not(
    train: Train, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    whole = train()
    now = [0.0]
    monkeypatch.setattr(stopping, "now", lambda: now[0])
    with after_step(4, lambda: now.__setitem__(0, 100.0)):
        stopped = train(max_time_s=7.0)
    assert (stopped.status, stopped.metrics["steps"]) == ("stopped", 4)
    assert f"run {stopped.run_id} can be resumed" in caplog.text
    resumed = train(resume_run_id=stopped.run_id, given=[])
    assert (resumed.run_id, resumed.status) == (stopped.run_id, "finished")
    for name in ("last", "best"):
        ours, theirs = (content(r.folder, name) for r in (resumed, whole))
        assert equal(ours, theirs), name
    logged, expected = (rows(r.folder) for r in (resumed, whole))
    assert [r for r in logged if not (r["step"] == 4 and "val_loss" in r)] == expected
    assert train(resume_run_id=stopped.run_id, given=[]).status == "finished"


def test_the_same_seed_gives_the_same_parameters(train: Train) -> None:
    def state(**options: Any) -> list[torch.Tensor]:
        return list(
            SoundCheckpoint.load(train(steps=2, **options).checkpoint("last")).state.values()
        )

    one = state()
    torch.randn(3)  # what others draw does not matter
    assert all(torch.equal(a, b) for a, b in zip(one, state(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, state(seed=1), strict=True))


def test_a_run_goes_on_by_its_own_settings_alone(train: Train) -> None:
    record = train(steps=2, max_time_s=1e-9)
    with pytest.raises(ConfigurationError, match=r"batch_size=5 \(the run has 2\)"):
        train(resume_run_id=record.run_id, batch_size=5, given=["batch_size"])
    with pytest.raises(ConfigurationError, match=r"from_run='b' \(the run has None\)"):
        train(resume_run_id=record.run_id, from_run="b", given=["from_run"])


def test_a_new_run_may_begin_with_the_parameters_of_another(train: Train) -> None:
    first = train()
    stored = SoundCheckpoint.load(first.checkpoint("best"))
    seen: dict[str, torch.Tensor] = {}

    def keep(generator: torch.nn.Module, step: int) -> None:
        if step == 1:
            seen.update({k: v.clone() for k, v in generator.state_dict().items()})

    second = train(
        from_run=first.run_id, steps=1, learning_rate=1e-12, save_interval=1,
        on_validation=keep,
    )  # fmt: skip
    assert second.run_id != first.run_id
    for name, value in stored.state.items():
        torch.testing.assert_close(seen[name], value, atol=1e-6, rtol=1e-5)
    # As if it had been killed before its first checkpoint.
    shutil.rmtree(second.folder / "checkpoints")
    text = (second.folder / "run.json").read_text()
    (second.folder / "run.json").write_text(text.replace('"finished"', '"stopped"'))
    seen.clear()
    train(resume_run_id=second.run_id, given=[], on_validation=keep)
    for name, value in stored.state.items():
        torch.testing.assert_close(seen[name], value, atol=1e-6, rtol=1e-5)


def test_an_explosion_goes_back_to_the_last_good_checkpoint(
    train: Train, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = TASKS.get(train.name, VocoderTask)  # type: ignore[attr-defined]
    honest = task.step
    calls: list[tuple[int, int]] = []

    def exploding(self: Any, step: int, attempt: int) -> dict[str, torch.Tensor]:
        calls.append((step, attempt))
        losses = honest(self, step, attempt)
        if len(calls) == 5:
            with torch.no_grad():
                next(self.networks["generator"].parameters()).fill_(float("nan"))
            return losses | {"generator": torch.tensor(float("nan"))}
        return losses

    monkeypatch.setattr(task, "step", exploding)
    caplog.set_level(logging.INFO, "desc")
    record = train()
    assert record.status == "finished"
    assert calls == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (3, 1), (4, 1), (5, 1)]
    assert "continuing from step 3 with other batches" in caplog.text
    stored = SoundCheckpoint.load(record.checkpoint("last"))
    assert all(v.isfinite().all() for v in stored.state.values() if v.is_floating_point())


def test_a_validation_that_is_no_number_goes_back_too(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TASKS.get(train.name, VocoderTask)  # type: ignore[attr-defined]
    honest = task.validate
    calls: list[float] = []

    def failing(self: Any, *step: int, **last: bool) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:  # at step 6; the parameters of step 3 come back
            with torch.no_grad():
                next(self.networks["generator"].parameters()).fill_(float("nan"))
            return {"val_loss": float("nan")}
        return honest(self, *step, **last)

    monkeypatch.setattr(task, "validate", failing)
    record = train()
    assert (record.status, len(calls)) == ("finished", 3)
    stored = content(record.folder, "last")["desc.training"]
    assert stored["progress"]["attempt"] == 1
    for state in stored["networks"].values():
        assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())


def test_a_training_that_explodes_always_ends_with_an_error(
    train: Train, monkeypatch: pytest.MonkeyPatch, run_config: RunConfig
) -> None:
    task = TASKS.get(train.name, VocoderTask)  # type: ignore[attr-defined]
    monkeypatch.setattr(task, "step", lambda *_: {"generator": torch.tensor(1e9)})
    with pytest.raises(DescError, match=r"diverged at step 0 \(generator=1e\+09\).*learning_rate"):
        train()
    (record,) = list_runs(replace(run_config, project=train.name))  # type: ignore[attr-defined]
    assert record.status == "failed"
    assert record.model_name == train.name  # type: ignore[attr-defined]


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Ctrl-C has its usual effect, also where the tests run in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_keeps_the_run(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    task = TASKS.get(train.name, VocoderTask)  # type: ignore[attr-defined]
    honest = task.step

    def interrupted(self: Any, step: int, attempt: int) -> dict[str, torch.Tensor]:
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return honest(self, step, attempt)

    monkeypatch.setattr(task, "step", interrupted)
    with pytest.raises(TrainingInterruptedError) as stopped:
        train()
    monkeypatch.undo()
    resumed = train(resume_run_id=stopped.value.run_id, given=[])
    assert resumed.status == "finished"


def test_a_run_of_sound_is_not_taken_for_a_sequence_model(
    recordings: SoundRecordings, run_config: RunConfig
) -> None:
    training = replace(FAST, steps=1)
    run = replace(run_config, project="melgan")
    record = train_vocoder(lambda _: recordings, mel=MEL, model=VOCOS, training=training, run=run)
    assert resolve_record(SoundRecord, record.run_id, run).generator == "vocos"
    with pytest.raises(RunNotFoundError, match="of kind 'sound'"):
        resolve_run(record.run_id, run)


def test_k_follows_the_balance(recordings: SoundRecordings) -> None:
    task = UnaganTask(MEL, UNAGAN, replace(FAST_UNAGAN, lambda_k=0.5, init_k=0.2), recordings)
    losses = {name: float(value) for name, value in task.step(0, 0).items()}
    balance = losses["real_error"] - losses["fake_error"]
    assert task.k == pytest.approx(min(1, max(0, 0.2 + 0.5 * balance)))
    assert losses["convergence"] == pytest.approx(losses["real_error"] + abs(balance))
    assert losses["discriminator"] == pytest.approx(
        losses["real_error"] - 0.2 * losses["fake_error"], rel=1e-4
    )


def test_without_a_cycle_there_is_no_encoder(recordings: SoundRecordings) -> None:
    task = UnaganTask(MEL, replace(UNAGAN, cycle=False), FAST_UNAGAN, recordings)
    assert set(task.networks) == {"generator", "discriminator"}
    assert "reconstruction" not in task.step(0, 0)


def test_bands_are_standardised_by_what_is_learned_from(recordings: SoundRecordings) -> None:
    task = UnaganTask(MEL, UNAGAN, FAST_UNAGAN, recordings)
    frames = np.concatenate(task.crops.sounds, 1)
    assert np.abs(frames.mean(1)).max() < 1e-3
    assert np.abs(frames.std(1) - 1).max() < 1e-3
    assert set(task.arrays) == {"mean", "scale", "lowest", "highest"}


@pytest.mark.parametrize("name", ["unagan", "flow"])
@pytest.mark.parametrize("calibrate", [True, False])
@torch.no_grad()
def test_a_checkpoint_generates_what_the_training_does(
    recordings: SoundRecordings, tmp_path: Path, name: str, calibrate: bool
) -> None:
    model, training = {"unagan": (UNAGAN, FAST_UNAGAN), "flow": (FLOW, FAST_FLOW)}[name]
    training = replace(training, calibrate=calibrate)
    task = TASKS[name](MEL, model, training, recordings)  # type: ignore[arg-type]
    for parameter in task.networks["generator"].parameters():  # results that are far off
        parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.manual_seed(0)))
    task.average.update(10**6)
    task.validate()
    numbers = task.outputs(1, 64, torch.Generator().manual_seed(1))
    own = task.in_bands(numbers).numpy()
    if calibrate:
        many = task.in_bands(task.calibration_outputs()).numpy()
        if name == "unagan":
            assert np.abs(many.mean((0, 2))).max() < 1e-3
            assert np.abs(many.std((0, 2)) - 1).max() < 1e-2
    save_checkpoint(tmp_path / "a.ckpt", task.checkpoint())
    generator = MelGenerator.from_checkpoint(tmp_path / "a.ckpt", "a")
    made = numbers[0] if name == "unagan" else generator.source.components.in_bands(numbers[0])
    log_mel = own[0] * task.scale + task.mean_frame
    expected = np.clip(log_mel, task.lowest, task.highest)
    np.testing.assert_allclose(generator.bands.of(made), expected, atol=2e-3)
    kept = task.generate(1, 64, torch.Generator().manual_seed(1)).numpy()[0]
    np.testing.assert_allclose(kept * task.scale + task.mean_frame, expected, atol=2e-3)
    assert (np.concatenate(list(generator.blocks(64, 3)), 1) <= task.highest + 1e-5).all()


def test_validation_measures_the_running_mean(recordings: SoundRecordings) -> None:
    task = VocoderTask(MEL, VOCOS, FAST, recordings)
    before = task.validate()
    with torch.no_grad():
        for parameter in task.networks["generator"].parameters():
            parameter.add_(0.5)
    assert task.validate() != before
    with task.average.in_use():
        assert task.validate() == before


def test_spectrograms_are_drawn(tmp_path: Path) -> None:
    mels = {"real": np.zeros((20, 30)), "generated": np.ones((20, 40))}
    (path,) = draw_mels(mels, tmp_path / "a.png").values()
    assert path.read_bytes().startswith(b"\x89PNG")


def test_moments_are_apart_by_what_differs() -> None:
    real = torch.randn(4, 80, 32, generator=torch.Generator().manual_seed(0))
    assert moment_distance(real, real.flip(2)[[2, 0, 3, 1]]).item() == pytest.approx(0, abs=1e-5)
    assert moment_distance(real + 3, real).item() == pytest.approx(3, abs=1e-4)
    alike = real[:1].expand(4, -1, -1)
    spread_of_means = real.mean(2).std(0, correction=0).mean().item()
    assert moment_distance(alike, real).item() > spread_of_means


def test_the_moments_of_one_still_crop_have_a_gradient() -> None:
    still = torch.zeros(1, 80, 16, requires_grad=True)
    moment_distance(still, torch.ones(1, 80, 16)).backward()
    assert still.grad is not None
    assert torch.isfinite(still.grad).all()
    assert still.grad.abs().sum() > 0


@pytest.mark.parametrize("name", TASKS)
def test_one_short_recording_is_enough(recordings: SoundRecordings, name: str) -> None:
    """Its held-out end is shorter than a crop; equal crops of padding would say nothing."""
    sound = recordings.sounds[0][: 3 * RATE]
    one = replace(recordings, sounds=(sound,), sources=("a.wav",), digests=("0",))
    training = replace({"unagan": FAST_UNAGAN, "flow": FAST_FLOW}[name], seq_frames=128)
    task = TASKS[name](MEL, {"unagan": UNAGAN, "flow": FLOW}[name], training, one)
    crops = task.real.numpy()
    assert (crops[..., -1] != 0).any()
    assert not np.allclose(crops[0], crops[1])
    figures = task.validate()
    assert 0 < figures["val_diversity"] < 100
    assert np.isfinite(figures["val_loss"])
    task.step(0, 0)

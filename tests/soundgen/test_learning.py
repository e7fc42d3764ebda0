"""Seconds of training bring the networks closer than simple baselines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from desc.audio import resample
from desc.demo.corpus import RECORDINGS, perform
from desc.demo.instruments import SAMPLE_RATE
from desc.metrics.realism import frechet_distance
from desc.soundgen.flow_training import FlowTask
from desc.soundgen.griffin_lim import GriffinLim
from desc.soundgen.measures import diversity, frames_of, mel_l1, mel_l1_of_mean, mr_stft
from desc.soundgen.mel import MelFrontEnd
from desc.soundgen.presets import preset
from desc.soundgen.recordings import SoundRecordings, even_clips
from desc.soundgen.settings import (
    FlowConfig,
    FlowTraining,
    MelConfig,
    UnaganConfig,
    UnaganTraining,
    VocoderConfig,
    VocoderTraining,
)
from desc.soundgen.task import SoundTask
from desc.soundgen.unagan_training import UnaganTask
from desc.soundgen.vocoder_training import VocoderTask

pytestmark = pytest.mark.slow

MEL = MelConfig(sample_rate=22050)


@pytest.fixture(scope="module")
def piece() -> SoundRecordings:
    """Half a minute of the demo corpus."""
    music = perform(RECORDINGS[0], np.random.default_rng(0)).mean(0, keepdims=True)
    sound = resample(music.astype(np.float32), SAMPLE_RATE, 22050)[0]
    gain = 0.95 / float(np.abs(sound).max())
    return SoundRecordings((sound * np.float32(gain),), ("garden.wav",), ("0",), 22050, gain)


def learn(task: SoundTask, steps: int) -> None:
    for step in range(steps):
        losses = task.step(step, 0)
        assert all(v.isfinite() for v in losses.values())
        task.average.update(step)
    task.networks["generator"].load_state_dict(task.average.state_dict())


def vocoder(piece: SoundRecordings, steps: int, **changes: object) -> tuple[VocoderTask, float]:
    """Return a task and the mel L1 it begins with."""
    names = {"vocoder", "ngf", "ndf"}
    model = replace(
        preset(VocoderConfig, "small"), **{k: v for k, v in changes.items() if k in names}
    )
    training = replace(
        preset(VocoderTraining, "small", of=model.vocoder), steps=steps, validation_share=0.0,
        accelerator="cpu",
        **{k: v for k, v in changes.items() if k not in names},
    )  # fmt: skip
    torch.manual_seed(0)
    task = VocoderTask(MEL, model, training, piece)
    return task, task.validate()["val_loss"]


def test_a_small_vocoder_comes_near_the_recording(piece: SoundRecordings) -> None:
    task, before = vocoder(piece, 430, vocoder="vocos")
    learn(task, 430)
    clips = torch.from_numpy(even_clips(piece.sounds, 8, 86 * 256))
    front_end = MelFrontEnd(MEL)
    with torch.no_grad():
        made = task.networks["generator"](front_end(clips))
        by_hand = GriffinLim(MEL)(front_end(clips))
    assert mel_l1(front_end, made, clips) < 0.6 * before
    assert mel_l1(front_end, made, clips) < 0.42 * mel_l1_of_mean(front_end, clips)
    assert mr_stft(made, clips) < mr_stft(by_hand, clips)


def test_melgan_learns_by_spectral_losses(piece: SoundRecordings) -> None:
    task, before = vocoder(piece, 150)
    learn(task, 150)
    assert task.validate()["val_loss"] < 0.4 * before


def test_the_published_losses_of_melgan_bring_it_nearer(piece: SoundRecordings) -> None:
    """They hardly show in so short a time; `learn` looks at every loss for numbers."""
    task, before = vocoder(
        piece, 60, lambda_mel=0.0, lambda_stft=0.0, discriminator_from=0, schedule="constant",
        learning_rate=1e-4,
    )  # fmt: skip
    assert {"discriminator", "adversarial", "features"} <= set(task.step(0, 0))
    learn(task, 60)
    assert task.validate()["val_loss"] < 0.8 * before


def test_unagan_comes_nearer_than_gaussian_frames_and_a_constant(piece: SoundRecordings) -> None:
    training = replace(
        preset(UnaganTraining, "small"), steps=100, validation_share=0.0, accelerator="cpu"
    )
    torch.manual_seed(0)
    task = UnaganTask(MEL, preset(UnaganConfig, "small"), training, piece)
    real = np.concatenate(task.learned, 1).T
    first = task.step(0, 0)["reconstruction"]
    learn(task, 100)
    made = task.generate(32, 128, torch.Generator().manual_seed(0)).numpy()
    rng = np.random.default_rng(0)
    gaussian = frechet_distance(rng.standard_normal(real.shape), real)
    constant = frechet_distance(1e-3 * rng.standard_normal(real.shape), real)
    assert frechet_distance(frames_of(made), real) < 0.75 * min(gaussian, constant)
    assert task.step(100, 0)["reconstruction"] < 0.95 * first
    assert diversity(made[:8]) > 0.1


def test_the_flow_comes_nearer_than_gaussian_frames(piece: SoundRecordings) -> None:
    training = replace(
        preset(FlowTraining, "small"), steps=200, validation_share=0.0, accelerator="cpu"
    )
    torch.manual_seed(0)
    task = FlowTask(MEL, preset(FlowConfig, "small"), training, piece)
    real = np.concatenate(task.learned, 1).T
    learn(task, 200)
    made = task.generate(32, 128, torch.Generator().manual_seed(0)).numpy()
    gaussian = np.random.default_rng(0).standard_normal(real.shape)
    assert frechet_distance(frames_of(made), real) < 0.5 * frechet_distance(gaussian, real)
    assert diversity(made[:8]) > 0.1

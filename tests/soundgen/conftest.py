"""Small recordings, small networks, runs that stay on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.configuration import RunConfig
from desc.soundgen.jobs import train_unagan, train_vocoder
from desc.soundgen.presets import preset
from desc.soundgen.recordings import SoundRecordings, open_recordings
from desc.soundgen.settings import (
    FlowConfig,
    FlowTraining,
    MelConfig,
    UnaganConfig,
    UnaganTraining,
    VocoderConfig,
    VocoderTraining,
)

RATE = 8000
MEL = MelConfig(sample_rate=RATE, n_fft=256, hop_length=64, n_mels=20)
MELGAN = VocoderConfig(ngf=2, ratios=(8, 8), n_residual_layers=1, ndf=4, n_layers_D=2, num_D=2)
VOCOS = VocoderConfig(vocoder="vocos", dim=16, intermediate_dim=32, num_layers=2, ndf=4,
                      n_layers_D=2, num_D=2)  # fmt: skip
UNAGAN = UnaganConfig(z_dim=4, width=8)
FAST = replace(
    preset(VocoderTraining, "small"), steps=6, batch_size=2, seq_len=2048, save_interval=3,
    log_interval=2, n_test_samples=2, accelerator="cpu", discriminator_from=3, level_jitter=0.5,
)  # fmt: skip
FLOW = FlowConfig(n_components=6, width=8, num_layers=2, flow_steps=3)
FAST_FLOW = replace(
    preset(FlowTraining, "small"), steps=6, batch_size=2, seq_frames=32, save_interval=3,
    log_interval=2, num_va=4, accelerator="cpu",
)  # fmt: skip
FAST_UNAGAN = replace(
    preset(UnaganTraining, "small"), steps=6, batch_size=2, seq_frames=32, save_interval=3,
    log_interval=2, num_va=4, accelerator="cpu",
)  # fmt: skip


@pytest.fixture(scope="session")
def folder(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]
) -> Path:
    """Two recordings of 6 and 2 s at other rates, and a file that is no sound."""
    path = tmp_path_factory.mktemp("recordings")
    soundfile.write(path / "long.wav", make_signal("notes", 6.0, 16000, seed=1), 16000)
    stereo = np.stack([make_signal("notes", 2.0, 8000, seed=s) for s in (2, 3)], 1)
    soundfile.write(path / "short.flac", 0.5 * stereo, 8000)
    (path / "broken.wav").write_bytes(b"RIFF")
    return path


@pytest.fixture(scope="session")
def recordings(folder: Path) -> SoundRecordings:
    return open_recordings(folder, RATE)


@pytest.fixture
def run_config(tmp_path: Path) -> RunConfig:
    return RunConfig(experiment_dir=str(tmp_path / "experiments"), offline=True)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable W&B and plots, which take longer than the tests."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr("desc.soundgen.mel_training.SHOWN_S", 0.5)
    for module in ("vocoder_training", "mel_training"):
        monkeypatch.setattr(f"desc.soundgen.{module}.draw_mels", lambda *_: {})


@pytest.fixture(scope="session")
def trained(
    recordings: SoundRecordings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunConfig, str, str]:
    """Folder of runs, and the ids of a barely trained vocoder and UnaGAN."""
    root = RunConfig(experiment_dir=str(tmp_path_factory.mktemp("experiments")), offline=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        of_sound = train_vocoder(
            lambda _: recordings, mel=MEL, model=VOCOS, training=replace(FAST, steps=20),
            run=replace(root, project="melgan"),
        )  # fmt: skip
        of_mels = train_unagan(
            lambda _: recordings, mel=MEL, model=UNAGAN, training=FAST_UNAGAN,
            run=replace(root, project="unagan"),
        )  # fmt: skip
    return root, of_sound.run_id, of_mels.run_id

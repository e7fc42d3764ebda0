"""Checkpoints of sound generation: absurd content ends in an error with the file's name."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from desc.engine.checkpoint import save_checkpoint
from desc.errors import CheckpointError
from desc.soundgen.checkpoint import KEY, SoundCheckpoint
from desc.soundgen.mel_flow import MelFlow
from desc.soundgen.mel_generator import MelGenerator
from desc.soundgen.settings import FlowConfig, MelConfig, UnaganConfig, VocoderConfig
from desc.soundgen.unagan import UnaganGenerator
from desc.soundgen.vocoder import Vocoder, create_generator

MEL = MelConfig(sample_rate=8000, n_fft=64, hop_length=16, n_mels=8)
BANDS = {name: torch.ones(8) for name in ("mean", "scale", "lowest", "highest")}
COMPONENTS = {"basis": torch.ones(8, 2), "offset": torch.zeros(1, 1), "level": torch.ones(2, 1)}
MODELS: dict[str, Any] = {
    "flow": FlowConfig(n_components=2, width=4, num_layers=1, flow_steps=1),
    "unagan": UnaganConfig(z_dim=2, width=4),
    "vocos": VocoderConfig(vocoder="vocos", dim=4, intermediate_dim=4, num_layers=1),
}
ABSURD = (None, -1, 0, 1.5, 10**6, 10**30, "x", [], {}, [[1]], float("nan"), True)


def content(name: str) -> dict[str, Any]:
    """Return the content of a tiny checkpoint."""
    model = MODELS[name]
    network, arrays = {
        "flow": lambda: (MelFlow(2, 4, 1), BANDS | COMPONENTS),
        "unagan": lambda: (UnaganGenerator(8, 2, 4), BANDS),
        "vocos": lambda: (create_generator(model, MEL), {}),
    }[name]()
    return SoundCheckpoint(name, MEL, model, network.state_dict(), 0.5, arrays).to_dict()


def use(name: str, path: Path) -> None:
    """Load a checkpoint and make some frames with it."""
    if name == "vocos":
        Vocoder.from_checkpoint(path)(torch.zeros(8, 8).numpy())
    else:
        MelGenerator.from_checkpoint(path, name).generate(32)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_absurd_values_are_refused_by_name(name: str, tmp_path: Path) -> None:
    original, path = content(name), tmp_path / "a.ckpt"
    save_checkpoint(path, original)
    use(name, path)
    payload = original[KEY]
    places = [(key,) for key in payload]
    places += [(group, key) for group in ("mel_config", "model_config") for key in payload[group]]
    places += [("arrays", key) for key in payload["arrays"]]
    refused = 0
    for number, place in enumerate(places):
        for absurd in ABSURD[number % 6 :: 6]:
            fuzzed = copy.deepcopy(original)
            inner = fuzzed[KEY]
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = absurd
            save_checkpoint(path, fuzzed)
            try:
                use(name, path)
            except CheckpointError as error:
                refused += str(path) in str(error)
    assert refused > len(places)


@pytest.mark.parametrize("shape", [(), (3,), (8, 1, 2)])
def test_arrays_of_another_shape_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    for name in (*BANDS, *COMPONENTS):
        fuzzed = content("flow")
        fuzzed[KEY]["arrays"] |= {name: torch.ones(shape)}
        save_checkpoint(tmp_path / "a.ckpt", fuzzed)
        if (name, shape) != ("offset", ()):  # the same for all components
            with pytest.raises(CheckpointError, match=r"a\.ckpt"):
                use("flow", tmp_path / "a.ckpt")

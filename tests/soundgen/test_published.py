"""Published checkpoints in all their forms; files that must not be opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from desc.errors import CheckpointError
from desc.models.checkpoint import read_checkpoint
from desc.soundgen.hifigan import HifiganGenerator
from desc.soundgen.mel_generator import MelGenerator
from desc.soundgen.melgan import MelganGenerator
from desc.soundgen.published import load_state, plain_state
from desc.soundgen.settings import MelConfig
from desc.soundgen.unagan import UnaganDiscriminator, UnaganGenerator
from desc.soundgen.vocoder import Vocoder

State = dict[str, Tensor]


def newer_names(state: State) -> State:
    new = {"weight_g": "original0", "weight_v": "original1"}
    return {
        k if k.endswith("bias") else f"{k[:-8]}parametrizations.weight.{new[k[-8:]]}": v
        for k, v in state.items()
    }


def folded(state: State) -> State:
    result = {k: v for k, v in state.items() if k.endswith("bias")}
    for name in {k.removesuffix(".weight_v") for k in state if k.endswith(".weight_v")}:
        g, v = state[f"{name}.weight_g"], state[f"{name}.weight_v"]
        result[f"{name}.weight"] = g * v / v.norm(dim=(1, 2), keepdim=True)
    return result


FORMS: dict[str, Callable[[State], object]] = {
    "plain": lambda s: s,
    "newer names": newer_names,
    "folded": folded,
    "parallel": lambda s: {f"module.{k}": v for k, v in s.items()},
    "wrapped": lambda s: {"state_dict.model": s, "epoch": 3},
    "wrapped parallel": lambda s: {"generator": {f"module.{k}": v for k, v in s.items()}},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gru", [False, True])
def test_a_melgan_loads_in_every_form(form: str, gru: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MelganGenerator(12, 2, 2, (4, 4, 2), gru=gru)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("weight_g"):
                parameter.mul_(1.5)
    path = tmp_path / "netG.pt"
    if gru and form in ("newer names", "folded"):
        rec = {k: v for k, v in network.state_dict().items() if ".rec." in k}
        rest = {k: v for k, v in network.state_dict().items() if ".rec." not in k}
        torch.save(FORMS[form](rest) | rec, path)  # type: ignore[operator]
    else:
        torch.save(FORMS[form](network.state_dict()), path)
    vocoder = Vocoder.from_run(str(path))
    assert (vocoder.kind, vocoder.name) == ("melgan", "netG")
    assert (vocoder.mel.n_mels, vocoder.mel.hop_length, vocoder.mel.sample_rate) == (12, 32, 22050)
    mel = torch.randn(1, 12, 9)
    torch.testing.assert_close(vocoder.network(mel), network(mel), atol=1e-6, rtol=1e-5)


def test_the_rate_is_read_from_the_settings_beside_the_file(tmp_path: Path) -> None:
    torch.save(MelganGenerator(12, 2, 1, (4, 4)).state_dict(), tmp_path / "netG.pt")
    yaml = "!!python/object:argparse.Namespace\nbatch_size: 16\nsampling_rate: 44100\nnotes: null\n"
    (tmp_path / "args.yml").write_text(yaml)
    assert Vocoder.from_checkpoint(tmp_path / "netG.pt").mel.sample_rate == 44100


@pytest.mark.parametrize("version", ["V1", "V3"])
def test_a_hifigan_loads_with_its_settings(version: str, tmp_path: Path) -> None:
    sizes = {"V1": ((8, 4), (3, 5), True), "V3": ((8, 4), (3, 5), False)}[version]
    network = HifiganGenerator(20, 8, sizes[0], (4, 2), sizes[1], twice=sizes[2])
    torch.save({"generator": network.state_dict()}, tmp_path / "g_02500000")
    settings = {"sampling_rate": 44100, "n_fft": 64, "hop_size": 8, "num_mels": 20, "fmin": 0,
                "fmax": None, "resblock": "1"}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(settings))
    vocoder = Vocoder.from_checkpoint(tmp_path / "g_02500000")
    assert (vocoder.kind, vocoder.mel.log_base, vocoder.mel.hop_length) == ("hifigan", "e", 8)
    mel = torch.randn(1, 20, 9)
    torch.testing.assert_close(vocoder.network(mel), network(mel), atol=1e-6, rtol=1e-5)


@pytest.fixture
def published_unagan(tmp_path: Path) -> tuple[Path, UnaganGenerator]:
    """A checkpoint as UnaGAN's program writes it, and its network."""
    torch.manual_seed(0)
    network = UnaganGenerator(12, 5, 8)
    state = {f"module.{k}": v for k, v in network.state_dict().items()}
    path = tmp_path / "checkpoint" / "params.Generator.best_Convergence.torch"
    path.parent.mkdir()
    torch.save({"state_dict.model": state, "state_dict.optimizer": {}, "epoch": 3}, path)
    np.save(tmp_path / "mean.mel.npy", np.linspace(-3, -1, 12))
    np.save(tmp_path / "std.mel.npy", np.linspace(0.5, 1, 12))
    return path, network


def test_a_published_unagan_loads_with_its_statistics(
    published_unagan: tuple[Path, UnaganGenerator],
) -> None:
    path, network = published_unagan
    generator = MelGenerator.from_run(str(path))
    assert generator.mel == MelConfig(sample_rate=22050, n_mels=12)
    (mel,) = generator.blocks(40, seed=7)
    random = torch.Generator().manual_seed(7)
    z = torch.randn(1, 5, 3, generator=random)
    with torch.no_grad():
        made = network(z, network.draw_states(1, random))[0, :, :40]
    scale, mean = (torch.linspace(a, b, 12)[:, None] for a, b in ((0.5, 1), (-3, -1)))
    torch.testing.assert_close(mel, made * scale + mean)
    (path.parent / "args.yml").write_text("sampling_rate: 44100\n")
    assert MelGenerator.from_run(str(path)).mel.sample_rate == 44100


def test_statistics_of_a_published_unagan_are_needed_and_must_fit(
    published_unagan: tuple[Path, UnaganGenerator],
) -> None:
    path, _ = published_unagan
    place = path.parent.parent / "std.mel.npy"
    np.save(place, np.ones(80))
    with pytest.raises(CheckpointError, match=r"std.mel.npy: has shape \(80,\), must be \(12,\)"):
        MelGenerator.from_run(str(path))
    place.write_bytes(b"no array")
    with pytest.raises(CheckpointError, match=r"std\.mel\.npy: damaged"):
        MelGenerator.from_run(str(path))
    place.unlink()
    with pytest.raises(CheckpointError, match=r"needs the band statistics std\.mel\.npy beside it"):
        MelGenerator.from_run(str(path))
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(CheckpointError, match="not a UnaGAN generator"):
        MelGenerator.from_run(str(path))


def test_a_newer_spectral_norm_gets_the_older_names() -> None:
    network = UnaganDiscriminator(8, 4)
    newer = nn.utils.parametrizations.spectral_norm(nn.Conv1d(4, 8, 3, padding=1))
    state = {f"head.{k}": v for k, v in newer.state_dict().items()}
    named = plain_state(state)
    assert set(named) == {f"head.{n}" for n in ("bias", "weight_orig", "weight_u", "weight_v")}
    whole = network.state_dict() | named
    load_state(network, whole, "here")
    assert torch.equal(network.head.weight_orig, newer.parametrizations.weight.original)


def test_wrong_parameters_are_named() -> None:
    network = MelganGenerator(12, 2, 1, (4,))
    state = network.state_dict()
    del state["model.1.bias"]
    state["model.1.weight_g"] = torch.zeros(3, 1, 1)
    with pytest.raises(CheckpointError, match=r"a.pt: .*model.1.bias is missing.*must be \(4, 1"):
        load_state(network, state, "a.pt")


class Harmful:
    def __reduce__(self) -> object:
        return (Path.touch, (Path("harmed"),))


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Harmful()}, "bad.pt")
    with pytest.raises(CheckpointError, match="would run code"):
        read_checkpoint(Path("bad.pt"))
    assert not Path("harmed").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "damaged"), (b"no checkpoint at all", "run code|damaged"), (None, "no such")],
)
def test_what_is_no_checkpoint_is_named(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="not a MelGAN or HiFi-GAN"):
        Vocoder.from_checkpoint(tmp_path / "x.pt")

"""Outputs of the networks: lengths, losses with known answers, blocks equal to one pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from desc.errors import CheckpointError
from desc.soundgen.layers import NormedConv1d, NormedConvTranspose1d, fold_weights
from desc.soundgen.losses import adversarial_loss, discriminator_loss, feature_loss
from desc.soundgen.mel import MelFrontEnd
from desc.soundgen.melgan import MelganDiscriminator, MelganGenerator
from desc.soundgen.settings import MelConfig
from desc.soundgen.unagan import UnaganDiscriminator, UnaganEncoder, UnaganGenerator, n_vectors
from desc.soundgen.vocoder import BLOCK, END, render_blocks
from desc.soundgen.vocos import VocosGenerator


@pytest.mark.parametrize("ratios", [(8, 8, 2, 2), (5, 4, 3), (7,)])
@pytest.mark.parametrize("gru", [False, True])
def test_melgan_gives_exactly_a_hop_per_frame(ratios: tuple[int, ...], gru: bool) -> None:
    network = MelganGenerator(20, 2, 2, ratios, "replicate", gru=gru)
    hop = int(torch.tensor(ratios).prod())
    assert network(torch.randn(2, 20, 5)).shape == (2, 5 * hop)


@pytest.mark.parametrize("ndf", [4, 8, 16])
def test_discriminators_of_any_width_return_all_maps(ndf: int) -> None:
    maps = MelganDiscriminator(3, ndf)(torch.randn(2, 8192))
    assert [m.shape[2] for m in maps[0]] == [8192, 2048, 512, 128, 32, 32, 32]
    assert [scale[0].shape[2] for scale in maps] == [8192, 4096, 2048]
    assert maps[0][-1].shape == (2, 1, 32)


def test_weight_norm_is_that_of_pytorch() -> None:
    torch.manual_seed(0)
    for ours, theirs in (
        (NormedConv1d(4, 6, 3, padding=1), torch.nn.Conv1d(4, 6, 3, padding=1)),
        (
            NormedConvTranspose1d(4, 6, 4, stride=2, padding=1),
            torch.nn.ConvTranspose1d(4, 6, 4, 2, 1),
        ),
    ):
        reference = torch.nn.utils.parametrizations.weight_norm(theirs)
        with torch.no_grad():
            ours.weight_g.mul_(1.7)
        reference.load_state_dict(ours.state_dict())  # PyTorch reads the older names
        x = torch.randn(2, 4, 9)
        torch.testing.assert_close(ours(x), reference(x))
        expected = ours(x)
        fold_weights(ours)
        assert torch.equal(ours(x), expected)


def test_losses_of_known_scores() -> None:
    def maps(score: float) -> list[list[torch.Tensor]]:
        features = [torch.full((1, 2, 4), score)] * 6
        return [[*features, torch.full((1, 1, 4), score)]] * 3

    assert discriminator_loss(maps(2.0), maps(-2.0)).item() == 0
    assert discriminator_loss(maps(0.0), maps(0.5)).item() == pytest.approx(3 * (1.5 + 1))
    assert adversarial_loss(maps(0.25)).item() == pytest.approx(-0.75)
    # six maps of three scales, each 4/5/3 of an absolute difference of .5
    assert feature_loss(maps(0.0), maps(0.5)).item() == pytest.approx(6 * 0.8 * 0.5)


@pytest.mark.parametrize("n_mels", [80, 100, 30])
def test_unagan_takes_any_number_of_bands(n_mels: int) -> None:
    generator = UnaganGenerator(n_mels, z_dim=5, width=8)
    z, states = generator.draw(2, n_vectors(50), torch.Generator().manual_seed(0))
    mel = generator(z, states)
    assert mel.shape == (2, n_mels, 64)
    assert UnaganDiscriminator(n_mels, 8)(mel).shape == (2, n_mels, 64)
    assert UnaganEncoder(n_mels, 5, 8)(mel).shape == (2, 5, 4)
    assert UnaganEncoder(n_mels, 5, 8)(mel[..., :50]).shape == (2, 5, 4)
    other = generator(z, generator.draw_states(2, torch.Generator().manual_seed(1)))
    assert not torch.equal(mel, other)  # the first states are noise, too


@pytest.mark.parametrize("n_hops", [2, 4, 8])
def test_untrained_phases_are_those_of_tones_in_the_middle_of_bins(n_hops: int) -> None:
    """Whatever the frame rate: without `turn` only its multiples could sound."""
    mel = MelConfig(8000, n_fft=256, hop_length=256 // n_hops, n_mels=20)
    network = VocosGenerator(mel, dim=4, intermediate_dim=4, num_layers=1)
    torch.nn.init.zeros_(network.head.weight)
    tone = 0.5 * torch.sin(2 * torch.pi * 37 * torch.arange(8192) / 256)  # bin 37, for a second
    with torch.no_grad():
        audio = network(MelFrontEnd(mel)(tone[None]))[0]
    spectrum = torch.fft.rfft(audio[2048:6144])  # 16 cycles of 256
    assert spectrum.abs().argmax() == 37 * 16


def test_vocos_refuses_windows_that_blocks_would_count_otherwise() -> None:
    with pytest.raises(CheckpointError, match="n_fft=1000 must be 2, 4 or 8 times"):
        VocosGenerator(MelConfig(8000, n_fft=1000, hop_length=300, n_mels=20), dim=4)


def vocos(num_layers: int, n_hops: int = 4) -> VocosGenerator:
    """Return a small vocos of hop 16 and 8 bands whose samples depend on all that they can."""
    mel = MelConfig(4000, n_fft=16 * n_hops, hop_length=16, n_mels=8)
    network = VocosGenerator(mel, dim=8, intermediate_dim=8, num_layers=num_layers)
    for block in network.blocks:
        torch.nn.init.ones_(block.gain)
    for parameter in network.parameters():
        if parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return network


@pytest.mark.parametrize(
    ("make", "furthest"),
    [
        (lambda: vocos(1, 2), 7), (lambda: vocos(8), 29), (lambda: vocos(5, 8), 22),
        (lambda: MelganGenerator(8, 1, 3, (4, 4)), 8),
        (lambda: MelganGenerator(8, 1, 5, (4, 4), "replicate"), 42),
    ],
)  # fmt: skip
def test_the_reach_of_a_network_is_how_far_it_hears(
    make: Callable[[], MelganGenerator | VocosGenerator], furthest: int
) -> None:
    """A number that is none spreads as far as the network hears."""
    network = fold_weights(make())
    mel = torch.randn(1, 8, 201)
    mel[..., 100] = torch.nan
    heard = network(mel).isnan().reshape(201, 16).any(1).nonzero()[:, 0]
    assert max(100 - int(heard.min()), int(heard.max()) - 100) == furthest
    assert furthest <= network.reach <= furthest + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: MelganGenerator(8, 1, 3, (4, 4)),
        lambda: MelganGenerator(8, 1, 5, (4, 4), "replicate"),
        lambda: vocos(5), lambda: vocos(12),
    ],
)  # fmt: skip
@pytest.mark.parametrize("n_frames", [4, BLOCK - 1, BLOCK + 33, 2 * BLOCK + 7])
def test_blocks_are_one_pass(
    make: Callable[[], MelganGenerator | VocosGenerator], n_frames: int
) -> None:
    torch.manual_seed(0)
    hop, network = 16, make()
    fold_weights(network)
    mel = torch.randn(8, n_frames)
    silence = torch.full((8, END), -5.0)

    def render(x: torch.Tensor) -> torch.Tensor:
        return network(x[None])[0]

    expected = render(torch.cat([mel, silence], 1))[: n_frames * hop]
    for pieces in ([mel], mel.split(37, dim=1)):
        audio = torch.cat(list(render_blocks(pieces, render, hop, -5.0, network.reach)))
        assert audio.shape == (n_frames * hop,)
        torch.testing.assert_close(audio, expected, atol=1e-5, rtol=0)

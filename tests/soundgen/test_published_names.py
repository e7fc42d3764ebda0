"""Names and shapes of the parameters are those of the published checkpoints, one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from desc.soundgen.hifigan import HifiganGenerator
from desc.soundgen.melgan import MelganDiscriminator, MelganGenerator
from desc.soundgen.unagan import UnaganDiscriminator, UnaganEncoder, UnaganGenerator

Table = dict[str, tuple[int, ...]]


def conv(name: str, out: int, in_: int, kernel: int) -> Table:
    return {
        f"{name}.bias": (out,),
        f"{name}.weight_g": (out, 1, 1),
        f"{name}.weight_v": (out, in_, kernel),
    }


def transposed(name: str, in_: int, out: int, kernel: int) -> Table:
    return {
        f"{name}.bias": (out,),
        f"{name}.weight_g": (in_, 1, 1),
        f"{name}.weight_v": (in_, out, kernel),
    }


def gru(name: str, size: int) -> Table:
    table: Table = {}
    for way in ("", "_reverse"):
        for kind in ("ih", "hh"):
            table[f"{name}.weight_{kind}_l0{way}"] = (3 * size, size)
            table[f"{name}.bias_{kind}_l0{way}"] = (3 * size,)
    return table


def melgan(shift: int = 0) -> Table:
    table = conv("model.1", 512, 80, 7)
    for index, in_, out, kernel in (
        (3, 512, 256, 16), (8, 256, 128, 16), (13, 128, 64, 4), (18, 64, 32, 4),
    ):  # fmt: skip
        table |= transposed(f"model.{index + shift}", in_, out, kernel)
        for block in range(index + 1 + shift, index + 4 + shift):
            table |= conv(f"model.{block}.block.2", out, out, 3)
            table |= conv(f"model.{block}.block.4", out, out, 1)
            table |= conv(f"model.{block}.shortcut", out, out, 1)
    return table | conv(f"model.{24 + shift}", 1, 32, 7)


def melgan_discriminator() -> Table:
    table: Table = {}
    for disc in range(3):
        at = f"model.disc_{disc}.model.layer_"
        table |= conv(at + "0.1", 16, 1, 15)
        for layer, out in ((1, 64), (2, 256), (3, 1024), (4, 1024)):
            table |= conv(f"{at}{layer}.0", out, 4, 41)
        table |= conv(at + "5.0", 1024, 1024, 5) | conv(at + "6", 1, 1024, 3)
    return table


def unagan() -> Table:
    table: Table = {}
    for block, in_ in (("block0", 20), *((f"blocks.{i}", 512) for i in range(4))):
        at = f"{block}.block"
        table |= {f"{at}.0.weight": (512, in_, 3), f"{at}.0.bias": (512,)}
        table |= {f"{at}.1.weight": (512,), f"{at}.1.bias": (512,)} | gru(f"{at}.3.rec", 512)
        table |= {f"{at}.3.conv.weight": (512, 128, 3), f"{at}.3.conv.bias": (512,)}
        table |= {f"{at}.3.gn.weight": (512,), f"{at}.3.gn.bias": (512,)}
        table |= {f"{at}.4.weight": (512, 512, 3), f"{at}.4.bias": (512,)}
    for head in ("head0", *(f"heads.{i}" for i in range(4))):
        table |= {f"{head}.weight": (80, 512, 3), f"{head}.bias": (80,)}
    return table


def spectral(name: str, weight: tuple[int, ...]) -> Table:
    n_in = 1
    for size in weight[1:]:
        n_in *= size
    return {
        f"{name}.bias": weight[:1], f"{name}.weight_orig": weight,
        f"{name}.weight_u": weight[:1], f"{name}.weight_v": (n_in,),
    }  # fmt: skip


def spectrogram_network(out: int) -> Table:
    table: Table = {}
    layers: list[tuple[str, tuple[int, ...]]] = [
        (f"body2d.{i}", (o, c, 3, 3)) for i, (o, c) in enumerate(((4, 1), (16, 4), (64, 16)))
    ]
    layers += [(f"body1d.{i}", (512, 640 if i == 0 else 512, 3)) for i in range(5)]
    for name, weight in layers:
        table |= spectral(f"{name}.block.0", weight)
        for part in ("weight", "bias", "running_mean", "running_var"):
            table[f"{name}.block.1.{part}"] = weight[:1]
        table[f"{name}.block.1.num_batches_tracked"] = ()
    return table | spectral("head", (out, 512, 3))


def cases() -> Iterator[object]:
    yield pytest.param(MelganGenerator, {}, melgan(), 126, 4_266_050, id="melgan")
    with_gru = melgan(1) | gru("model.3.rec", 512)
    yield pytest.param(MelganGenerator, {"gru": True}, with_gru, 134, 7_417_922, id="gru melgan")
    table = melgan_discriminator()
    yield pytest.param(MelganDiscriminator, {}, table, 63, 16_924_086, id="melgan discriminator")
    yield pytest.param(UnaganGenerator, {}, unagan(), 100, 24_483_728, id="unagan")
    table = spectrogram_network(80)
    yield pytest.param(UnaganDiscriminator, {}, table, 76, 4_269_488, id="unagan discriminator")
    yield pytest.param(UnaganEncoder, {}, spectrogram_network(20), 76, 4_177_268, id="encoder")


@pytest.mark.parametrize(("network", "options", "table", "n_tensors", "n_parameters"), cases())
def test_names_and_shapes_are_those_of_the_published_networks(
    network: type[nn.Module],
    options: dict[str, bool],
    table: Table,
    n_tensors: int,
    n_parameters: int,
) -> None:
    with torch.device("meta"):  # names and shapes alone: nothing is drawn
        module = network(**options)
    assert {k: tuple(v.shape) for k, v in module.state_dict().items()} == table
    assert len(table) == n_tensors
    assert sum(p.numel() for p in module.parameters()) == n_parameters


@pytest.mark.parametrize(
    ("channels", "kernels", "block_kernels", "twice", "folded"),
    [
        (512, (16, 16, 4, 4), (3, 7, 11), True, 13_926_017),
        (128, (16, 16, 4, 4), (3, 7, 11), True, 925_985),
        (256, (16, 16, 8), (3, 5, 7), False, 1_462_273),
    ],
    ids=["V1", "V2", "V3"],
)
def test_hifigan_has_the_published_sizes(
    channels: int,
    kernels: tuple[int, ...],
    block_kernels: tuple[int, ...],
    twice: bool,
    folded: int,
) -> None:
    with torch.device("meta"):
        network = HifiganGenerator(
            80, channels, kernels, [k // 2 for k in kernels], block_kernels, twice=twice
        )
        state = network.state_dict()
        again = HifiganGenerator.from_shapes(state).state_dict()
    assert {k: v.shape for k, v in again.items()} == {k: v.shape for k, v in state.items()}
    assert sum(v.numel() for k, v in state.items() if not k.endswith("weight_g")) == folded
    names = {"conv_pre.weight_g", "ups.0.weight_v", "conv_post.bias"}
    names |= {f"resblocks.0.{'convs1' if twice else 'convs'}.0.weight_v"}
    assert names <= set(state)

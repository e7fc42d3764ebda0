"""Checkpoints: ours, Lightning's, damaged ones, and those of other programs."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from desc.errors import CheckpointError
from desc.models import model_class
from desc.models.base import DescriptorModel, Sizes
from desc.models.checkpoint import (
    FORMAT_VERSION,
    KEY,
    checkpoint_payload,
    load_model,
    save_model,
)

Make = Callable[..., DescriptorModel]
EXECUTED: list[str] = []


class Callback:
    """A class of another program, as a key of a checkpoint."""


class Malicious:
    """Runs code when it is unpickled by anything that does."""

    def __reduce__(self) -> tuple[object, ...]:
        return EXECUTED.append, ("code ran",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.ckpt"


def test_lightning_checkpoint(make_model: Make, path: Path) -> None:
    model = make_model("TransformerModel")
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    payload = checkpoint_payload(model)
    del payload["state_dict"]
    content = {
        "epoch": 3,
        "pytorch-lightning_version": "2.6.0",
        "state_dict": state,
        KEY: payload,
    }
    torch.save(content, path)
    again = load_model(path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


@pytest.mark.parametrize(
    "case",
    [
        ("LSTM", Sizes(24, num_layers=2), True),
        ("LSTM", Sizes(24, num_layers=1), False),
        ("TransformerEncoderOnlyModel", Sizes(32, 3, nhead=2, dim_feedforward=40), True),
        ("TransformerEncoderOnlyModel", Sizes(32, 4, nhead=4, dim_feedforward=512), False),
    ],
)
def test_sizes_by_default_are_those_of_the_version(
    case: tuple[str, Sizes, bool], make_model: Make, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, sizes, names_sizes = case
    unset = dict.fromkeys(vars(sizes))
    with monkeypatch.context() as before:
        before.setattr(model_class(name), "DEFAULTS", sizes)
        model = make_model(name, **unset)
        save_model(model, path)
    if not names_sizes:  # as in earlier versions
        content = torch.load(path, weights_only=True)
        content[KEY]["model_config"] |= unset
        torch.save({KEY: content[KEY]}, path)
    other = Sizes(16, 5, sizes.nhead, sizes.dim_feedforward // 2)
    monkeypatch.setattr(model_class(name), "DEFAULTS", other)
    again = load_model(path)
    assert again.sizes == model.sizes
    assert again.model_config.hidden_size == sizes.hidden_size
    assert torch.equal(again.head.linear.weight, model.head.linear.weight)


def test_a_size_that_a_model_lacks_is_not_named(
    make_model: Make, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_class("LSTM"), "UNUSED", frozenset())
    save_model(make_model("LSTM", dim_feedforward=None), path)
    assert load_model(path).model_config.dim_feedforward is None


def test_loading_leaves_random_state_alone(make_model: Make, path: Path) -> None:
    save_model(make_model("LSTM"), path)
    before = torch.get_rng_state()
    load_model(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_saving_leaves_no_partial_file(make_model: Make, path: Path) -> None:
    save_model(make_model("LSTM"), path)
    assert [p.name for p in path.parent.iterdir()] == ["model.ckpt"]


def test_missing(path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.ckpt: there is no such"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 500, b"PK\x03\x04 nonsense", b"{}", b"RIFF"])
def test_garbage(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.ckpt"):
        load_model(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_truncated(make_model: Make, path: Path, share: float) -> None:
    save_model(make_model("LSTM"), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"model\.ckpt"):
        load_model(path)


def test_other_objects(path: Path) -> None:
    for content in ([1, 2], {"weights": torch.zeros(2)}, torch.zeros(3)):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match="not a checkpoint of this program"):
            load_model(path)


def test_other_format_version(make_model: Make, path: Path) -> None:
    payload = checkpoint_payload(make_model("LSTM")) | {"format_version": FORMAT_VERSION + 1}
    torch.save({KEY: payload}, path)
    with pytest.raises(CheckpointError, match=f"format version {FORMAT_VERSION + 1}"):
        load_model(path)


@pytest.mark.parametrize(
    "damage",
    [
        {"statistics": {}},
        {"model_config": {"selected_model": "Perceptron"}},
        {"model_config": {"unheard_of": 1}},
        {"descriptor_config": {"hop_length": 0}},
        {"state_dict": {}},
        {"statistics": None},
    ],
)
def test_incomplete(make_model: Make, path: Path, damage: dict[str, object]) -> None:
    torch.save({KEY: checkpoint_payload(make_model("LSTM")) | damage}, path)
    with pytest.raises(CheckpointError, match=r"model\.ckpt.*damaged"):
        load_model(path)


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf"), 1e30, 1e-300])
def test_numbers_that_no_sound_gives(make_model: Make, path: Path, number: float) -> None:
    """Each array of the statistics is refused, or gives finite frames; none ends in a traceback."""
    payload, refused = checkpoint_payload(make_model("LSTM")), 0
    for name, array in payload["statistics"].items():
        for wrong in (torch.full_like(array, number), array.clone()):
            wrong.view(-1)[0] = number
            statistics = payload["statistics"] | {name: wrong}
            torch.save({KEY: payload | {"statistics": statistics}}, path)
            try:
                head = load_model(path).head
            except CheckpointError as error:
                message = str(error)
            else:
                assert torch.isfinite(head.unwhitening).all()
                continue
            assert re.search(rf"model\.ckpt.*damaged: .*{name}", message)
            refused += 1
    assert refused >= 5  # the scales, and a whitening that cannot be undone


def test_parameters_that_are_not_finite(make_model: Make, path: Path) -> None:
    payload = checkpoint_payload(make_model("LSTM"))
    payload["state_dict"]["head.linear.bias"][0] = float("nan")
    torch.save({KEY: payload}, path)
    with pytest.raises(CheckpointError, match=r"model\.ckpt.*head\.linear\.bias must hold finite"):
        load_model(path)


def test_checkpoints_of_other_programs(path: Path) -> None:
    """Plain values without our key, and objects of classes that are not allowed."""
    content = {
        "state_dict": {"lstm.weight_ih_l0": torch.zeros(3, 3)},
        "hyper_parameters": {"window_size": 15},
    }
    for extra in ({}, {"callbacks": {Callback: 1.0}}):
        torch.save(content | extra, path)
        with pytest.raises(CheckpointError, match=r"model\.ckpt: not a checkpoint of this program"):
            load_model(path)


def test_no_code_runs(path: Path) -> None:
    torch.save({"state_dict": {}, "x": Malicious()}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of this program"):
        load_model(path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(CheckpointError):
        load_model(path)
    assert EXECUTED == []

"""Checkpoint files: damage is noticed, and hostile ones cost neither code nor memory."""

from __future__ import annotations

import io
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from desc.errors import CheckpointError
from desc.models.checkpoint_file import (
    DIGESTS,
    damage,
    read_checkpoint,
    reading,
    write_checkpoint,
)

CONTENT = {
    "desc": {"a": 1, "b": [None, 0.5, "text"], "w": torch.arange(60.0).reshape(3, 20)},
    "state": {"bias": torch.nn.Parameter(torch.ones(4)), "random": torch.arange(9).byte()},
}


def same(x: Any, y: Any) -> bool:
    """Whether plain values and tensors are equal."""
    if isinstance(x, torch.Tensor):
        return torch.equal(x, y)
    if isinstance(x, dict):
        return x.keys() == y.keys() and all(same(x[k], y[k]) for k in x)
    return bool(x == y)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a checkpoint with all that they hold."""
    with (tmp_path / "a.ckpt").open("wb") as stream:
        write_checkpoint(stream, CONTENT)
    return tmp_path / "a.ckpt"


def read_or_refusal(path: Path) -> dict[str, Any] | str:
    """Return the content of a checkpoint, or the message of its error, which names the file."""
    try:
        return read_checkpoint(path)
    except CheckpointError as error:
        message = str(error)
    assert path.name in message
    return message


def test_what_is_written_is_read(path: Path) -> None:
    assert damage(path) is None
    assert same(read_checkpoint(path), CONTENT)


def test_a_flipped_bit_never_gives_other_content(path: Path) -> None:
    original, rng = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(200):
        place = rng.randrange(8 * len(original))
        content = bytearray(original)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        content = read_or_refusal(path)
        refused += isinstance(content, str)
        assert isinstance(content, str) or same(content, CONTENT), f"bit {place}"
    assert refused > 100  # a flip in padding or in a date changes nothing


def changed(path: Path, **changes: Any) -> None:
    """Write a checkpoint again, with other content and right checksums, but the old digests."""
    content = torch.load(path, weights_only=True)
    torch.save(content | changes, path)


def test_other_parameters_than_those_of_the_digest_are_damage(path: Path) -> None:
    weights = CONTENT["desc"]["w"]
    others = {
        "another value": weights + torch.eye(3, 20),
        "another shape": weights.reshape(4, 15),
        "another type": weights.int(),
        "another name": None,
    }
    for name, other in others.items():
        part = {k: v for k, v in CONTENT["desc"].items() if k != "w"}
        changed(path, desc=part | ({"v": weights} if other is None else {"w": other}))
        assert damage(path) == "damaged: the digest of 'desc' is wrong", name
        with pytest.raises(CheckpointError, match=r"a\.ckpt: damaged: the digest"):
            read_checkpoint(path)
    changed(path, desc=CONTENT["desc"])
    assert same(read_checkpoint(path), CONTENT)


def test_files_without_digests_or_without_a_part_are_read(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    del content["state"]
    torch.save(content, path)
    assert same(read_checkpoint(path), {"desc": CONTENT["desc"]})
    del content[DIGESTS]
    torch.save(content, path)
    assert same(read_checkpoint(path), {"desc": CONTENT["desc"]})


def test_a_file_is_verified_once_until_it_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    crc = zipfile.ZipFile.testzip
    monkeypatch.setattr(zipfile.ZipFile, "testzip", lambda z: (verified.append("crc"), crc(z))[1])
    monkeypatch.setattr("desc.models.checkpoint_file.SETTLED_S", 0.0)
    assert damage(path) is None
    assert same(read_checkpoint(path), CONTENT)
    assert len(verified) == 1
    flipped = bytearray(path.read_bytes())
    flipped[flipped.index(CONTENT["desc"]["w"].numpy().tobytes()) + 20] ^= 1
    path.write_bytes(flipped)
    assert damage(path) == "damaged: its checksum is wrong"


def test_every_cut_is_noticed(path: Path) -> None:
    original = path.read_bytes()
    for length in range(0, len(original), 97):
        path.write_bytes(original[:length])
        with pytest.raises(CheckpointError, match=r"a\.ckpt"):
            read_checkpoint(path)


def archive(path: Path, data: bytes, **storages: bytes) -> None:
    """Write an archive as torch does, with any pickle and storages."""
    with zipfile.ZipFile(path, "w") as stream:
        stream.writestr("a/data.pkl", data)
        stream.writestr("a/byteorder", "little")
        stream.writestr("a/version", "3\n")
        for name, content in storages.items():
            stream.writestr(f"a/data/{name[1:]}", content)


def tensor(kind: str, n_items: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """Return a pickle of {"desc": tensor}, as torch writes it."""

    def plain(value: Any) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    storage = b"(" + plain("storage") + f"ctorch\n{kind}\n".encode() + plain("0") + plain("cpu")
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + plain(n_items) + b"tQ"
    rebuilt += plain(0) + plain(size) + plain(stride) + b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}" + plain("desc") + rebuilt + b"s."


def call(name: str, *args: Any) -> bytes:
    """Return a pickle of {"desc": name(*args)}."""
    module, _, function = name.rpartition(".")
    body = f"c{module}\n{function}\n".encode() + pickle.dumps(args, 2)[2:-1] + b"R"
    return b"\x80\x02}" + pickle.dumps("desc", 2)[2:-1] + body + b"s."


def itself() -> bytes:
    """Return a pickle of a dictionary that holds itself."""
    content: dict[str, Any] = {}
    content["state_dict"] = content
    return pickle.dumps(content, 2)


HOSTILE: dict[str, Callable[[], tuple[bytes, dict[str, bytes]]]] = {
    "eight gigabytes of bytes": lambda: (call("builtins.bytearray", 8 * 10**9), {}),
    "a large tensor made by torch": lambda: (call("torch.Tensor", 2 * 10**9), {}),
    "code": lambda: (call("os.system", "true"), {}),
    "a storage larger than its entry": lambda: (
        tensor("FloatStorage", 2 * 10**9, (2 * 10**9,), (1,)),
        {"s0": b"abcd"},
    ),
    "stride 0": lambda: (tensor("FloatStorage", 1, (2 * 10**9,), (0,)), {"s0": b"abcd"}),
    "beyond the storage": lambda: (tensor("FloatStorage", 1, (1,), (1,))[:-30], {"s0": b"abcd"}),
    "negative sizes": lambda: (tensor("FloatStorage", 1, (-1, -1), (1, 1)), {"s0": b"abcd"}),
    "complex": lambda: (tensor("ComplexFloatStorage", 1, (1,), (1,)), {"s0": b"abcdefgh"}),
    "itself": lambda: (itself(), {}),
    "no dictionary": lambda: (pickle.dumps([1], 2), {}),
    "deep nesting": lambda: (b"\x80\x02" + b"(" * 5000 + b"l" * 5000 + b".", {}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_content_is_refused_at_no_cost(tmp_path: Path, name: str) -> None:
    data, storages = HOSTILE[name]()
    archive(tmp_path / "a.ckpt", data, **storages)
    assert isinstance(read_or_refusal(tmp_path / "a.ckpt"), str)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.ckpt", "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("a/data.pkl", pickle.dumps({"x": 1}, 2))
        stream.writestr("a/data/0", bytes(50_000_000))
    with pytest.raises(CheckpointError, match="more than the file has"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_files_of_older_torch_are_read_and_their_sizes_checked(tmp_path: Path) -> None:
    old = {"generator": {"w": torch.arange(6.0), "n": torch.tensor(3)}}
    torch.save(old, tmp_path / "g", _use_new_zipfile_serialization=False)
    assert same(read_checkpoint(tmp_path / "g"), old)
    content = (tmp_path / "g").read_bytes()
    asked = b"K\x06N"  # the number of items of the storage, and no view
    assert content.count(asked) == 1
    (tmp_path / "g").write_bytes(content.replace(asked, b"J" + struct.pack("<i", 2**31 - 1) + b"N"))
    with pytest.raises(CheckpointError, match="should have"):
        read_checkpoint(tmp_path / "g")


def test_random_bytes_end_in_an_error_with_the_name(tmp_path: Path) -> None:
    rng, path = random.Random(1), tmp_path / "a.ckpt"
    buffer = io.BytesIO()
    torch.save(CONTENT, buffer)
    with zipfile.ZipFile(buffer) as stream:
        data = stream.read("archive/data.pkl")
        storages = {f"s{i}": stream.read(f"archive/data/{i}") for i in range(3)}
    for _ in range(150):
        fuzzed = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            fuzzed[rng.randrange(len(fuzzed))] = rng.randrange(256)
        archive(path, bytes(fuzzed), **storages)
        read_or_refusal(path)


def test_a_network_larger_than_its_file_is_not_built(path: Path) -> None:
    with pytest.raises(CheckpointError, match="more parameters than it has"), reading(path):
        torch.nn.Linear(50_000, 50_000)
    with pytest.raises(CheckpointError, match="more parameters than it has"), reading(path):
        torch.nn.ModuleList(torch.nn.LSTM(100, 100) for _ in range(10**9))
    with pytest.raises(CheckpointError, match=r"a\.ckpt: .* damaged: no 'x'"), reading(path):
        CONTENT["x"]
    with reading(path):
        torch.nn.Linear(100, 100)

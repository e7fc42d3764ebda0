"""Checkpoint files: plain values and tensors, inspected before anything is loaded.

A file is read in two passes. The first checks the archive's CRCs and unpickles the structure with
stand-ins for tensors, so that no code runs and a tensor costs no memory, however large the file
says it is. Only a file that passes is loaded by torch. Its tensors are then compared with the
digests that the file holds; files of other programs and of earlier versions have none. A file that
has passed is not checked again by the same process, unless it changes.
"""

from __future__ import annotations

import hashlib
import math
import pickle
import time
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

from desc.errors import CheckpointError

FOREIGN = "not a checkpoint of this program"
DIGESTS = "desc.digests"
"""Key of the digests in a file: one for each other key."""
SETTLED_S = 2.0
"""Age of a file from which its time of change tells it from a later version."""
SPARE = 10_000  # parameters that a network may have beyond the bytes of its file
LEGACY_PICKLES = 5  # of torch's file format before 1.6
ITEM_BYTES = {
    "DoubleStorage": 8, "LongStorage": 8, "FloatStorage": 4, "IntStorage": 4, "HalfStorage": 2,
    "BFloat16Storage": 2, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip


class _Storage(NamedTuple):
    n_items: int


class _StorageType(NamedTuple):
    item_bytes: int


def _tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: object) -> None:
    """Check that a tensor lies within its storage and has no more elements than that."""
    n = math.prod(size)
    last = offset + sum((a - 1) * b for a, b in zip(size, stride, strict=True)) if n else 0
    fits = n <= storage.n_items and last < max(1, storage.n_items)
    if min(offset, *size, *stride, 0) < 0 or not fits:
        raise pickle.UnpicklingError(f"a tensor of shape {tuple(size)} exceeds its storage")


_STAND_INS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda *_: None,
    ("torch", "Size"): tuple,
} | {("torch", name): _StorageType(size) for name, size in ITEM_BYTES.items()}


class _Inspector(pickle._Unpickler):  # noqa: SLF001 (C's unpickler reserves any memory)
    """Unpickler with stand-ins for tensors, which refuses everything else that is not plain.

    Parameters
    ----------
    stream : file
    sizes : dict of str to int, optional
        Bytes of each storage in the archive.
    limit : int
        Bytes of the file, which no storage exceeds.
    """

    def __init__(self, stream: BinaryIO, sizes: dict[str, int] | None, limit: int) -> None:
        super().__init__(stream)
        self._sizes, self._limit = sizes, limit

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in of a global."""
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"{FOREIGN}; loading it would run code")
        return _STAND_INS[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the stand-in of a storage, after comparing its size with the file's."""
        _, kind, key, _, n_items = pid[:5]
        n_bytes = n_items * kind.item_bytes
        if (self._sizes is not None and self._sizes.get(key) != n_bytes) or n_bytes > self._limit:
            raise pickle.UnpicklingError(f"storage {key} should have {n_bytes} bytes")
        return _Storage(n_items)


_verified: set[tuple[int, ...]] = set()
"""Identity, size and times of the files that have passed."""


def write_checkpoint(stream: BinaryIO, content: Mapping[str, Any]) -> None:
    """Write plain values and tensors that `read_checkpoint` reads, with digests of the tensors."""
    torch.save({**content, DIGESTS: {key: _digest(part) for key, part in content.items()}}, stream)


def damage(path: Path) -> str | None:
    """Return what is wrong with a checkpoint; None for an intact one."""
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        return str(error).removeprefix(f"{path}: ")
    return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or holds more than plain values and tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    try:
        version = _version(path)
        is_new = version not in _verified
        if is_new:
            _check_structure(path)
        loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        digests = loaded.pop(DIGESTS, {})
        for key, digest in digests.items() if is_new else ():
            if key in loaded and _digest(loaded[key]) != digest:
                raise CheckpointError(f"{path}: damaged: the digest of {key!r} is wrong")
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:  # bytes that are no checkpoint make unpicklers fail in any way
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: not a checkpoint, or damaged: {reason}") from error
    if time.time_ns() - max(version[-2:]) > SETTLED_S * 1e9:
        _verified.add(version)
    return loaded


def _version(path: Path) -> tuple[int, ...]:
    """Return what tells a file from another one, and from its own later versions."""
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _digest(content: Any) -> str:
    """Return the digest (BLAKE2b) of all tensors: their names, types, shapes and bytes."""
    digest = hashlib.blake2b(digest_size=16)

    def add(value: Any, name: str) -> None:
        if isinstance(value, torch.Tensor):
            plain = value.detach().cpu().contiguous()
            digest.update(f"{name} {plain.dtype} {list(plain.shape)}\n".encode())
            digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(value, Mapping):
            for key, part in value.items():
                add(part, f"{name}/{key}")
        elif isinstance(value, list | tuple):
            for index, part in enumerate(value):
                add(part, f"{name}/{index}")

    add(content, "")
    return digest.hexdigest()


def _check_structure(path: Path) -> None:
    """Refuse a file with wrong checksums, absurd sizes, code, or content that holds itself."""
    n_bytes = path.stat().st_size
    if not zipfile.is_zipfile(path):  # published before torch 1.6
        with path.open("rb") as stream:
            pickles = [_Inspector(stream, None, n_bytes).load() for _ in range(LEGACY_PICKLES)]
        content = pickles[3]
    else:
        content = _inspected_archive(path, n_bytes)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: {FOREIGN}")
    _check_cycles(content, set(), set())


def _inspected_archive(path: Path, n_bytes: int) -> Any:
    """Return the structure of an archive, with None instead of tensors."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry.file_size for entry in archive.infolist()}
        if (total := sum(entry.file_size for entry in archive.infolist())) > n_bytes:
            raise CheckpointError(
                f"{path}: its entries claim {total} bytes, more than the file has"
            )
        if archive.testzip() is not None:
            raise CheckpointError(f"{path}: damaged: its checksum is wrong")
        (name,) = [name for name in entries if name.endswith("/data.pkl")]
        root = name.removesuffix("data.pkl") + "data/"
        sizes = {n.removeprefix(root): size for n, size in entries.items() if n.startswith(root)}
        with archive.open(name) as stream:
            return _Inspector(stream, sizes, n_bytes).load()  # type: ignore[arg-type]


def _check_cycles(value: Any, path: set[int], done: set[int]) -> None:
    """Refuse content that holds itself."""
    if not isinstance(value, dict | list | tuple) or id(value) in done:
        return
    if id(value) in path:
        raise pickle.UnpicklingError("damaged: its content holds itself")
    path.add(id(value))
    for part in value.values() if isinstance(value, dict) else value:
        _check_cycles(part, path, done)
    path.discard(id(value))
    done.add(id(value))


def check_finite(state: Mapping[str, torch.Tensor]) -> None:
    """Raise a `ValueError` that names the first parameter with a value that is no finite number."""
    for name, parameter in state.items():
        if not torch.isfinite(parameter).all():
            raise ValueError(f"{name} must hold finite numbers")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors from wrong content of a checkpoint into `CheckpointError` inside the block.

    Layers built inside it may have about as many parameters as the file has bytes.

    Raises
    ------
    CheckpointError
        For any error of a missing, wrong or absurd value, with the file's name.
    """
    try:
        with _ParameterLimit(path.stat().st_size):
            yield
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, LookupError,
            ArithmeticError, MemoryError) as error:  # fmt: skip
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(f"{path}: the checkpoint is damaged: {reason}") from error


class _ParameterLimit(TorchFunctionMode):
    """Refuse to allocate layers with far more parameters than a file can hold.

    torch's layers allocate their parameters with `torch.empty`.
    """

    def __init__(self, n_bytes: int) -> None:
        super().__init__()
        self._left = SPARE + n_bytes

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.empty:
            self._left -= math.prod(args[0] if isinstance(args[0], tuple | list) else args)
            if self._left < 0:
                raise ValueError("its settings need more parameters than it has")
        return func(*args, **(kwargs or {}))

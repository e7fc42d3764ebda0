"""Tensors of a TensorFlow checkpoint inside a zip archive, read without TensorFlow.

A checkpoint has two files: the numbers, and an index of their names, shapes and places. The index
is a table of LevelDB whose values are protocol buffers (`BundleEntryProto`). Sizes are checked
before memory is taken.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

Tensors = dict[str, npt.NDArray[np.float32]]
Shape = tuple[int, ...]

INDEX, DATA = ".index", ".data-00000-of-00001"
MAX_BYTES = {INDEX: 1 << 17, DATA: 1 << 25}
MAX_ENTRIES, MAX_KEY = 4096, 512
FOOTER = 48  # bytes at the end of a table: the places of two blocks, padding, a magic number
FLOAT = 1  # TensorFlow's number of float32
DTYPE, SHAPE, OFFSET, SIZE = 1, 2, 4, 5  # fields of an entry
DIMENSION, LENGTH = 2, 1  # fields of a shape and of a dimension
VARINT, FIXED = 0, {1: 8, 5: 4}  # kinds of fields, and bytes of those of fixed length


def read_tensors(archive: Path, stem: str, shapes: Mapping[str, Shape]) -> Tensors:
    """Read float32 tensors of a checkpoint.

    Parameters
    ----------
    archive : Path
        A zip archive.
    stem : str
        Path of the checkpoint in it, without `.index`.
    shapes : mapping of str to tuple of int
        Names of the tensors and the shapes they must have.

    Raises
    ------
    OSError
        If the archive cannot be read.
    ValueError
        If the checkpoint is missing, damaged or another one.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            index, data = (_member(opened, stem, suffix) for suffix in (INDEX, DATA))
        entries = dict(_entries(index))
        return {name: _tensor(name, entries[name], shape, data) for name, shape in shapes.items()}
    except OSError:
        raise
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from error
    except Exception as error:  # damage reaches several parsers
        raise ValueError(str(error) or type(error).__name__) from error


def _member(archive: zipfile.ZipFile, stem: str, suffix: str) -> bytes:
    info = archive.getinfo(stem + suffix)
    if info.file_size > MAX_BYTES[suffix]:
        raise ValueError(f"{info.filename} has {info.file_size} bytes, over {MAX_BYTES[suffix]}")
    return archive.read(info)


def _entries(table: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and entries of a table; the footer refers to blocks of blocks."""
    footer, at = table[-FOOTER:], 0
    for _ in range(2):  # the block of metadata is not needed
        _, at = _varint(footer, at)
    n = 0
    for _, place in _block(table, footer[at:]):
        for key, entry in _block(table, place):
            n += 1
            if n > MAX_ENTRIES:
                raise ValueError(f"its index has more than {MAX_ENTRIES} entries")
            yield key.decode(), entry


def _block(table: bytes, place: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of a block; a key shares its beginning with the one before."""
    start, at = _varint(place, 0)
    size, _ = _varint(place, at)
    if table[start + size] != 0:  # also an IndexError beyond the end
        raise ValueError("its index is compressed")
    block = table[start : start + size]
    stop = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    key, at = b"", 0
    while at < stop:
        n_shared, at = _varint(block, at)
        n_own, at = _varint(block, at)
        length, at = _varint(block, at)
        if n_shared + n_own > MAX_KEY:
            raise ValueError(f"its index has a name of {n_shared + n_own} bytes")
        key = key[:n_shared] + block[at : at + n_own]
        at += n_own
        yield key, block[at : at + length]
        at += length


def _tensor(name: str, entry: bytes, shape: Shape, data: bytes) -> npt.NDArray[np.float32]:
    numbers, parts = _message(entry)
    [dimensions] = parts.get(SHAPE, [b""])
    found = tuple(_message(d)[0].get(LENGTH, 0) for d in _message(dimensions)[1].get(DIMENSION, []))
    n = math.prod(shape)
    if (numbers[DTYPE], numbers.get(SIZE), found) != (FLOAT, 4 * n, shape):
        raise ValueError(f"{name} must be {' × '.join(map(str, shape))} numbers of type float32")
    values = np.frombuffer(data, "<f4", n, numbers.get(OFFSET, 0)).reshape(shape)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite")
    return values.astype(np.float32)


def _message(data: bytes) -> tuple[dict[int, int], dict[int, list[bytes]]]:
    """Return the fields of a protocol buffer by number: the last numbers, and all parts."""
    numbers: dict[int, int] = {}
    parts: dict[int, list[bytes]] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        field, kind = tag >> 3, tag & 7
        if kind == VARINT:
            numbers[field], at = _varint(data, at)
            continue
        n_bytes = FIXED.get(kind)
        if n_bytes is None:
            n_bytes, at = _varint(data, at)
        parts.setdefault(field, []).append(data[at : at + n_bytes])
        at += n_bytes
    return numbers, parts


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of seven bits per byte, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number has more than ten bytes")

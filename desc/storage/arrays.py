"""Self-describing array files: `.npy`, followed by a description and a checksum.

`numpy.load` ignores the description after the array. One file holds everything about an array and
is written atomically, so losing the manifest costs only time. A truncated file lacks its end and is
detected without reading the array.
"""

from __future__ import annotations

import errno
import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from desc.errors import StorageError
from desc.files import replacing

HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '<f4', 'fortran_order': False, "
    rb"'shape': \((\d+), (\d+)\), \} *\n",
    re.DOTALL,
)
HEADER_BYTES = 256  # more than a header of two dimensions has
END = b"desc-end"
LENGTH_BYTES = 8
MAPPED_BYTES = 1 << 18
"""Arrays from this size on are memory-mapped. A map holds a file handle for as long as it lives,
of which a process has about a thousand, and a small array is read faster than mapped."""

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array from a file.

    Attributes
    ----------
    values : ndarray of float32, (T, D)
        Read-only; memory-mapped where it is large.
    about : dict
        What was stored with it, plain JSON values.
    """

    values: Values
    about: dict[str, Any]


def write_array(
    path: Path, blocks: Iterable[Values], shape: tuple[int, int], about: dict[str, Any]
) -> None:
    """Write blocks of rows as one array of `shape` (T, D), atomically.

    Raises
    ------
    StorageError
        If the file cannot be written, or the blocks do not fill the shape.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    checksum = n_rows = 0
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            rows = np.ascontiguousarray(block, dtype="<f4")
            checksum = zlib.crc32(rows.data, checksum)
            n_rows += len(rows)
            file.write(rows.data)
        if n_rows != shape[0]:
            raise StorageError(f"{path}: {n_rows} rows must be {shape[0]}")
        about = about | {"crc32": checksum}
        text = json.dumps(about | {"about_crc32": _checksum(about)}).encode()
        file.write(text + len(text).to_bytes(LENGTH_BYTES, "little") + END)


def read_array(path: Path, *, verify: bool) -> StoredArray | None:
    """Open an array; None if the file is missing, damaged or of another program.

    Parameters
    ----------
    path : Path
        The file.
    verify : bool
        Whether to read the values and compare their checksum (40 ms per million rows of 39);
        a file cut short is noticed in any case.

    Raises
    ------
    StorageError
        If the file is there and the system does not let it be read.
    """
    try:
        with path.open("rb") as file:
            stored = _read(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if verify and zlib.crc32(stored.values.data) != stored.about["crc32"]:
        return None
    return stored


def _read(file: BinaryIO) -> StoredArray:
    """Read an open file; a ValueError, TypeError, KeyError or RecursionError says it is damaged."""
    size = file.seek(0, 2)
    tail = LENGTH_BYTES + len(END)
    file.seek(max(0, size - tail))
    length, end = file.read(LENGTH_BYTES), file.read()
    about_start = size - tail - int.from_bytes(length, "little")
    if end != END or about_start < 0:
        raise ValueError("the end is missing")
    file.seek(about_start)
    about = json.loads(file.read(size - tail - about_start))
    if about.pop("about_crc32", None) not in (_checksum(about), None):  # None: earlier files
        raise ValueError("the description is damaged")
    file.seek(0)
    header = HEADER.match(file.read(HEADER_BYTES))
    if header is None or not isinstance(about["crc32"], int):
        raise ValueError("another kind of file")
    start, shape = header.end(), (int(header[1]), int(header[2]))
    if start + 4 * shape[0] * shape[1] != about_start:
        raise ValueError("the array does not fill the file")
    return StoredArray(_values(file, start, shape), about)


def _checksum(about: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(about).encode())


def _values(file: BinaryIO, start: int, shape: tuple[int, int]) -> Values:
    if 4 * shape[0] * shape[1] >= MAPPED_BYTES:
        try:
            return np.memmap(file, np.dtype("<f4"), "r", start, shape)
        except OSError as error:
            if error.errno != errno.EMFILE:  # out of file handles: the file open now still is
                raise
    file.seek(start)
    values = np.fromfile(file, np.dtype("<f4"), shape[0] * shape[1]).reshape(shape)
    values.flags.writeable = False
    return values

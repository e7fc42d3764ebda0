"""The container of Ogg: equal sound gives equal bytes."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_HEADER = 27  # bytes of a page's header before its table of segments
_SERIAL, _CHECKSUM, _N_SEGMENTS = 14, 22, 26  # their places in it
_REVERSED = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)


def with_serial(data: bytes, serial: int) -> bytes:
    """Return an Ogg file whose stream has the serial number given, instead of a random one.

    Each page of a file carries the number of its stream, which libsndfile draws at random, and a
    checksum (RFC 3533, section 6).

    Parameters
    ----------
    data : bytes
        A file of one stream.
    serial : int
        0 to 2^32 - 1.
    """
    result = bytearray(data)
    start = 0
    while start < len(result):
        table = start + _HEADER
        n_segments = result[start + _N_SEGMENTS]
        stop = table + n_segments + sum(result[table : table + n_segments])
        struct.pack_into("<I", result, start + _SERIAL, serial)
        struct.pack_into("<I", result, start + _CHECKSUM, 0)
        checksum = crc32(bytes(result[start:stop]))
        struct.pack_into("<I", result, start + _CHECKSUM, checksum)
        start = stop
    return bytes(result)


def crc32(data: bytes) -> int:
    """Return Ogg's checksum: polynomial 04c11db7, from 0, the highest bit first, not inverted.

    It is zlib's of the mirrored bytes, mirrored, without the inversions before and after.
    """
    mirrored = _REVERSED[np.frombuffer(data, np.uint8)].tobytes()
    value = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)

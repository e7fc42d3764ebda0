"""Sound as pictures: the envelope of a waveform, a spectrogram, a PNG without a library."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

Audio = npt.NDArray[np.float32]

N_FFT = 2048
LOWEST_HZ, HIGHEST_HZ = 40.0, 16000.0
RANGE_DB = 80.0
GREYS = 48
"""Levels of grey of a spectrogram: finer ones are not seen, and make the PNG twice as long."""


def envelope(audio: Audio, n_columns: int) -> npt.NDArray[np.int8]:
    """Return the lowest and highest sample of each stretch of (C, S) audio, (2, n) int8.

    127 is the largest sample of all; n is at most `n_columns`.
    """
    step = max(1, -(-audio.shape[1] // n_columns))
    starts = np.arange(0, audio.shape[1], step)
    low = np.minimum.reduceat(audio, starts, axis=1).min(0)
    high = np.maximum.reduceat(audio, starts, axis=1).max(0)
    largest = max(float(high.max()), -float(low.min()), 1e-9)
    return np.rint(np.stack([low, high]) * (127 / largest)).astype(np.int8)


def row_frequencies(sample_rate: int, n_rows: int) -> npt.NDArray[np.float64]:
    """Return the n_rows + 1 edges of a spectrogram's rows in Hz, logarithmic, ascending."""
    return np.geomspace(LOWEST_HZ, min(HIGHEST_HZ, sample_rate / 2), n_rows + 1)


def spectrogram(
    audio: Audio, sample_rate: int, n_columns: int, n_rows: int
) -> npt.NDArray[np.uint8]:
    """Return the spectrum over time of (C, S) audio as grey levels, (n_rows, n) uint8.

    Row 0 holds the highest frequencies (`row_frequencies`); 255 is the loudest, 0 is `RANGE_DB`
    below it. A column shows the loudest of the windows of 2,048 samples (Hann) that begin in it.
    """
    mono = audio.mean(0)
    columns = max(1, min(n_columns, len(mono) // 256))
    per_column = max(1, -(-len(mono) // columns // N_FFT))
    starts = np.linspace(0, len(mono), columns * per_column, endpoint=False).astype(int)
    padded = np.pad(mono, N_FFT // 2)
    window = np.hanning(N_FFT).astype(np.float32)
    bins = row_frequencies(sample_rate, n_rows) * N_FFT / sample_rate
    first = np.floor(bins[:-1]).astype(int)
    last = np.minimum(np.maximum(np.ceil(bins[1:]).astype(int), first + 1), N_FFT // 2 + 1)
    edges = np.stack([first, last], 1).ravel()
    power = np.empty((columns * per_column, n_rows), np.float32)
    for at in range(0, len(starts), 256):  # blocks, for the sake of memory
        frames = padded[starts[at : at + 256, None] + np.arange(N_FFT)] * window
        magnitude = np.abs(np.fft.rfft(frames)) ** 2
        magnitude = np.pad(magnitude, ((0, 0), (0, 1)))  # an end beyond the last bin
        power[at : at + 256] = np.maximum.reduceat(magnitude, edges, axis=1)[:, ::2]
    power = power.reshape(columns, per_column, n_rows).max(1)
    level = 10 * np.log10(np.maximum(power, 1e-20))
    shown = np.clip((level - level.max()) / RANGE_DB + 1, 0, 1)
    grey = np.rint(shown * (GREYS - 1)) * (255 / (GREYS - 1))
    return np.ascontiguousarray(np.rint(grey).astype(np.uint8).T[::-1])


def grey_png(image: npt.NDArray[np.uint8]) -> bytes:
    """Return (rows, columns) grey levels as a PNG (ISO/IEC 15948: 8-bit greyscale, filter 1)."""
    rows, columns = image.shape
    filtered = np.empty((rows, columns + 1), np.uint8)
    filtered[:, 0] = 1  # each row: differences to the pixel on the left
    filtered[:, 1:] = image
    filtered[:, 2:] -= image[:, :-1]
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )

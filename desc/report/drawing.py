"""Images of sound without a library, and figures by matplotlib (the extra `report`)."""

from __future__ import annotations

import importlib.util
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from desc.errors import ConfigurationError
from desc.files import replacing

Audio = npt.NDArray[np.float32]

N_FFT, BLOCK = 2048, 32
"""Length of a window, and windows transformed at once, which fit into the processor's cache."""
LOWEST_HZ, HIGHEST_HZ = 40.0, 16000.0
RANGE_DB = 80.0
GREYS = 48
"""Grey levels of a spectrogram. More are not visible, and double the size of the PNG."""


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def check_drawing() -> None:
    """Raise an error if matplotlib is missing.

    Raises
    ------
    ConfigurationError
        With the command that installs it.
    """
    if not can_draw():
        raise ConfigurationError(
            "plots need matplotlib, which is not installed: install the extra `report`, as in "
            "pip install -e '.[report]'"
        )


@contextmanager
def figure(
    path: Path, n_rows: int, n_columns: int, size: tuple[float, float], **layout: Any
) -> Iterator[Any]:
    """Yield the axes (n_rows, n_columns) of a figure that is written on exit.

    Parameters
    ----------
    path : Path
        The file; its suffix determines the format. Equal figures give equal files.
    n_rows, n_columns : int
        Number of panels.
    size : tuple of float
        Width and height in inches.
    **layout
        Further arguments of `Figure.subplots`, such as `sharex` and `height_ratios`.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(drawn)
    yield drawn.subplots(n_rows, n_columns, squeeze=False, **layout)
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(path.suffix[1:])
    with replacing(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "desc"}):
        drawn.savefig(temporary, dpi=110, metadata=undated)


def literal(name: str) -> str:
    """Escape a file name for matplotlib, which reads `$` as mathematics and draws UTF-8 only."""
    return name.encode(errors="replace").decode().replace("$", r"\$")


def draw_mels(mels: Mapping[str, npt.NDArray[np.float32]], path: Path) -> dict[str, Path]:
    """Draw mel spectrograms (n_mels, T) above one another on one scale.

    Returns
    -------
    dict of str to Path
        The file by its title; empty without matplotlib.
    """
    if not can_draw():
        return {}
    lowest = min(float(mel.min()) for mel in mels.values())
    highest = max(float(mel.max()) for mel in mels.values())
    with figure(path, len(mels), 1, (8, 2.5 * len(mels))) as axes:
        for ax, (name, mel) in zip(axes[:, 0], mels.items(), strict=True):
            ax.imshow(mel, origin="lower", aspect="auto", vmin=lowest, vmax=highest)
            ax.set(title=literal(name), ylabel="mel band")
        axes[-1, 0].set_xlabel("frame")
    return {"mel spectrograms": path}


def envelope(audio: Audio, n_columns: int) -> npt.NDArray[np.int8]:
    """Compute the lowest and highest sample of each of n stretches of audio (C, S), (2, n) int8.

    127 is the largest absolute sample; n is at most `n_columns`.
    """
    step = max(1, -(-audio.shape[1] // n_columns))
    starts = np.arange(0, audio.shape[1], step)
    low = np.minimum.reduceat(audio, starts, axis=1).min(0)
    high = np.maximum.reduceat(audio, starts, axis=1).max(0)
    largest = max(float(high.max()), -float(low.min()), 1e-9)
    return np.rint(np.stack([low, high]) * (127 / largest)).astype(np.int8)


def row_frequencies(sample_rate: int, n_rows: int) -> npt.NDArray[np.float64]:
    """Return the n_rows + 1 logarithmic edges of a spectrogram's rows in Hz, ascending."""
    return np.geomspace(LOWEST_HZ, min(HIGHEST_HZ, sample_rate / 2), n_rows + 1)


def spectrogram(
    audio: Audio, sample_rate: int, n_columns: int, n_rows: int
) -> npt.NDArray[np.uint8]:
    """Compute the spectrogram of audio (C, S) as grey levels, (n_rows, n) uint8.

    Row 0 has the highest frequencies (`row_frequencies`). 255 is the highest level, 0 is `RANGE_DB`
    below it. A column shows the maximum of the Hann windows of 2,048 samples that start in it.
    """
    mono = audio.mean(0)
    columns = max(1, min(n_columns, len(mono) // 256))
    per_column = max(1, -(-len(mono) // columns // N_FFT))
    starts = np.linspace(0, len(mono), columns * per_column, endpoint=False).astype(int)
    windows = sliding_window_view(np.pad(mono, N_FFT // 2), N_FFT)
    window = np.hanning(N_FFT).astype(np.float32)
    bins = row_frequencies(sample_rate, n_rows) * N_FFT / sample_rate
    first = np.floor(bins[:-1]).astype(int)
    last = np.minimum(np.maximum(np.ceil(bins[1:]).astype(int), first + 1), N_FFT // 2 + 1)
    edges = np.stack([first, last], 1).ravel()
    power = np.empty((columns * per_column, n_rows), np.float32)
    squares = np.zeros((BLOCK, N_FFT // 2 + 2), np.float32)  # the last edge is beyond the last bin
    for at in range(0, len(starts), BLOCK):
        spectrum = np.fft.rfft(windows[starts[at : at + BLOCK]] * window)
        square = squares[: len(spectrum)]
        np.add(spectrum.real**2, spectrum.imag**2, out=square[:, :-1])
        power[at : at + BLOCK] = np.maximum.reduceat(square, edges, axis=1)[:, ::2]
    power = power.reshape(columns, per_column, n_rows).max(1)
    level = 10 * np.log10(np.maximum(power, 1e-20))
    shown = np.clip((level - level.max()) / RANGE_DB + 1, 0, 1)
    grey = np.rint(shown * (GREYS - 1)) * (255 / (GREYS - 1))
    return np.ascontiguousarray(np.rint(grey).astype(np.uint8).T[::-1])


def grey_png(image: npt.NDArray[np.uint8]) -> bytes:
    """Encode grey levels (rows, columns) as PNG (ISO/IEC 15948: 8-bit greyscale, filter 1).

    The fastest compression: zlib's default takes eight times the time for 8 % fewer bytes.
    """
    rows, columns = image.shape
    filtered = np.empty((rows, columns + 1), np.uint8)
    filtered[:, 0] = 1  # filter of each row: difference from the pixel to the left
    filtered[:, 1:] = image
    filtered[:, 2:] -= image[:, :-1]
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )

"""Images of sound, and names in figures."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest

from desc.report.drawing import (
    can_draw,
    envelope,
    grey_png,
    literal,
    row_frequencies,
    spectrogram,
)
from tests.report.conftest import HOSTILE

Signal = Callable[..., np.ndarray]


def test_a_tone_is_a_line_at_its_height(make_signal: Signal) -> None:
    image = spectrogram(make_signal("tone", 2.0, frequency=1000.0)[None], 44100, 300, 100)
    edges = row_frequencies(44100, 100)
    row = 99 - int(np.searchsorted(edges, 1000.0) - 1)
    assert set(image[:, 20:-20].argmax(0)) <= {row - 1, row, row + 1}
    assert image.shape == (100, 300)


def test_the_png_is_read_by_another_library(rng: np.random.Generator) -> None:
    image_of = pytest.importorskip("PIL.Image")
    image = rng.integers(0, 256, (7, 33)).astype(np.uint8)
    read = np.asarray(image_of.open(io.BytesIO(grey_png(image))))
    np.testing.assert_array_equal(read, image)


def test_the_envelope_holds_every_peak() -> None:
    audio = np.zeros((2, 1000), np.float32)
    audio[0, 130], audio[1, 777] = 0.5, -1.0
    low, high = envelope(audio, 100)
    assert high[13] == 64
    assert low[77] == -127
    assert np.count_nonzero(high) == np.count_nonzero(low) == 1


@pytest.mark.skipif(not can_draw(), reason="needs matplotlib")
def test_names_are_not_read_as_mathematics() -> None:
    from matplotlib.mathtext import MathTextParser

    name = literal(f"$x^2$ {HOSTILE} $")
    assert name.replace(r"\$", "") == f"x^2 {HOSTILE} ".replace("$", "")
    MathTextParser("path").parse(name)  # an unpaired $ would raise

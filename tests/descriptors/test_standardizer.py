"""The standardizer: spaces, moments and inverse."""

from __future__ import annotations

import numpy as np
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.families import FAMILIES
from desc.descriptors.standardizer import Standardizer, from_unbounded, to_unbounded

ALL = DescriptorConfig(descriptors=tuple(FAMILIES), n_mfcc=2)


def plausible(rng: np.random.Generator, n_frames: int) -> np.ndarray:
    """Values inside the ranges of all columns, (T, D)."""
    values = rng.standard_normal((n_frames, ALL.n_columns))
    ranges = {
        "centroid": (200, 8000),
        "flatness": (1e-8, 0.9),
        "rolloff": (300, 20000),
        "rms": (1e-3, 1),
        "chroma": (0.01, 0.99),
        "zero_crossing_rate": (0.01, 0.9),
        "bandwidth": (100, 8000),
        "onset_strength": (0.2, 20),
    }
    for group, (low, high) in ranges.items():
        columns = list(ALL.groups[group])
        values[:, columns] = rng.uniform(low, high, (n_frames, len(columns)))
    voicing = ALL.names.index("voicing")
    values[:, voicing] = rng.uniform(0.01, 0.99, n_frames)
    return values.astype(np.float32)


def test_round_trip(rng: np.random.Generator) -> None:
    values = plausible(rng, 500)
    standardizer = Standardizer.fit([values], ALL)
    transformed = standardizer.transform(values)
    np.testing.assert_allclose(transformed.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(transformed.std(0), 1, atol=1e-9)
    np.testing.assert_allclose(standardizer.inverse(transformed), values, rtol=1e-5)


def test_golden_moments() -> None:
    config = DescriptorConfig(descriptors=("rms", "zero_crossing_rate"))
    values = np.array([[1.0, 0.5], [np.e, 0.5], [np.e**2, 0.5]], np.float32)
    standardizer = Standardizer.fit([values], config)
    np.testing.assert_allclose(standardizer.mean, [1.0, 0.0], atol=1e-6)  # of log, of logit
    np.testing.assert_allclose(standardizer.scale, [np.sqrt(2 / 3), 1.0], atol=1e-6)
    np.testing.assert_allclose(
        standardizer.transform(values)[:, 0], np.array([-1, 0, 1]) / np.sqrt(2 / 3), atol=1e-6
    )


def test_each_column_has_its_space() -> None:
    spaces = dict(zip(ALL.names, ALL.spaces, strict=True))
    assert spaces["mfcc0"] == spaces["mfcc5"] == spaces["f0"] == ("identity", 1e-6)
    assert spaces["centroid"] == ("log", 1.0)
    assert spaces["chroma3"] == spaces["voicing"] == ("logit", 1e-3)


@pytest.mark.parametrize("sizes", [[500], [1] * 500, [3, 0, 400, 97]])
def test_blocks_do_not_matter(rng: np.random.Generator, sizes: list[int]) -> None:
    values = plausible(rng, 500) + np.float32(0)
    blocks = np.split(values, np.cumsum(sizes)[:-1])
    standardizer = Standardizer.fit(blocks, ALL)
    unbounded = to_unbounded(values, ALL.spaces)
    np.testing.assert_allclose(standardizer.mean, unbounded.mean(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(standardizer.scale, unbounded.std(0), rtol=1e-9)


def test_a_large_mean_loses_no_digits(rng: np.random.Generator) -> None:
    config = DescriptorConfig(descriptors=("f0",))
    values = rng.standard_normal((2000, 2)).astype(np.float32) * 0.01 + 1000
    standardizer = Standardizer.fit(np.split(values, 20), config)
    assert standardizer.scale[0] == pytest.approx(values[:, 0].astype(float).std(), rel=1e-6)


def test_a_column_that_stands_still_keeps_its_scale() -> None:
    config = DescriptorConfig(descriptors=("f0",))
    values = np.full((10, 2), [8.3, 0.5], np.float32)
    standardizer = Standardizer.fit([values], config)
    np.testing.assert_array_equal(standardizer.scale, 1)
    np.testing.assert_allclose(standardizer.transform(values), 0, atol=1e-9)


def test_values_at_the_edges_stay_finite() -> None:
    edges = np.zeros((3, ALL.n_columns), np.float32)
    edges[1], edges[2] = 1, -1
    unbounded = to_unbounded(edges, ALL.spaces)
    assert np.isfinite(unbounded).all()
    assert np.isfinite(from_unbounded(unbounded, ALL.spaces)).all()


def test_any_number_of_axes(rng: np.random.Generator) -> None:
    values = plausible(rng, 24)
    standardizer = Standardizer.fit([values], ALL)
    folded = standardizer.transform(values.reshape(2, 3, 4, -1))
    np.testing.assert_array_equal(folded.reshape(24, -1), standardizer.transform(values))


def test_nothing_to_fit_on() -> None:
    standardizer = Standardizer.fit([], ALL)
    np.testing.assert_array_equal(standardizer.mean, 0)
    np.testing.assert_array_equal(standardizer.scale, 1)

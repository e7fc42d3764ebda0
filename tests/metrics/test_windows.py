"""Numbers with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from desc.metrics.windows import FLOOR, window_features


def test_window_features_of_known_sequences() -> None:
    t = np.arange(100.0)
    z = np.stack([np.full(100, 3.0), 0.5 * t, (-1.0) ** t], 1)
    features = window_features(z, length=10, step=10)
    assert features.shape == (10, 9)
    np.testing.assert_allclose(features[:, 0], 3)
    np.testing.assert_allclose(features[:, 1], 2.25 + 5 * np.arange(10))
    np.testing.assert_allclose(features[:, 2], 0, atol=1e-12)
    deviation = 0.5 * np.sqrt((10**2 - 1) / 12)  # of ten evenly spaced numbers
    expected = np.log(np.array([0, deviation, 1]) + FLOOR)
    np.testing.assert_allclose(features[:, 3:6], np.tile(expected, (10, 1)))
    expected = np.log(np.array([0, 0.5, 2]) + FLOOR)
    np.testing.assert_allclose(features[:, 6:], np.tile(expected, (10, 1)))


def test_windows_are_where_they_should_be(rng: np.random.Generator) -> None:
    z = rng.standard_normal((5000, 2))
    features = window_features(z)
    assert len(features) == (5000 - 43) // 21 + 1
    one = window_features(z[7 * 21 : 7 * 21 + 43])
    np.testing.assert_allclose(features[7], one[0])
    last = len(features) - 1
    np.testing.assert_allclose(features[last, :2], z[last * 21 : last * 21 + 43].mean(0))


def test_a_short_sequence_has_no_window() -> None:
    assert window_features(np.zeros((42, 3))).shape == (0, 9)


@pytest.mark.parametrize("arguments", [{"length": 1}, {"step": 0}, {"z": np.zeros(9)}])
def test_wrong_arguments_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        window_features(**{"z": np.zeros((50, 2)), **arguments})

"""A sequence of descriptors: shapes, clock, and the frames that are complete."""

from __future__ import annotations

import numpy as np
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError


def test_clock_and_complete_frames(rng: np.random.Generator) -> None:
    config = DescriptorConfig()
    values = rng.standard_normal((44, 39)).astype(np.float32)
    sequence = DescriptorSequence(values, config, "a.wav", "0" * 32, 44100)
    assert len(sequence) == 44
    np.testing.assert_array_equal(sequence.centre_samples[:3], [0, 1024, 2048])
    assert sequence.times[43] == pytest.approx(43 * 1024 / 44100)
    assert sequence.complete == slice(1, 43)
    np.testing.assert_array_equal(sequence.complete_static, values[1:43, :13])
    with pytest.raises(ValueError, match="read-only"):
        sequence.values[0, 0] = 1
    values[0, 0] = 1  # the caller's own array is not locked


def test_columns_must_fit() -> None:
    with pytest.raises(ConfigurationError, match=r"a\.wav: values of shape \(5, 13\)"):
        DescriptorSequence(np.zeros((5, 13), np.float32), DescriptorConfig(), "a.wav", "", 5000)

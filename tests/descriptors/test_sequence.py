"""A sequence of descriptors: shapes, times and complete frames."""

from __future__ import annotations

import numpy as np
import pytest

from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError


def test_clock_and_complete_frames(rng: np.random.Generator) -> None:
    config = DescriptorConfig(descriptors=("mfcc",))
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


@pytest.fixture
def sequence(rng: np.random.Generator) -> DescriptorSequence:
    """Ten seconds, complete from frame 1 to frame 428."""
    values = rng.standard_normal((431, 40)).astype(np.float32)
    config = DescriptorConfig(descriptors=("mfcc", "centroid"))
    return DescriptorSequence(values, config, "a.wav", "0" * 32, 441_000)


def test_columns_are_read_by_name(sequence: DescriptorSequence) -> None:
    np.testing.assert_array_equal(sequence["mfcc0"], sequence.values[:, 0])
    np.testing.assert_array_equal(sequence["mfcc"], sequence.values[:, :13])
    np.testing.assert_array_equal(sequence["delta2"], sequence.values[:, 26:39])
    np.testing.assert_array_equal(sequence["centroid"], sequence.values[:, 39])
    with pytest.raises(ConfigurationError, match="'chroma' must be a column or a group: mfcc, del"):
        sequence["chroma"]


def test_a_number_gives_a_frame(sequence: DescriptorSequence) -> None:
    np.testing.assert_array_equal(sequence[0], sequence.values[0])
    np.testing.assert_array_equal(sequence[np.int64(-1)], sequence.values[430])
    np.testing.assert_array_equal(list(sequence[:3]), sequence.values[:3])
    with pytest.raises(IndexError):
        sequence[431]


def test_a_slice_keeps_its_place_in_the_recording(sequence: DescriptorSequence) -> None:
    part = sequence[100:200]
    assert isinstance(part, DescriptorSequence)
    np.testing.assert_array_equal(part.values, sequence.values[100:200])
    np.testing.assert_array_equal(part.times, sequence.times[100:200])
    assert part.complete == slice(0, 100)
    assert sequence.complete == slice(1, 430)
    assert sequence[:5].complete == slice(1, 5)
    assert sequence[-5:].complete == slice(0, 4)
    assert sequence[430:].complete == slice(0, 0)
    np.testing.assert_array_equal(part[10:20].times, sequence.times[110:120])
    np.testing.assert_array_equal(
        np.concatenate([sequence[:50].complete_static, sequence[50:].complete_static]),
        sequence.complete_static,
    )


@pytest.mark.parametrize("key", [slice(None, None, 2), 1.5, None])
def test_other_indices_are_refused(sequence: DescriptorSequence, key: object) -> None:
    with pytest.raises(ConfigurationError, match="slice without a step"):
        sequence[key]


def test_repr_is_one_line(sequence: DescriptorSequence) -> None:
    assert repr(sequence[100:200]) == (
        "DescriptorSequence('a.wav': 100 frames × 40 columns (mfcc, delta, delta2, centroid), "
        "2.32 s from 2.32 s on)"
    )


def test_a_sequence_becomes_a_table(sequence: DescriptorSequence) -> None:
    table = sequence.to_dataframe()
    np.testing.assert_array_equal(table.to_numpy(), sequence.values)
    assert list(table) == list(sequence.config.names)
    np.testing.assert_array_equal(table.index, sequence.times)
    assert table.index.name == "seconds"

from __future__ import annotations

import numpy as np
import pytest

from desc.configuration import QueryConfig
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.standardizer import Standardizer
from desc.errors import ConfigurationError
from desc.matching.space import column_weights, matching_space

CONFIG = DescriptorConfig(n_mfcc=2, descriptors=("mfcc", "centroid", "chroma"))
# mfcc0 mfcc1 | delta mfcc2 mfcc3 | delta2 mfcc4 mfcc5 | centroid | chroma0 … chroma11


@pytest.fixture
def standardizer() -> Standardizer:
    scale = np.ones(CONFIG.n_columns)
    scale[:6] = (100, 4, 9, 1, 4, 1)
    mean = np.zeros(CONFIG.n_columns)
    mean[0] = -50
    return Standardizer(mean, scale, CONFIG)


def test_default_weights_are_root_deviation_scaled_to_rms_one(standardizer: Standardizer) -> None:
    weights = column_weights(standardizer, "")
    rms = np.sqrt((10**2 + 2**2) / 2)
    np.testing.assert_allclose(weights[:2], [10 / rms, 2 / rms])
    assert np.sqrt(np.mean(weights[:2] ** 2)) == pytest.approx(1)
    assert not weights[2:6].any()
    assert weights[6] == 1


def test_chroma_counts_less_beside_mfcc() -> None:
    def weights(text: str, *descriptors: str) -> np.ndarray:
        config = DescriptorConfig(n_mfcc=2, descriptors=descriptors)
        ones = np.ones(config.n_columns)
        columns = list(config.groups["chroma"])
        return column_weights(Standardizer(0 * ones, 3 * ones, config), text)[columns]

    np.testing.assert_array_equal(weights("", "mfcc", "chroma"), 0.7)
    np.testing.assert_array_equal(weights("", "chroma", "centroid", "mfcc"), 0.7)
    np.testing.assert_array_equal(weights("chroma=2", "mfcc", "chroma"), 1.4)
    np.testing.assert_array_equal(weights("", "chroma"), 1)
    np.testing.assert_array_equal(weights("", "centroid", "chroma"), 1)
    np.testing.assert_array_equal(weights("chroma=2", "chroma"), 2)


def test_factors_multiply_the_default_weight(standardizer: Standardizer) -> None:
    default = column_weights(standardizer, "")
    weights = column_weights(standardizer, " mfcc1 = 3 , centroid=0,chroma=2,chroma4=.5")
    assert weights[1] == pytest.approx(3 * default[1])
    assert weights[0] == default[0]
    assert weights[6] == 0
    assert weights[7] == 2 * default[7]  # the group
    assert weights[11] == 0.5 * default[11]  # the column beats its group


def test_delta_columns_get_the_weight_they_would_have_as_statics(
    standardizer: Standardizer,
) -> None:
    rms = np.sqrt((10**2 + 2**2) / 2)
    weights = column_weights(standardizer, "delta=.5,mfcc3=2")
    np.testing.assert_allclose(weights[2:6], [0.5 * 3 / rms, 2 * 1 / rms, 0, 0])


def test_group_of_statics_is_mfcc_alone(standardizer: Standardizer) -> None:
    space = matching_space(CONFIG, standardizer, QueryConfig(descriptor_weights="mfcc=0"))
    assert space.names == ("centroid", *(f"chroma{i}" for i in range(12)))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("mfcc0=2,loudness=1", "loudness=1"),
        ("mfcc0", "mfcc0"),
        ("mfcc0=", "mfcc0="),
        ("mfcc0=-1", "mfcc0=-1"),
        ("mfcc0=loud", "mfcc0=loud"),
        ("mfcc0=nan", "mfcc0=nan"),
        ("mfcc0=inf", "mfcc0=inf"),
        ("mfcc0=1,mfcc0=2", "mfcc0=2"),
        ("mfcc6=1", "mfcc6=1"),
    ],
)
def test_wrong_weights_are_named_and_the_names_listed(
    standardizer: Standardizer, text: str, part: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        column_weights(standardizer, text)
    assert repr(part) in str(caught.value)
    if "once" not in str(caught.value):
        assert "mfcc, delta, delta2, centroid, chroma, mfcc0, mfcc1" in str(caught.value)


def test_all_weights_zero_is_an_error(standardizer: Standardizer) -> None:
    config = QueryConfig(descriptor_weights="mfcc=0,centroid=0,chroma=0")
    with pytest.raises(ConfigurationError, match="at least one column"):
        matching_space(CONFIG, standardizer, config)


def test_projection_standardises_in_the_unbounded_space(standardizer: Standardizer) -> None:
    values = np.zeros((2, CONFIG.n_columns), np.float32)
    values[:, 0] = (-50, 150)
    values[:, 6] = (np.e**2, np.e**3)  # Hz; the space of the centroid is its logarithm
    values[:, 7:] = 0.5
    weight = column_weights(standardizer, "")[0]
    points = matching_space(CONFIG, standardizer, QueryConfig()).project(values)
    assert points.dtype == np.float32
    assert points.shape == (2, 15)
    np.testing.assert_allclose(points[:, 0], [0, 2 * weight], rtol=1e-6)
    np.testing.assert_allclose(points[:, 2], [2, 3], rtol=1e-6)
    np.testing.assert_allclose(points[:, 3:], 0, atol=1e-7)


def test_a_weight_multiplies_the_distance(standardizer: Standardizer) -> None:
    values = np.zeros((2, CONFIG.n_columns), np.float32)
    values[1, 0] = 30
    only = "mfcc1=0,centroid=0,chroma=0,mfcc0="
    single, triple = (
        matching_space(CONFIG, standardizer, QueryConfig(descriptor_weights=only + w)).project(
            values
        )
        for w in ("1", "3")
    )
    assert np.diff(triple[:, 0]) == pytest.approx(3 * np.diff(single[:, 0]))


def test_other_descriptors_are_refused(standardizer: Standardizer) -> None:
    with pytest.raises(ConfigurationError, match="different descriptors"):
        matching_space(DescriptorConfig(), standardizer, QueryConfig())

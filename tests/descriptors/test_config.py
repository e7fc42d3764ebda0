"""The configuration of descriptors: names, groups, frames and errors."""

from __future__ import annotations

import pytest

from desc.configuration import from_dict, to_dict
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.families import FAMILIES
from desc.errors import ConfigurationError


def test_the_default_is_51_columns() -> None:
    config = DescriptorConfig()
    chroma = [f"chroma{i}" for i in range(12)]
    assert config.names == (*(f"mfcc{i}" for i in range(39)), *chroma)
    assert config.static_names == (*(f"mfcc{i}" for i in range(13)), *chroma)
    assert list(config.groups) == ["mfcc", "delta", "delta2", "chroma"]
    assert config.groups["delta2"] == tuple(range(26, 39))
    assert config.groups["chroma"] == tuple(range(39, 51))
    assert config.frame_rate == pytest.approx(43.066, abs=1e-3)


def test_every_column_belongs_to_one_group() -> None:
    config = DescriptorConfig(descriptors=tuple(reversed(FAMILIES)))
    columns = [c for cs in config.groups.values() for c in cs]
    assert sorted(columns) == list(range(config.n_columns))
    assert len(set(config.names)) == config.n_columns == len(config.spaces)
    assert len(config.static_columns) == config.n_columns - 26


def test_it_survives_json_and_its_fingerprint_tells() -> None:
    config = DescriptorConfig(descriptors=("mfcc", "f0"), top_db=None)
    assert from_dict(DescriptorConfig, to_dict(config)) == config
    others = [DescriptorConfig(), DescriptorConfig(hop_length=512), config]
    assert len({other.fingerprint for other in others}) == 3
    assert DescriptorConfig().fingerprint == DescriptorConfig().fingerprint


@pytest.mark.parametrize(
    ("n_samples", "frames"),
    [(44100, slice(1, 43)), (2048, slice(1, 2)), (2047, slice(1, 1)), (1, slice(1, 1))],
)
def test_complete_frames_have_their_whole_window(n_samples: int, frames: slice) -> None:
    config = DescriptorConfig()
    assert config.complete_frames(n_samples) == frames
    for t in range(config.n_frames(n_samples)):
        inside = t * 1024 - 1024 >= 0 and t * 1024 + 1024 <= n_samples
        assert inside == (frames.start <= t < frames.stop)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hop_length": 0}, "hop_length=0 must be an integer of at least 1"),
        ({"hop_length": 10**6}, "hop_length=1000000 must be an integer of at least 1 and at most"),
        ({"sample_rate": 10**9}, "sample_rate=1000000000 must be an integer of at least 1000"),
        ({"n_fft": 10**6}, "n_fft=1000000 must be an integer of at least 16 and at most 32768"),
        ({"n_mels": 10**6}, "n_mels=1000000 must be an integer of at least 1 and at most 512"),
        ({"n_mfcc": 10**6}, "n_mfcc=1000000 must be at most n_mels=128"),
        ({"n_fft": 2047}, "n_fft=2047 must be even"),
        ({"n_fft": 512}, "n_fft=512 must be larger, or n_mels=128 smaller: 11 mel bands"),
        ({"descriptors": ("onset_strength",), "n_fft": 512}, "11 mel bands contain no FFT bin"),
        ({"descriptors": ("contrast",), "sample_rate": 12800}, "sample_rate=12800 must be above"),
        ({"descriptors": ("contrast",), "n_fft": 220}, "n_fft=220 must be at least sample_rate"),
        ({"n_mfcc": 200}, "n_mfcc=200 must be at most"),
        ({"top_db": -3.0}, "top_db=-3.0 must be a number above 0"),
        ({"descriptors": ("mfcc", "loudness")}, "'loudness' must be one of mfcc, centroid"),
        ({"descriptors": ("mfcc", "mfcc")}, "name each family once"),
        ({"descriptors": ()}, "name a family"),
        ({"sample_rate": 44100.0}, "sample_rate=44100.0 must be an integer"),
    ],
)
def test_what_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DescriptorConfig(**settings)
    assert message in str(caught.value)

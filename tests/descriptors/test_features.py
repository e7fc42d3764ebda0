"""Known answers of the descriptor families, and their table."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from desc.corpus import open_corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract_signal
from desc.descriptors.families import FAMILIES, Family
from desc.descriptors.features import FEATURES, Feature, register_descriptor
from desc.errors import ConfigurationError
from desc.storage import DescriptorStore

CONFIG = DescriptorConfig(descriptors=tuple(FAMILIES))
MakeSignal = Callable[..., np.ndarray]


def columns(x: np.ndarray, group: str) -> np.ndarray:
    """Columns of a group in the complete frames, (T, n)."""
    values, n_samples = extract_signal([x], CONFIG)
    return values[CONFIG.complete_frames(n_samples)][:, list(CONFIG.groups[group])]


def test_the_tables_have_the_same_keys() -> None:
    assert list(FEATURES) == list(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_its_columns(name: str, make_signal: MakeSignal) -> None:
    config = DescriptorConfig(descriptors=(name,))
    values, _ = extract_signal([make_signal("notes")], config)
    assert values.shape == (44, config.n_columns)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()


@pytest.mark.parametrize("frequency", [440.0, 1000.0, 5000.0])
def test_centroid_and_rolloff_of_a_tone_are_its_frequency(
    make_signal: MakeSignal, frequency: float
) -> None:
    x = make_signal("tone", frequency=frequency)
    np.testing.assert_allclose(columns(x, "centroid"), frequency, rtol=0.05)
    np.testing.assert_allclose(columns(x, "rolloff"), frequency, atol=1.5 * 44100 / 2048)


def test_flatness_tells_noise_from_tones(make_signal: MakeSignal) -> None:
    assert columns(make_signal("noise"), "flatness").min() > 0.4
    assert columns(make_signal("tone"), "flatness").max() < 1e-4
    np.testing.assert_allclose(columns(np.zeros(44100, np.float32), "flatness"), 1, rtol=1e-5)


def test_rms_of_a_tone(make_signal: MakeSignal) -> None:
    """A Hann window's mean square is 3/8, and a sine's is half of its amplitude's square."""
    expected = 0.5 * np.sqrt(0.5 * 3 / 8)
    np.testing.assert_allclose(columns(make_signal("tone"), "rms"), expected, rtol=1e-3)


def test_bandwidth_of_two_tones_is_half_their_distance(make_signal: MakeSignal) -> None:
    x = make_signal("tone", frequency=1000.0) + make_signal("tone", frequency=3000.0)
    np.testing.assert_allclose(columns(x, "bandwidth"), 1000, rtol=0.05)


def test_contrast_tells_tones_from_noise(make_signal: MakeSignal) -> None:
    tone = columns(make_signal("tone", frequency=1000.0), "contrast")
    assert (tone.argmax(1) == 3).all()  # 800 to 1600 Hz
    assert tone[:, 3].min() > columns(make_signal("noise"), "contrast").max()
    np.testing.assert_array_equal(columns(np.zeros(44100, np.float32), "contrast"), 0)


def test_tonnetz_of_a_tone_points_to_its_pitch(make_signal: MakeSignal) -> None:
    """On the circles of fifths, minor and major thirds A is nine semitones above C."""
    angle = 9 * np.pi * np.array([7 / 6, 3 / 2, 2 / 3])
    expected = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    tone = columns(make_signal("tone", frequency=3520.0), "tonnetz").reshape(-1, 3, 2)
    direction = tone / np.linalg.norm(tone, axis=2, keepdims=True)
    np.testing.assert_allclose(direction, np.tile(expected, (len(tone), 1, 1)), atol=0.05)
    np.testing.assert_array_equal(columns(np.zeros(44100, np.float32), "tonnetz"), 0)


def test_onset_strength_peaks_where_a_sound_begins(make_signal: MakeSignal) -> None:
    x = make_signal("noise", 2.0)
    x[:44100] *= 1e-3
    strength = columns(x, "onset_strength")[:, 0]
    assert abs(int(strength.argmax()) - 44100 // 1024) <= 1
    assert np.sort(strength)[-3] < 0.2 * strength.max()
    assert strength.min() >= 0


def test_librosa_is_loaded_by_its_families_only() -> None:
    code = (
        "import sys, numpy as np, desc\n"
        "desc.extract(np.ones(9000), desc.DescriptorConfig(descriptors=('mfcc', 'f0')), sr=44100)\n"
        "assert 'librosa' not in sys.modules\n"
        "desc.extract(np.ones(9000), desc.DescriptorConfig(descriptors=('bandwidth',)), sr=44100)\n"
        "assert 'librosa' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("frequency", "pitch_class"), [(440.0, 9), (523.25, 0), (1108.73, 1)])
def test_chroma_of_a_tone_is_its_pitch_class(
    make_signal: MakeSignal, frequency: float, pitch_class: int
) -> None:
    chroma = columns(make_signal("tone", frequency=frequency), "chroma")
    assert (chroma.argmax(1) == pitch_class).all()
    np.testing.assert_array_equal(chroma.max(1), 1)


def test_a_tone_crosses_zero_twice_a_period(make_signal: MakeSignal) -> None:
    rate = columns(make_signal("tone", frequency=1000.0), "zero_crossing_rate")
    np.testing.assert_allclose(rate, 2 * 1000 / 44100, atol=1.5 / 2048)


def test_nothing_crosses_zero_at_the_ends() -> None:
    """The padding is not part of the signal: constants have no crossings, even negative ones."""
    values, _ = extract_signal([np.full(5000, -0.5, np.float32)], CONFIG)
    assert not values[:, list(CONFIG.groups["zero_crossing_rate"])].any()


def test_silence_has_the_mfcc_of_the_floor() -> None:
    """All bands are at -100 dB: the first coefficient is -100·√128, the others are exactly 0."""
    mfcc = columns(np.zeros(44100, np.float32), "mfcc")
    np.testing.assert_allclose(mfcc[:, 0], -100 * np.sqrt(128), rtol=1e-6)
    np.testing.assert_allclose(mfcc[:, 1:], 0, atol=1e-6)


def test_top_db_counts_from_the_loudest_band_of_the_file(make_signal: MakeSignal) -> None:
    quiet = 1e-4 * make_signal("noise")
    loud = make_signal("tone", 0.5)
    alone = columns(quiet, "mfcc")
    after = columns(np.concatenate([quiet, loud]), "mfcc")
    assert np.abs(alone[:10] - after[:10]).max() > 10
    config = DescriptorConfig(top_db=None)
    first, _ = extract_signal([quiet], config)
    second, _ = extract_signal([np.concatenate([quiet, loud])], config)
    np.testing.assert_array_equal(first[:20, :13], second[:20, :13])


@pytest.fixture
def own_registry() -> Iterator[None]:
    """Restore the registered families after each test."""
    before = dict(FAMILIES), dict(FEATURES)
    yield
    for registry, kept in zip((FAMILIES, FEATURES), before, strict=True):
        registry.clear()
        registry.update(kept)


@pytest.mark.usefixtures("own_registry")
def test_an_own_family_is_extracted_in_other_processes(
    tmp_path: Path, make_wav: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desc.corpus.parallel.WORKERS_START_S", 0.0)
    for seed in range(2):
        make_wav(f"corpus/{seed}.wav", kind="notes", seed=seed)
    feature = Feature(lambda frames: np.full((frames.n_frames, 1), 7, np.float32))
    register_descriptor(Family("seven", ("seven",)), feature)
    config = DescriptorConfig(descriptors=("rms", "seven"))
    corpus = open_corpus(tmp_path / "corpus", config, DescriptorStore(tmp_path / "cache"), jobs=2)
    assert corpus.n_extracted == 2
    assert all((sequence.values[:, 1] == 7).all() for sequence in corpus.sequences)


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize(
    "family", [Family("rms", ("level",)), Family("level", ("rms",)), Family("empty", ())]
)
def test_a_family_that_is_not_new_is_refused(family: Family) -> None:
    known = dict(FAMILIES)
    with pytest.raises(
        ConfigurationError, match=r"must (be new names|be a new name|name a column)"
    ):
        register_descriptor(family, FEATURES["rms"])
    assert known == FAMILIES

"""Recordings played at other speeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.audio import read, read_mono_blocks
from desc.corpus import Corpus, common_tempo, open_corpus, with_tempo, with_variants
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_digest, variant_of
from desc.errors import ConfigurationError, CorpusError
from desc.progress import reporting
from desc.storage import DescriptorStore

CONFIG = DescriptorConfig()


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def corpus(tmp_path: Path, make_wav: Callable[..., Path], store: DescriptorStore) -> Corpus:
    for i in range(2):
        make_wav(f"rec/{i}.wav", kind="notes", duration_s=1.0, seed=i)
    return open_corpus(tmp_path / "rec", CONFIG, store, jobs=1)


def loudest_hz(path: Path, speed: float) -> float:
    audio = np.concatenate(list(read_mono_blocks(path, 44100, speed=speed)))
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return float(spectrum.argmax() * 44100 / len(audio))


@pytest.mark.parametrize("speed", [0.5, 0.944, 1.0, 1.122, 2.0])
def test_pitch_and_length_follow_the_speed(tmp_path: Path, speed: float) -> None:
    t = np.arange(48000) / 48000  # a rate of its own
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 48000)
    assert loudest_hz(tmp_path / "tone.wav", speed) == pytest.approx(440 * speed, abs=2)
    n = sum(map(len, read_mono_blocks(tmp_path / "tone.wav", 44100, speed=speed)))
    assert n == pytest.approx(44100 / speed, abs=1)


def test_a_variant_equals_the_file_at_another_rate(
    tmp_path: Path, corpus: Corpus, store: DescriptorStore
) -> None:
    """Double speed equals the same samples at double the rate."""
    varied = with_variants(corpus, [2.0], store, jobs=1)
    assert varied.sequences == corpus.sequences
    (tmp_path / "fast").mkdir()
    for sequence, variant in zip(corpus.sequences, varied.variants, strict=True):
        path = tmp_path / "fast" / sequence.source
        audio = read(corpus.path(sequence.source))
        soundfile.write(path, audio.T, 88200, subtype="FLOAT")
        (expected,) = open_corpus(path, CONFIG, store, jobs=1).sequences
        assert len(variant) == len(expected)
        np.testing.assert_allclose(variant.values, expected.values, atol=0.02)
        assert variant.source == f"{sequence.source} at 2"
        assert variant_of(variant.digest) == (sequence.digest, 2.0)


def test_variants_are_kept_in_the_cache(
    corpus: Corpus, store: DescriptorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple] = []
    with reporting(lambda *call: calls.append(call)):
        with_variants(corpus, [0.9, 1.1], store, jobs=1)
    assert calls[-1] == ("extract", 4, 4)
    calls.clear()
    with reporting(lambda *call: calls.append(call)):
        again = with_variants(corpus, [0.9, 1.1], store, jobs=1)
    assert not calls
    assert len(again.variants) == 4
    store.prune()
    assert not store.missing([v.digest for v in again.variants], CONFIG)
    corpus.path("0.wav").unlink()
    store.prune()
    assert len(store.missing([v.digest for v in again.variants], CONFIG)) == 2


@pytest.mark.parametrize(
    ("speeds", "message"),
    [
        ([1.0], "speeds=1.0 must differ from 1"),
        ([8.0], "speeds=8.0 must be a number from 0.25 to 4"),
        ([0.9, 0.9], "name each speed once"),
    ],
)
def test_what_speeds_may_be(
    corpus: Corpus, store: DescriptorStore, speeds: list[float], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        with_variants(corpus, speeds, store)


def test_speeds_are_what_their_digests_say(corpus: Corpus, store: DescriptorStore) -> None:
    (exact,) = with_variants(corpus, [2 ** (1 / 12)], store, jobs=1).variants[:1]
    (rounded,) = with_variants(corpus, [1.05946], store, jobs=1).variants[:1]
    assert exact.digest == rounded.digest
    np.testing.assert_array_equal(exact.values, rounded.values)
    with pytest.raises(ConfigurationError, match="differ from 1"):
        with_variants(corpus, [1.0000001], store)


def test_a_recording_that_is_gone_is_named(corpus: Corpus, store: DescriptorStore) -> None:
    corpus.path("1.wav").unlink()
    with pytest.raises(CorpusError, match=r"not only their descriptors: .*1\.wav does not exist"):
        with_variants(corpus, [0.9], store)


def test_digests_of_variants_name_content_and_speed() -> None:
    assert variant_of(variant_digest("0a1b", 1.06)) == ("0a1b", 1.06)
    assert variant_of("0a1b") == ("0a1b", 1.0)


def test_a_tempo_is_met_by_small_changes_of_speed(tmp_path: Path, store: DescriptorStore) -> None:
    rng = np.random.default_rng(0)
    for bpm in (62, 100, 126):  # nearly half the tempo; too far from it; near it
        signal = 0.001 * rng.standard_normal(20 * 22050)
        for beat in np.arange(0.3, 19.5, 60 / bpm):
            first = int(beat * 22050)
            signal[first : first + 2000] += 0.3 * np.exp(-np.arange(2000) / 400)
        soundfile.write(tmp_path / f"{bpm}.wav", signal, 22050)
    soundfile.write(tmp_path / "still.wav", 0.1 * rng.standard_normal(20 * 22050), 22050)
    corpus = open_corpus(tmp_path, CONFIG, store, jobs=1)
    at_tempo = with_tempo(corpus, 120, store, jobs=1)
    assert at_tempo.sequences == corpus.sequences
    speeds = {variant_of(v.digest)[0]: variant_of(v.digest)[1] for v in at_tempo.variants}
    names = {s.digest: s.source for s in corpus.sequences}
    found = {names[content]: speed for content, speed in speeds.items()}
    assert found == {
        "126.wav": pytest.approx(120 / 126, rel=0.003),
        "62.wav": pytest.approx(120 / 124, rel=0.003),
    }
    again = with_tempo(at_tempo, 120, store, jobs=1)
    assert [v.digest for v in again.variants] == [v.digest for v in at_tempo.variants]
    assert common_tempo(corpus) == pytest.approx(100, rel=0.01)
    with pytest.raises(ConfigurationError, match="tempo=5 must be a number from 20 to 400"):
        with_tempo(corpus, 5, store)
    assert at_tempo.inputs["tempo"] == ["120.0"]
    assert not with_tempo(corpus, 126.2, store, jobs=1).variants[1:], "126 is near enough"
    config = DescriptorConfig(descriptors=("rms",), sample_rate=CONFIG.sample_rate)
    with pytest.raises(ConfigurationError, match="tempo=120 must have mfcc among the descriptors"):
        with_tempo(open_corpus(tmp_path, config, store, jobs=1), 120, store)

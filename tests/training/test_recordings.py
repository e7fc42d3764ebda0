"""Split of recordings into training and validation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc.corpus import Corpus
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import variant_digest, variant_of
from desc.errors import ConfigurationError, CorpusError
from desc.training.recordings import excerpt, split_recordings

MakeCorpus = Callable[..., Corpus]
CONFIG = DescriptorConfig()


def sources(sequences: tuple) -> set[str]:
    return {s.source for s in sequences}


def test_files_are_divided_by_share_and_seed(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus([30] * 20)
    split = split_recordings(corpus, None, 0.1, 0)
    assert len(split.validation) == 2
    assert len(split.training) == 18
    assert not sources(split.training) & sources(split.validation)
    again = split_recordings(corpus, None, 0.1, 0)
    assert again.files == split.files
    assert split_recordings(corpus, None, 0.1, 1).files != split.files


def test_at_least_one_file_is_held_out_and_one_is_left(make_corpus: MakeCorpus) -> None:
    assert len(split_recordings(make_corpus([30, 30]), None, 0.01, 0).validation) == 1
    assert len(split_recordings(make_corpus([30, 30]), None, 0.9, 0).training) == 1


def test_the_split_depends_on_contents_alone(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus([30] * 10)
    renamed = tuple(replace(s, source=f"z{9 - i}.wav") for i, s in enumerate(corpus.sequences))[
        ::-1
    ]
    split = split_recordings(corpus, None, 0.3, 0)
    other = split_recordings(replace(corpus, sequences=renamed), None, 0.3, 0)
    assert [list(side) for side in split.files] == [list(side) for side in other.files]


def test_one_file_is_divided_by_time(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus([200])
    frames = corpus.sequences[0].complete_static
    split = split_recordings(corpus, None, 0.1, 0)
    (training,), (validation,) = split.training, split.validation
    # Windows of two hops: two frames between the sides and no sample is in both.
    np.testing.assert_array_equal(training.complete_static, frames[:178])
    np.testing.assert_array_equal(validation.complete_static, frames[180:])


def test_recordings_whose_descriptors_are_no_numbers_are_left_out(
    make_corpus: MakeCorpus, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = make_corpus([30] * 3)
    values = corpus.sequences[1].values.copy()
    values[7, 0] = np.nan
    broken = replace(corpus.sequences[1], values=values)
    caplog.set_level(logging.INFO, "desc")
    mixed = replace(corpus, sequences=(corpus.sequences[0], broken, corpus.sequences[2]))
    split = split_recordings(mixed, None, 0.5, 0)
    assert sources((*split.training, *split.validation)) == {"00.wav", "02.wav"}
    assert caplog.messages == ["01.wav: left out: descriptors that are not finite numbers"]
    with pytest.raises(
        CorpusError, match="0 are shorter, 1 have descriptors that are not finite numbers"
    ):
        split_recordings(replace(corpus, sequences=(broken,)), None, 0.5, 0)


def at_speed(corpus: Corpus, speed: float) -> Corpus:
    """Add every recording at a speed: as many frames fewer, or more."""
    variants = []
    for s in corpus.sequences:
        n_samples = int(s.n_samples / speed)
        rows = np.linspace(0, len(s) - 1, s.config.n_frames(n_samples)).astype(int)
        digest = variant_digest(s.digest, speed)
        variants.append(replace(s, values=s.values[rows], digest=digest, n_samples=n_samples))
    return replace(corpus, variants=tuple(variants))


def test_only_training_recordings_are_learned_at_other_speeds(make_corpus: MakeCorpus) -> None:
    corpus = at_speed(make_corpus([60] * 5), 0.8)
    split = split_recordings(corpus, None, 0.2, 0)
    assert len(split.variants) == len(split.training) == 4
    assert {variant_of(v.digest)[0] for v in split.variants} == {s.digest for s in split.training}
    assert len(split.learned) == len(split.files[0]) == 8
    assert len(split.files[1]) == 1


def test_of_one_file_only_the_beginning_is_learned_at_other_speeds(make_corpus: MakeCorpus) -> None:
    corpus = at_speed(make_corpus([200]), 0.5)
    split = split_recordings(corpus, None, 0.1, 0)
    (training,), (variant,) = split.training, split.variants
    # At half the speed twice as long, and not a sample longer.
    hop, half = CONFIG.hop_length, CONFIG.n_fft // 2
    last = (variant.complete.stop - 1) * hop + half
    assert 2 * training.n_samples - hop < last <= 2 * training.n_samples
    np.testing.assert_array_equal(variant.values, corpus.variants[0].values[: len(variant)])


def test_one_file_must_be_long_enough(make_corpus: MakeCorpus) -> None:
    split = split_recordings(make_corpus([20]), None, 0.1, 0)
    assert [len(s.complete_static) for s in (*split.training, *split.validation)] == [9, 9]
    with pytest.raises(CorpusError, match="20 are needed"):
        split_recordings(make_corpus([19]), None, 0.1, 0)


def test_short_files_are_left_out_by_name(
    make_corpus: MakeCorpus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "desc")
    split = split_recordings(make_corpus([30, 8, 9]), None, 0.5, 0)
    assert sources(split.training) | sources(split.validation) == {"00.wav", "02.wav"}
    assert caplog.messages == ["01.wav: left out: fewer than 9 complete frames"]
    with pytest.raises(CorpusError, match="9 complete frames"):
        split_recordings(make_corpus([8, 3]), None, 0.5, 0)


def test_copies_stand_on_one_side_only(
    make_corpus: MakeCorpus, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = make_corpus([30] * 5)
    copies = tuple(replace(s, source=f"copy of {s.source}") for s in corpus.sequences)
    caplog.set_level(logging.INFO, "desc")
    both = replace(corpus, sequences=corpus.sequences + copies)
    split = split_recordings(both, None, 0.4, 0)
    assert len(split.training) + len(split.validation) == 5
    assert not set(split.files[0]) & set(split.files[1])
    assert len(caplog.messages) == 1
    assert "copies" in caplog.messages[0]
    assert "copy of 00.wav" in caplog.messages[0]


def test_validation_recordings_are_left_out_of_training(
    make_corpus: MakeCorpus, caplog: pytest.LogCaptureFixture
) -> None:
    corpus, validation = make_corpus([30] * 5), make_corpus([30] * 2)
    caplog.set_level(logging.INFO, "desc")
    split = split_recordings(corpus, validation, 0.1, 0)
    assert sources(split.training) == {"02.wav", "03.wav", "04.wav"}
    assert sources(split.validation) == {"00.wav", "01.wav"}
    assert len(caplog.messages) == 1
    assert "01.wav" in caplog.messages[0]
    with pytest.raises(CorpusError, match="nothing is left to learn from"):
        split_recordings(validation, corpus, 0.1, 0)


def test_other_descriptors_are_refused(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus([30] * 2)
    other = Corpus(Path("others"), DescriptorConfig(), corpus.sequences, (), 0)
    with pytest.raises(ConfigurationError, match="others"):
        split_recordings(corpus, other, 0.1, 0)


def test_an_excerpt_has_just_the_frames_asked_for(make_corpus: MakeCorpus) -> None:
    sequence = make_corpus([50]).sequences[0]
    frames = range(sequence.complete.start, sequence.complete.stop)
    part = excerpt(sequence, frames[10], frames[30])
    np.testing.assert_array_equal(part.complete_static, sequence.complete_static[10:30])
    assert part.digest == sequence.digest

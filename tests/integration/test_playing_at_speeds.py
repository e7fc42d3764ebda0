"""A database whose recordings are also played at other speeds, from rows to sound."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc import audio
from desc.concatenation import Playlist, PlaylistEvent, render
from desc.configuration import RenderConfig, SelectionConfig
from desc.corpus import Corpus, open_corpus, with_variants
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.matching import Match, Matcher, to_playlist
from desc.outputs import write_matches
from desc.storage import DescriptorStore

CONFIG = DescriptorConfig()
RATE, HOP = CONFIG.sample_rate, CONFIG.hop_length
SEMITONE = 1.06


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def corpus(tmp_path: Path, make_wav: Callable[..., Path], store: DescriptorStore) -> Corpus:
    for i in range(2):
        make_wav(f"rec/{i}.wav", kind="notes", duration_s=3.0, seed=i)
    corpus = open_corpus(tmp_path / "rec", CONFIG, store, jobs=1)
    return with_variants(corpus, [SEMITONE], store, jobs=1)


@pytest.fixture
def database(corpus: Corpus, store: DescriptorStore) -> DescriptorDatabase:
    return DescriptorDatabase.from_corpus(corpus, store)


def best(queries: np.ndarray, database: DescriptorDatabase, **options: str) -> Match:
    selection = SelectionConfig.styled("granular", unit_gain_db=0)
    return Matcher(database, selection=selection).match(queries, **options)


def test_rows_refer_to_the_recording(corpus: Corpus, database: DescriptorDatabase) -> None:
    assert [(file.source, file.speed) for file in database.files] == [
        ("0.wav", 1.0), ("1.wav", 1.0), ("0.wav", SEMITONE), ("1.wav", SEMITONE),
    ]  # fmt: skip
    assert database.speeds == [1.0, SEMITONE]
    first = sum(file.n_frames for file in database.files[:2])
    n = database.files[2].n_frames
    centres = database.centre_samples[first : first + n]
    np.testing.assert_allclose(centres, SEMITONE * HOP * np.arange(n), atol=0.5)
    assert abs(int(centres[-1]) - 3 * RATE) < 2 * HOP
    assert database.rows_of(corpus.sequences[0].digest)[first : first + n].all()
    plain = DescriptorDatabase.from_sequences(corpus.sequences, corpus.root)
    assert plain.digest != database.digest
    np.testing.assert_array_equal(plain.centre_samples, database.centre_samples[:first])


def test_a_variant_that_is_asked_for_comes_back_as_one_unit(
    corpus: Corpus, database: DescriptorDatabase
) -> None:
    queries = corpus.variants[0].values[20:80]
    (unit,) = best(queries, database).units
    (event,) = to_playlist((unit,), database).events
    assert (event.source, event.digest) == ("0.wav", corpus.sequences[0].digest)
    assert event.transpose_semitones == pytest.approx(12 * math.log2(SEMITONE), abs=1e-6)
    assert event.n_samples == 60 * HOP
    heard_centre = 20 * HOP - HOP / 2 + 30 * HOP  # in the time of the variant
    centre = event.start_sample + event.n_samples / 2
    assert centre == pytest.approx(SEMITONE * heard_centre, abs=1)


def test_its_sound_is_that_of_the_played_file(
    tmp_path: Path, corpus: Corpus, database: DescriptorDatabase, store: DescriptorStore
) -> None:
    playlist = best(corpus.variants[1].values[30:60], database).playlist
    sound = render(playlist, store=store).samples[:, 0]
    path = corpus.path("1.wav")
    played = np.concatenate(list(audio.read_mono_blocks(path, RATE, speed=SEMITONE)))
    first = 30 * HOP - HOP // 2
    expected = played[first : first + 30 * HOP]
    assert len(sound) == len(expected)
    # Up to the half sample by which the playlist's positions are rounded.
    difference = np.sqrt(np.mean((sound - expected) ** 2))
    assert difference < 0.1 * np.sqrt(np.mean(expected**2))


def test_an_octave_is_answered_by_double_speed(tmp_path: Path, store: DescriptorStore) -> None:
    t = np.arange(2 * RATE) / RATE
    for name, hz in (("low", 440.0), ("high", 880.0)):
        (tmp_path / name).mkdir()
        tone = 0.4 * np.sin(2 * np.pi * hz * t) + 0.2 * np.sin(4 * np.pi * hz * t)
        soundfile.write(tmp_path / name / "tone.wav", tone, RATE)
    low = with_variants(open_corpus(tmp_path / "low", CONFIG, store, jobs=1), [2.0], store, jobs=1)
    database = DescriptorDatabase.from_corpus(low, store)
    (high,) = open_corpus(tmp_path / "high", CONFIG, store, jobs=1).sequences
    queries = high.values[5:35]
    playlist = Matcher(database, selection=SelectionConfig("nearest")).match(queries).playlist
    assert {event.transpose_semitones for event in playlist.events} == {12.0}
    sound = render(playlist, store=store).samples[:, 0]
    assert len(sound) == 30 * HOP
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert spectrum.argmax() * RATE / len(sound) == pytest.approx(880, abs=3)


def test_a_recording_does_not_answer_itself_at_another_speed(
    corpus: Corpus, database: DescriptorDatabase
) -> None:
    digest = corpus.sequences[0].digest
    selection = best(corpus.variants[0].values[20:60], database, exclude_digest=digest)
    sources = {database.reference(int(row)).source for row in selection.rows}
    assert sources == {"1.wav"}


@pytest.mark.parametrize("semitones", [1.0, -3.5])
def test_transposed_joins_are_aligned(
    tmp_path: Path, store: DescriptorStore, semitones: float
) -> None:
    """A sine joined with itself, half a period off, keeps its power through the fade."""
    hz = 441.0
    tone = 0.5 * np.sin(2 * np.pi * hz * np.arange(3 * RATE) / RATE)
    soundfile.write(tmp_path / "a.wav", tone, RATE, subtype="FLOAT")
    n, period = 9000, RATE / hz
    half = round(2 * period / 2 ** (semitones / 12))  # two periods as they are heard
    events = tuple(
        PlaylistEvent(
            "a.wav", int(start), n, onset, fade_in_ms=10.0, fade_out_ms=10.0,
            transpose_semitones=semitones,
        )
        for start, onset in ((20_000, 0), (60_000 + period / 2, n))
    )  # fmt: skip
    powers = {}
    for align_ms in (0.0, 5.0):
        clip = render(
            Playlist(events, RATE),
            source_root=tmp_path,
            store=store,
            rendering=RenderConfig(align_ms=align_ms),
        )
        join = clip.samples[n - half : n + half, 0]
        powers[align_ms] = 10 * np.log10(np.mean(join**2) / 0.125)
    assert abs(powers[5.0]) < 0.1
    assert abs(powers[5.0]) <= abs(powers[0.0])


def test_matches_tell_the_speed_only_where_there_are_several(
    tmp_path: Path, corpus: Corpus, database: DescriptorDatabase
) -> None:
    queries = corpus.variants[0].values[20:24]
    write_matches(tmp_path, best(queries, database))
    assert set(json.loads((tmp_path / "matches.json").read_text())["_speed"]) == {SEMITONE}
    plain = DescriptorDatabase.from_sequences(corpus.sequences, corpus.root)
    write_matches(tmp_path, best(queries, plain))
    assert "_speed" not in json.loads((tmp_path / "matches.json").read_text())

"""The synthetic instruments and the corpus made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.demo import corpus as module
from desc.demo.corpus import DATABASE, RECORDINGS, Piece, perform, write_corpus
from desc.demo.instruments import INSTRUMENTS, SAMPLE_RATE
from desc.progress import reporting

SHORT = (
    Piece("recordings/one.wav", ("plucked", "flute"), 0.3, 146.83, 2.0),
    Piece("database/deep/two.wav", ("bell", "strings", "drum"), 0.2, 110.0, 2.0),
)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_note_is_finite_and_as_loud_as_asked(name: str) -> None:
    note = INSTRUMENTS[name](220.0, 0.5, 0.6, np.random.default_rng(0))
    assert note.ndim == 1
    assert np.isfinite(note).all()
    assert np.abs(note).max() == pytest.approx(0.6)
    assert np.abs(note[-SAMPLE_RATE // 50 :]).max() < 0.06, "a note dies away"


@pytest.mark.parametrize("name", ["plucked", "flute", "strings"])
def test_a_note_has_its_pitch(name: str) -> None:
    note = INSTRUMENTS[name](220.0, 2.0, 0.5, np.random.default_rng(0))
    middle = note[SAMPLE_RATE // 2 : 3 * SAMPLE_RATE // 2]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(middle, 2 * len(middle))) ** 2)
    shortest = SAMPLE_RATE // 300
    period = shortest + np.argmax(correlation[shortest : SAMPLE_RATE // 150])
    assert SAMPLE_RATE / period == pytest.approx(220.0, rel=0.02)


def test_a_seed_gives_one_piece() -> None:
    first, again, other = (perform(SHORT[0], np.random.default_rng(s)) for s in (1, 1, 2))
    assert first.shape == (2, 2 * SAMPLE_RATE)
    assert np.abs(first).max() == pytest.approx(0.8, abs=0.01)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_folders_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDINGS", SHORT[:1])
    monkeypatch.setattr(module, "DATABASE", SHORT[1:])
    seen: list[tuple[str, int, int]] = []
    with reporting(lambda *step: seen.append(step)):
        write_corpus(tmp_path, 3)
    assert seen == [("compose", 1, 2), ("compose", 2, 2)]
    first, second = (tmp_path / piece.source for piece in SHORT)
    info = soundfile.info(first)
    assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE, 2, "PCM_16")
    content = first.read_bytes()
    second.unlink()
    first.write_bytes(b"changed by a person")
    write_corpus(tmp_path, 3)
    assert first.read_bytes() == b"changed by a person"
    assert second.exists()
    first.unlink()
    write_corpus(tmp_path, 3)
    assert first.read_bytes() == content
    write_corpus(tmp_path / "alone", 3, with_database=False)
    assert (tmp_path / "alone" / SHORT[0].source).read_bytes() == content
    assert not (tmp_path / "alone" / "database").exists()


def test_the_embedded_corpus_is_a_few_minutes_in_several_files() -> None:
    assert 180 <= sum(piece.duration_s for piece in RECORDINGS) <= 600
    assert 240 <= sum(piece.duration_s for piece in DATABASE) <= 900
    sources = [piece.source for piece in RECORDINGS + DATABASE]
    assert len(set(sources)) == len(sources)
    assert {name for piece in RECORDINGS for name in piece.players} == set(INSTRUMENTS)

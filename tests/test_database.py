"""The database: all frames of a corpus, each with its place in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc.corpus import Corpus, open_corpus
from desc.database import AudioReference, DatabaseFile, DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError
from desc.storage import DescriptorStore

CONFIG = DescriptorConfig(descriptors=("mfcc",))


def sequence_of(n_frames: int, name: str, config: DescriptorConfig = CONFIG) -> DescriptorSequence:
    rng = np.random.default_rng(n_frames)
    values = rng.standard_normal((n_frames, config.n_columns), dtype=np.float32)
    digest = f"{n_frames:032x}"
    return DescriptorSequence(values, config, f"{name}.wav", digest, (n_frames - 1) * 1024)


@pytest.fixture
def database() -> DescriptorDatabase:
    sequences = [sequence_of(3, "a"), sequence_of(1, "b"), sequence_of(3, "c")]  # a equals c
    return DescriptorDatabase.from_sequences(sequences, "/corpus")


def test_rows_know_their_place(database: DescriptorDatabase) -> None:
    assert database.values.shape == (len(database), 39) == (7, 39)
    assert database.file_index.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert database.file_index.dtype == np.int32
    assert database.centre_samples.tolist() == [0, 1024, 2048, 0, 0, 1024, 2048]
    assert database.centre_samples.dtype == np.int64
    assert database.files[1] == DatabaseFile("b.wav", f"{1:032x}", 1, 0)
    assert database.root == Path("/corpus")


def test_the_sound_of_a_row_is_the_hop_around_its_centre(database: DescriptorDatabase) -> None:
    assert database.reference(0) == AudioReference("a.wav", -512, 1024)
    assert database.reference(5) == AudioReference("c.wav", 512, 1024)
    with pytest.raises(IndexError):
        database.reference(7)


def test_rows_of_a_content(database: DescriptorDatabase) -> None:
    assert database.rows_of(f"{3:032x}").tolist() == [True] * 3 + [False] + [True] * 3
    assert not database.rows_of("f" * 32).any()
    assert database.rows_of("f" * 32).dtype == np.bool_


def test_arrays_are_read_only(database: DescriptorDatabase) -> None:
    for array in (database.values, database.file_index, database.centre_samples, database.static):
        assert not array.flags.writeable


def test_static_columns() -> None:
    beside = DescriptorDatabase.from_sequences([sequence_of(4, "a")], ".")
    assert np.shares_memory(beside.static, beside.values)
    np.testing.assert_array_equal(beside.static, beside.values[:, :13])
    config = DescriptorConfig(descriptors=("mfcc", "rms"))
    apart = DescriptorDatabase.from_sequences([sequence_of(4, "a", config)], ".")
    np.testing.assert_array_equal(apart.static, apart.values[:, [*range(13), 39]])


def test_sequences_must_fit_together() -> None:
    with pytest.raises(ConfigurationError, match="contain at least one"):
        DescriptorDatabase.from_sequences([], ".")
    other = sequence_of(3, "b", replace(CONFIG, hop_length=512))
    with pytest.raises(ConfigurationError, match=r"b\.wav: .* other settings than those of a\.wav"):
        DescriptorDatabase.from_sequences([sequence_of(3, "a"), other], ".")


def test_the_database_of_a_corpus(tmp_path: Path, make_wav: Callable[..., Path]) -> None:
    for name in ("rec/b.wav", "rec/a.wav", "rec/c/a.wav"):
        make_wav(name, kind="noise", duration_s=0.5, seed=len(name))
    store = DescriptorStore(tmp_path / "cache")
    corpus = open_corpus(tmp_path / "rec", CONFIG, store, jobs=1)
    database = DescriptorDatabase.from_corpus(corpus, store)
    assert [file.source for file in database.files] == ["a.wav", "b.wav", "c/a.wav"]
    assert database.digest == corpus.digest
    assert database.root == tmp_path / "rec"
    memory = DescriptorDatabase.from_sequences(corpus.sequences, corpus.root)
    for name in ("values", "file_index", "centre_samples", "digest", "files"):
        np.testing.assert_array_equal(getattr(database, name), getattr(memory, name))
    values = DescriptorDatabase.from_corpus(corpus, store).values
    np.testing.assert_array_equal(values, database.values)


def test_the_packed_view_of_a_million_rows_is_written_once(tmp_path: Path) -> None:
    store = DescriptorStore(tmp_path / "cache")
    config = replace(CONFIG, n_mfcc=1)  # three columns: the rows are what counts
    sequences = tuple(sequence_of(10_000, f"{i}", config) for i in range(100))
    corpus = Corpus(tmp_path, config, sequences, (), 0)
    DescriptorDatabase.from_corpus(corpus, store)
    packed = {path: path.stat().st_ino for path in store.cache_dir.rglob("*") if path.is_file()}
    database = DescriptorDatabase.from_corpus(corpus, store)
    assert packed == {p: p.stat().st_ino for p in store.cache_dir.rglob("*") if p.is_file()}
    assert len(database) == 1_000_000
    assert isinstance(database.values, np.memmap)
    assert database.reference(999_999).source == "99.wav"


def test_a_database_says_its_shape(tmp_path: Path) -> None:
    database = DescriptorDatabase.from_sequences([sequence_of(4, "a"), sequence_of(2, "b")], "x")
    assert repr(database) == "DescriptorDatabase(2 files, 6 frames × 39 descriptors, 'x')"
    table = database.to_dataframe()
    assert list(table["source"]) == ["a.wav", "b.wav"]
    assert list(table["n_frames"]) == [4, 2]


def test_the_default_cache_is_used_where_none_is_given(
    tmp_path: Path, make_wav: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESC_CACHE", str(tmp_path / "cache"))
    make_wav("rec/a.wav", kind="noise", duration_s=0.5)
    database = DescriptorDatabase.from_corpus(open_corpus(tmp_path / "rec", jobs=1))
    assert len(database) == 22
    summary = DescriptorStore(tmp_path / "cache").summary()
    assert (summary.descriptors.n_files, summary.packed.n_files) == (1, 1)

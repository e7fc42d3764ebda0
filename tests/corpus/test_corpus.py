"""Opening a folder as a corpus: sequences and skipped files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from desc.corpus import Corpus, open_corpus, parallel
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, ConfigurationError, CorpusError, DescError, StorageError
from desc.progress import reporting
from desc.storage import DescriptorStore
from desc.storage import store as store_module

CONFIG = DescriptorConfig()
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file systems")


def sources_of(corpus: Corpus) -> list[str]:
    return [sequence.source for sequence in corpus.sequences]


class TestCorpus:
    def test_files_of_one_name_in_different_folders(
        self, folder: Path, store: DescriptorStore
    ) -> None:
        corpus = open_corpus(folder, CONFIG, store, jobs=1)
        assert sources_of(corpus) == ["a/kick.wav", "b/kick.wav", "c.flac"]
        assert corpus.n_extracted == 3
        assert corpus.root == folder
        assert corpus.path("a/kick.wav") == folder / "a" / "kick.wav"
        for sequence in corpus.sequences:
            expected = extract(folder / sequence.source, CONFIG)
            np.testing.assert_array_equal(sequence.values, expected.values)
            assert (sequence.digest, sequence.n_samples) == (expected.digest, expected.n_samples)
        assert corpus.n_frames == sum(len(s.values) for s in corpus.sequences)
        assert corpus.duration_s == pytest.approx(1.2)

    def test_a_second_run_extracts_nothing(
        self, folder: Path, store: DescriptorStore, extracted: list[str]
    ) -> None:
        (folder / "broken.wav").write_bytes(b"RIFF but no more")
        calls: list[tuple[str, int, int]] = []
        with reporting(lambda *call: calls.append(call)):
            first = open_corpus(folder, CONFIG, store, jobs=1)
        expected = ["a/kick.wav", "b/kick.wav", "broken.wav", "c.flac"]
        assert extracted == expected
        assert calls == [(stage, i, 4) for stage in ("identify", "extract") for i in range(1, 5)]
        calls.clear()
        with reporting(lambda *call: calls.append(call)):
            again = open_corpus(folder, CONFIG, DescriptorStore(store.cache_dir))
        assert extracted == expected
        assert calls == []
        assert (first.n_extracted, again.n_extracted) == (3, 0)
        assert first.digest == again.digest
        assert first.skipped == again.skipped
        assert [s.source for s in again.skipped] == ["broken.wav"]

    def test_a_moved_folder_extracts_nothing(
        self, folder: Path, store: DescriptorStore, extracted: list[str]
    ) -> None:
        first = open_corpus(folder, CONFIG, store, jobs=1)
        (folder / "c.flac").rename(folder / "a" / "d.flac")
        moved = open_corpus(folder.rename(folder.with_name("new")), CONFIG, store, jobs=1)
        assert len(extracted) == 3
        assert moved.n_extracted == 0
        assert sources_of(moved) == ["a/d.flac", "a/kick.wav", "b/kick.wav"]
        assert moved.digest != first.digest
        assert {s.digest for s in moved.sequences} == {s.digest for s in first.sequences}

    def test_a_changed_file_is_extracted_again(
        self, folder: Path, store: DescriptorStore, extracted: list[str]
    ) -> None:
        first = open_corpus(folder, CONFIG, store, jobs=1)
        shutil.copyfile(folder / "b" / "kick.wav", folder / "a" / "kick.wav")
        (folder / "c.flac").write_bytes((folder / "c.flac").read_bytes() + b"tag")
        changed = open_corpus(folder, CONFIG, store, jobs=1)
        assert extracted[3:] == ["c.flac"]  # the new content of a/kick.wav is that of b/kick.wav
        assert changed.sequences[0].digest == first.sequences[1].digest
        np.testing.assert_array_equal(changed.sequences[0].values, first.sequences[1].values)
        assert changed.digest != first.digest

    def test_another_hop_is_another_extraction(
        self, folder: Path, store: DescriptorStore, extracted: list[str]
    ) -> None:
        coarse = open_corpus(folder, CONFIG, store, jobs=1)
        config = DescriptorConfig(hop_length=512)
        fine = open_corpus(folder, config, store, jobs=1)
        assert fine.n_extracted == 3
        assert fine.config == fine.sequences[0].config == config
        assert len(fine.sequences[0]) == config.n_frames(coarse.sequences[0].n_samples)
        assert open_corpus(folder, CONFIG, store, jobs=1).n_extracted == 0
        assert len(extracted) == 6

    def test_equal_files_share_a_shard_and_are_each_listed(
        self, folder: Path, store: DescriptorStore, extracted: list[str]
    ) -> None:
        shutil.copyfile(folder / "a" / "kick.wav", folder / "z.wav")
        corpus = open_corpus(folder, CONFIG, store, jobs=1)
        assert extracted == ["a/kick.wav", "b/kick.wav", "c.flac"]
        assert sources_of(corpus) == ["a/kick.wav", "b/kick.wav", "c.flac", "z.wav"]
        assert corpus.sequences[0].digest == corpus.sequences[3].digest
        assert corpus.n_extracted == store.summary().descriptors.n_files == 3

    def test_one_bad_file_stops_no_other(
        self, folder: Path, store: DescriptorStore, make_wav: Callable[..., Path]
    ) -> None:
        (folder / "empty.wav").touch()
        (folder / "text.ogg").write_text("no audio at all")
        (folder / "text.mp3").write_text("no audio at all")
        (folder / "score.txt").write_text("not considered")
        (folder / "._c.flac").write_bytes(b"finder")
        make_wav("rec/tiny.wav", np.zeros(10, np.float32))
        make_wav("rec/nan.wav", np.full(5000, np.nan, np.float32), subtype="FLOAT")
        corpus = open_corpus(folder, CONFIG, store, jobs=1)
        assert sources_of(corpus) == ["a/kick.wav", "b/kick.wav", "c.flac", "tiny.wav"]
        assert len(corpus.sequences[3]) == 1
        reasons = {s.source: s.reason for s in corpus.skipped}
        assert list(reasons) == ["empty.wav", "nan.wav", "text.mp3", "text.ogg"]
        assert "empty" in reasons["empty.wav"]
        assert "finite" in reasons["nan.wav"]
        assert not any(str(folder) in reason for reason in reasons.values())
        assert [s.source for s in corpus.ignored] == ["._c.flac", "score.txt"]

    def test_errors_of_other_kinds_stop_no_other(
        self, folder: Path, store: DescriptorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing: dict[str, Exception] = {
            "a/kick.wav": MemoryError("no room"),
            "b/kick.wav": DescError("some rule"),
        }

        def fail(path: Path, config: DescriptorConfig, **options: str) -> DescriptorSequence:
            if options["source"] in failing:
                raise failing[options["source"]]
            return extract(path, config, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(parallel, "extract", fail)
        corpus = open_corpus(folder, CONFIG, store, jobs=1)
        assert sources_of(corpus) == ["c.flac"]
        assert [s.reason for s in corpus.skipped] == ["MemoryError: no room", "some rule"]
        failing.clear()  # such failures are not the files'
        assert open_corpus(folder, CONFIG, store, jobs=1).skipped == ()

    def test_a_file_that_vanishes_or_changes_meanwhile(
        self, folder: Path, store: DescriptorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def meddle(path: Path, config: DescriptorConfig, **options: str) -> DescriptorSequence:
            if path.name == "c.flac":
                path.unlink()
            sequence = extract(path, config, **options)  # type: ignore[arg-type]
            if path.parent.name == "a":
                path.write_bytes(path.read_bytes() + b"more")
            return sequence

        monkeypatch.setattr(parallel, "extract", meddle)
        corpus = open_corpus(folder, CONFIG, store, jobs=1)
        assert sources_of(corpus) == ["b/kick.wav"]
        assert [s.source for s in corpus.skipped] == ["a/kick.wav", "c.flac"]
        assert "changed while it was read" in corpus.skipped[0].reason
        assert store.summary().descriptors.n_files == 1
        assert store.failures() == {}

    def test_a_cache_that_cannot_be_written_stops_all(
        self, folder: Path, store: DescriptorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: DescriptorStore, sequence: DescriptorSequence) -> None:
            raise StorageError("disk full")

        monkeypatch.setattr(DescriptorStore, "save", full)
        with pytest.raises(StorageError, match="disk full"):
            open_corpus(folder, CONFIG, store, jobs=1)

    def test_a_damaged_shard_is_extracted_again(
        self, folder: Path, store: DescriptorStore, extracted: list[str]
    ) -> None:
        corpus = open_corpus(folder, CONFIG, store, jobs=1)
        expected = [np.array(s.values) for s in corpus.sequences]
        digest = corpus.sequences[1].digest
        shard = store.shard_path(digest, CONFIG)
        shard.write_bytes(shard.read_bytes()[:500])
        again = open_corpus(folder, CONFIG, store, jobs=1)
        assert extracted[3:] == ["b/kick.wav"]
        for sequence, values in zip(again.sequences, expected, strict=True):
            np.testing.assert_array_equal(sequence.values, values)

    def test_a_lost_manifest_loses_nothing_but_time(
        self, folder: Path, store: DescriptorStore, extracted: list[str]
    ) -> None:
        first = open_corpus(folder, CONFIG, store, jobs=1)
        store.manifest.path.unlink()
        again = open_corpus(folder, CONFIG, store, jobs=1)
        assert len(extracted) == 3
        assert again.digest == first.digest
        assert [s.n_samples for s in again.sequences] == [s.n_samples for s in first.sequences]

    def test_one_file(self, folder: Path, store: DescriptorStore) -> None:
        corpus = open_corpus(folder / "a" / "kick.wav", CONFIG, store)
        assert corpus.root == folder / "a"
        assert sources_of(corpus) == ["kick.wav"]

    def test_many_files_are_views_of_one_packed_file(
        self,
        folder: Path,
        store: DescriptorStore,
        extracted: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        few = open_corpus(folder, CONFIG, store, jobs=1)
        monkeypatch.setattr(store_module, "MAX_OPEN", 2)
        for _ in range(2):
            many = open_corpus(folder, CONFIG, store, jobs=1)
            assert many.digest == few.digest
            for one, other in zip(many.sequences, few.sequences, strict=True):
                np.testing.assert_array_equal(one.values, other.values)
                assert one.n_samples == other.n_samples
        assert len(extracted) == 3

    def test_patterns_choose(self, folder: Path, store: DescriptorStore) -> None:
        corpus = open_corpus(folder, CONFIG, store, include=("*.wav",), exclude=("b",), jobs=1)
        assert sources_of(corpus) == ["a/kick.wav"]
        assert corpus.skipped == ()

    def test_jobs_out_of_range(self, folder: Path, store: DescriptorStore) -> None:
        with pytest.raises(ConfigurationError, match="jobs=0"):
            open_corpus(folder, CONFIG, store, jobs=0)

    @posix
    def test_names_that_are_no_text(self, folder: Path, store: DescriptorStore) -> None:
        if sys.platform == "darwin":
            pytest.skip("macOS has no such names")
        shutil.copy(folder / "c.flac", folder / os.fsdecode(b"caf\xe9.flac"))
        corpus = open_corpus(folder, CONFIG, store, jobs=1)
        # The file of the same content is read all the same.
        assert sources_of(corpus) == ["a/kick.wav", "b/kick.wav", "c.flac"]
        (skipped,) = corpus.skipped
        assert skipped.source == r"caf\udce9.flac"
        assert "not valid UTF-8" in skipped.reason


class TestNothingUsable:
    def test_an_empty_folder(self, tmp_path: Path, store: DescriptorStore) -> None:
        (tmp_path / "rec").mkdir()
        with pytest.raises(CorpusError, match="rec: the folder is empty"):
            open_corpus(tmp_path / "rec", CONFIG, store)

    def test_what_was_found_is_listed_with_reasons(
        self, tmp_path: Path, store: DescriptorStore
    ) -> None:
        folder = tmp_path / "rec"
        folder.mkdir()
        (folder / "bad.wav").write_text("no audio")
        (folder / "notes.txt").write_text("x")
        (folder / "._bad.wav").write_text("x")
        with pytest.raises(CorpusError) as caught:
            open_corpus(folder, CONFIG, store)
        lines = str(caught.value).splitlines()
        assert lines[0] == f"{folder}: nothing usable among 3 files:"
        assert lines[1].startswith("  bad.wav: ")
        assert lines[2:] == ["  ._bad.wav: hidden", "  notes.txt: not an audio file (.txt)"]

    def test_many_are_counted_by_reason(self, tmp_path: Path, store: DescriptorStore) -> None:
        for i in range(100):
            (tmp_path / f"{i:03}.txt").touch()
        with pytest.raises(CorpusError, match="70 more: not an audio file"):
            open_corpus(tmp_path, CONFIG, store)

    def test_everything_left_out_by_patterns(self, folder: Path, store: DescriptorStore) -> None:
        with pytest.raises(CorpusError, match="matches no include pattern"):
            open_corpus(folder, CONFIG, store, include="*.aiff")

    def test_one_file_that_cannot_be_read(self, tmp_path: Path, store: DescriptorStore) -> None:
        (tmp_path / "bad.wav").write_text("no audio")
        with pytest.raises(CorpusError, match=r"among 1 file:\n  bad\.wav: "):
            open_corpus(tmp_path / "bad.wav", CONFIG, store)


def test_recordings_of_the_shared_folder(shared_audio: Path, store: DescriptorStore) -> None:
    calls: list[tuple[str, int, int]] = []
    folder = shared_audio / "recordings"
    corpus = open_corpus(folder, CONFIG, store, include="*robin*", jobs=1)
    assert len(corpus.sequences) == 1
    assert corpus.skipped == ()
    with reporting(lambda *call: calls.append(call)):
        assert open_corpus(folder, CONFIG, store, include="*robin*").n_extracted == 0
    assert calls == []  # nothing is read again
    assert repr(corpus).startswith("Corpus(1 recordings, ")


def test_failures_of_a_file_that_cannot_be_read_are_not_kept(
    folder: Path, store: DescriptorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(path: Path) -> str:
        raise AudioError(f"{path}: Input/output error")

    open_corpus(folder / "a", CONFIG, store, jobs=1)
    (folder / "b" / "kick.wav").write_bytes(b"RIFF")
    monkeypatch.setattr(parallel, "content_digest", unreadable)
    with pytest.raises(CorpusError):
        open_corpus(folder / "b", CONFIG, store, jobs=1)
    assert store.failures() == {}

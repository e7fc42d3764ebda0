"""Opening a folder as a corpus: discovery, skipped files and extraction."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from desc.corpus import Corpus, find_files, open_corpus, parallel
from desc.corpus.parallel import Outcome, Task, extract_into, run_tasks
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.extraction import extract
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import AudioError, ConfigurationError, CorpusError, DescError, StorageError
from desc.progress import reporting
from desc.storage import DescriptorStore
from desc.storage import store as store_module

CONFIG = DescriptorConfig()
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file systems")


@pytest.fixture
def store(tmp_path: Path) -> DescriptorStore:
    return DescriptorStore(tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path, make_wav: Callable[..., Path]) -> Path:
    """Three recordings, two of the same name in different folders."""
    make_wav("rec/a/kick.wav", kind="tone", duration_s=0.3)
    make_wav("rec/b/kick.wav", kind="noise", duration_s=0.4)
    make_wav("rec/c.flac", kind="notes", duration_s=0.5)
    return tmp_path / "rec"


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that were extracted."""
    sources: list[str] = []

    def counted(path: Path, config: DescriptorConfig, **options: str) -> DescriptorSequence:
        sources.append(options["source"])
        return extract(path, config, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(parallel, "extract", counted)
    return sources


def test_overlapping_extractions_leave_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = ({name: threading.Event() for name in "ab"} for _ in range(2))

    def held(path: Path, *_: object, **__: object) -> DescriptorSequence:
        begun[path.name].set()
        go_on[path.name].wait(10)
        raise DescError("held")

    monkeypatch.setattr(parallel, "extract", held)
    logger = logging.getLogger("desc.audio")
    before, threads = (logger.level, logger.propagate, list(logger.handlers)), {}
    for name in "ab":
        task = Task(tmp_path / name, name, name)
        threads[name] = threading.Thread(target=extract_into, args=(tmp_path, CONFIG, [], task))
        threads[name].start()
        assert begun[name].wait(10)
    for name in "ab":
        go_on[name].set()
        threads[name].join()
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def sources_of(corpus: Corpus) -> list[str]:
    return [sequence.source for sequence in corpus.sequences]


class TestFindFiles:
    def names(self, path: Path, *patterns: str | tuple[str, ...]) -> list[str]:
        return [source for _, source in find_files(path, *patterns)[0]]

    def touch(self, root: Path, *names: str) -> None:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"x")

    def test_audio_files_of_all_folders_in_order(self, tmp_path: Path) -> None:
        self.touch(tmp_path, "b.WAV", "a/z/x.ogg", "a/notes.txt", "B.mp3", "none", "a b/ü.aiff")
        files, skipped = find_files(tmp_path)
        assert [s for _, s in files] == ["B.mp3", "a b/ü.aiff", "a/z/x.ogg", "b.WAV"]
        assert [path for path, _ in files] == [tmp_path / source for _, source in files]
        assert [(s.source, s.ignored) for s in skipped] == [("a/notes.txt", True), ("none", True)]
        assert skipped[0].reason == "not an audio file (.txt)"

    def test_hidden_files_and_folders(self, tmp_path: Path) -> None:
        self.touch(tmp_path, "a.wav", "._a.wav", ".trash/b.wav", "sub/._c.wav")
        files, skipped = find_files(tmp_path)
        assert [s for _, s in files] == ["a.wav"]
        assert [(s.source, s.reason) for s in skipped] == [
            ("._a.wav", "hidden"),
            (".trash", "hidden"),
            ("sub/._c.wav", "hidden"),
        ]

    @pytest.mark.parametrize(
        ("include", "exclude", "expected"),
        [
            (("strings/*.wav",), (), ["strings/a.wav", "strings/low/b.wav"]),
            ("*.flac", (), ["d.flac"]),
            (("b.wav",), (), ["strings/low/b.wav"]),
            (("strings",), ("low", "strings/low"), ["strings/a.wav"]),
            ((), ("./strings/",), ["c.wav", "d.flac"]),
            (("*.wav", "*.flac"), ("*/low/*",), ["c.wav", "d.flac", "strings/a.wav"]),
            (("[cd].*",), ("*.FLAC",), ["c.wav", "d.flac"]),
        ],
    )
    def test_patterns(
        self,
        tmp_path: Path,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
        expected: list[str],
    ) -> None:
        self.touch(tmp_path, "strings/a.wav", "strings/low/b.wav", "c.wav", "d.flac")
        files, skipped = find_files(tmp_path, include, exclude)
        assert [s for _, s in files] == expected
        assert all(s.ignored and "pattern" in s.reason for s in skipped)
        assert len(files) + len(skipped) == 4

    def test_one_file_is_taken_whatever_its_name(self, tmp_path: Path) -> None:
        self.touch(tmp_path, ".odd.name")
        path = tmp_path / ".odd.name"
        assert find_files(path, "*.wav") == ([(path, ".odd.name")], [])

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match="no such file or folder"):
            find_files(tmp_path / "absent")

    @posix
    def test_linked_files_and_folders_are_read(self, tmp_path: Path) -> None:
        self.touch(tmp_path, "rec/real/a.wav", "else/b.wav", "else/deep/c.wav")
        (tmp_path / "rec" / "link.wav").symlink_to(tmp_path / "else" / "b.wav")
        (tmp_path / "rec" / "a_link").symlink_to(tmp_path / "rec" / "real")
        (tmp_path / "rec" / "else").symlink_to(tmp_path / "else")
        expected = ["else/b.wav", "else/deep/c.wav", "link.wav", "real/a.wav"]
        assert self.names(tmp_path / "rec") == expected

    @posix
    def test_link_loops(self, tmp_path: Path) -> None:
        self.touch(tmp_path, "rec/a.wav", "rec/sub/b.wav", "outside.wav", "else/c.wav")
        (tmp_path / "rec" / "loop").symlink_to(tmp_path / "rec")
        (tmp_path / "rec" / "sub" / "up").symlink_to(tmp_path)
        (tmp_path / "rec" / "self.wav").symlink_to(tmp_path / "rec" / "self.wav")
        (tmp_path / "rec" / "else").symlink_to(tmp_path / "else")
        (tmp_path / "else" / "back").symlink_to(tmp_path / "rec")
        files, skipped = find_files(tmp_path / "rec")
        assert [s for _, s in files] == ["a.wav", "else/c.wav", "sub/b.wav"]
        assert [s.source for s in skipped] == ["else/back", "loop", "self.wav", "sub/up"]
        assert [s.source for s in skipped if not s.ignored] == ["self.wav"]

    @posix
    def test_what_cannot_be_opened_is_a_failure(self, tmp_path: Path) -> None:
        (tmp_path / "broken.wav").symlink_to(tmp_path / "absent.wav")
        os.mkfifo(tmp_path / "pipe.wav")
        (tmp_path / "folder.wav").mkdir()
        files, skipped = find_files(tmp_path)
        assert files == []
        assert [(s.source, s.reason, s.ignored) for s in skipped] == [
            ("broken.wav", "a link to a file that does not exist", False),
            ("pipe.wav", "not a regular file", False),
        ]


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


class TestParallel:
    def test_processes_give_the_same_and_one_bad_file_stops_none(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "bad.wav").write_text("no audio")
        monkeypatch.setattr(parallel, "WORKERS_START_S", -1.0)
        calls: list[tuple[str, int, int]] = []
        stores = [DescriptorStore(tmp_path / name) for name in ("one", "two")]
        alone = open_corpus(folder, CONFIG, stores[0], jobs=1)
        with reporting(lambda *call: calls.append(call)):
            together = open_corpus(folder, CONFIG, stores[1], jobs=2)
        assert together.digest == alone.digest
        assert together.n_extracted == 3
        assert together.skipped == alone.skipped
        assert calls[-4:] == [("extract", i, 4) for i in range(1, 5)]
        for one, other in zip(together.sequences, alone.sequences, strict=True):
            np.testing.assert_array_equal(one.values, other.values)

    def test_little_work_starts_no_processes(
        self, folder: Path, store: DescriptorStore, extracted: list[str]
    ) -> None:
        open_corpus(folder, CONFIG, store, jobs=2)
        assert len(extracted) == 3  # counted here, so done here

    def test_a_process_that_dies_takes_one_file_with_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parallel, "WORKERS_START_S", -1.0)

        def crash(task: Task) -> Outcome:
            if task.digest == "2":
                os._exit(1)
            return Outcome(task)

        tasks = [Task(Path("x.wav"), f"{i}.wav", str(i)) for i in range(5)]
        outcomes = list(run_tasks(crash, tasks, 2))
        assert sorted(outcome.task.digest for outcome in outcomes) == ["0", "1", "2", "3", "4"]
        reasons = {o.task.digest: o.reason for o in outcomes if o.reason}
        assert list(reasons) == ["2"]
        assert "died" in reasons["2"]
        again = list(run_tasks(Outcome, tasks, 2))
        assert len(again) == 5, "later work finds workers again"


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

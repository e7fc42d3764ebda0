"""The manifest: digests of files by their state, and failures."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import desc
from desc import audio
from desc.errors import AudioError
from desc.progress import reporting
from desc.storage import DescriptorStore
from desc.storage import manifest as manifest_module
from desc.storage.manifest import FileState, Manifest
from tests.storage.conftest import CONFIG, OLD, sequence_of


class TestDigests:
    def test_a_file_is_read_once(
        self, store: DescriptorStore, make_wav: Callable[..., Path], hashed: list[str]
    ) -> None:
        path = make_wav("a.wav", duration_s=0.1)
        first = store.digest(path)
        assert (store.digest(path), DescriptorStore(store.cache_dir).digest(path)) == (first, first)
        assert hashed == ["a.wav"]

    def test_a_moved_file_is_read_and_has_the_same_digest(
        self, store: DescriptorStore, make_wav: Callable[..., Path], hashed: list[str]
    ) -> None:
        path = make_wav("a.wav", duration_s=0.1)
        digest = store.digest(path)
        path.rename(path.with_name("b.wav"))
        assert store.digest(path.with_name("b.wav")) == digest
        assert hashed == ["a.wav", "b.wav"]

    def test_a_change_at_once_with_the_same_length_is_noticed(
        self, store: DescriptorStore, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.wav"
        digests = set()
        for content in (b"one", b"two", b"six"):
            path.write_bytes(content)
            digests.add(store.digest(path))
        assert len(digests) == 3

    def test_times_in_whole_seconds_are_trusted_when_they_are_old(
        self, store: DescriptorStore, tmp_path: Path, hashed: list[str]
    ) -> None:
        path = tmp_path / "a.wav"
        for seconds, n_read in ((int(time.time()), 2), (OLD, 1)):
            path.write_bytes(b"x")
            os.utime(path, (seconds, seconds))
            hashed.clear()
            store.digest(path)
            store.digest(path)
            assert len(hashed) == n_read

    @pytest.mark.skipif(sys.platform == "win32", reason="has no time of change")
    def test_another_file_of_the_same_size_and_time_is_read(
        self, store: DescriptorStore, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.wav"
        digests = []
        for content in (b"one", b"two"):
            path.write_bytes(content)
            os.utime(path, (OLD, OLD))
            digests.append(store.digest(path))
        assert digests[0] != digests[1]

    def test_a_file_that_grows_meanwhile_is_refused(
        self, store: DescriptorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(b"x")

        def slow(path: Path) -> str:
            with path.open("ab") as file:
                file.write(b"more")
            return "0" * 32

        monkeypatch.setattr(manifest_module.audio, "content_digest", slow)
        with pytest.raises(AudioError, match="changed while it was read"):
            store.digest(path)

    def test_an_absent_file_is_named(self, store: DescriptorStore, tmp_path: Path) -> None:
        with pytest.raises(AudioError, match=r"no\.wav"):
            store.digest(tmp_path / "no.wav")

    @pytest.mark.parametrize("jobs", [1, 4, -1])
    def test_many_files(self, store: DescriptorStore, tmp_path: Path, jobs: int) -> None:
        paths = [tmp_path / f"{i % 9}.wav" for i in range(12)]
        for i in range(9):
            paths[i].write_bytes(bytes([i]))
        calls: list[tuple[str, int, int]] = []
        paths.append(tmp_path / "absent.wav")
        with reporting(lambda *call: calls.append(call)):
            digests = store.identify(paths, jobs=jobs)
        assert digests[:12] == [audio.content_digest(path) for path in paths[:12]]
        assert isinstance(digests[12], AudioError)
        assert calls == [("identify", i + 1, 9) for i in range(9)]

    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="needs names that are no text")
    def test_names_that_are_no_text(self, store: DescriptorStore, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"caf\xe9.wav")
        path.write_bytes(b"x")
        assert store.digest(path) == store.digest(path)
        assert next(iter(store.manifest.all_files())).path.endswith(b"caf\xe9.wav")


class TestManifest:
    @pytest.mark.parametrize("damage", ["garbage", "cut", "middle", "empty", "version"])
    def test_a_damaged_one_is_begun_anew(
        self, store: DescriptorStore, tmp_path: Path, damage: str
    ) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(b"x")
        digest = store.digest(path)
        store.save(sequence_of())
        manifest = store.manifest.path
        content = manifest.read_bytes()
        if damage == "version":
            connection = sqlite3.connect(manifest)
            connection.execute("PRAGMA user_version = 99")
            connection.close()
        else:
            damaged = {
                "garbage": b"no database " * 1000,
                "cut": content[: len(content) // 2 - 100],
                "middle": content[:4096] + b"\xff" * (len(content) - 4096),
                "empty": b"",
            }
            manifest.write_bytes(damaged[damage])
        assert store.digest(path) == digest
        assert Manifest(manifest).digests([FileState.of(path)]) == {FileState.of(path): digest}
        assert store.load(sequence_of().digest, CONFIG, "x") is not None

    def test_one_that_cannot_be_opened_costs_only_time(
        self, store: DescriptorStore, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(b"x")
        store.manifest.path.mkdir(parents=True)
        assert store.digest(path) == audio.content_digest(path)
        assert store.failures() == {}

    def test_a_locked_one_is_waited_for_once(
        self,
        store: DescriptorStore,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(b"x")
        store.digest(path)
        monkeypatch.setattr(manifest_module, "TIMEOUT_S", 0.05)
        with closing(sqlite3.connect(store.manifest.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            for _ in range(3):
                digest = DescriptorStore(store.cache_dir).digest(path)
                assert digest == audio.content_digest(path)
        (line,) = caplog.messages
        assert line.startswith(f"{store.manifest.path}: locked by another process for 0.05 s")

    def test_more_files_than_a_statement_takes(self, tmp_path: Path) -> None:
        manifest = Manifest(tmp_path / "m.sqlite")
        files = {FileState(b"/%d" % i, i, i, i): f"{i:032x}" for i in range(1200)}
        manifest.remember(files)
        assert manifest.digests(files) == files == manifest.all_files()

    def test_failures_hold_for_one_decoder(
        self, store: DescriptorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.remember_failures({"d": "no audio"})
        store.remember_failures({"e": "cut short"})
        assert DescriptorStore(store.cache_dir).failures() == {"d": "no audio", "e": "cut short"}
        monkeypatch.setattr(desc, "__version__", "another")
        assert store.failures() == {}

    @pytest.mark.parametrize("content", ["", "[]", '{"decoder": 1}', "\udcff"])
    def test_damaged_failures_are_forgotten(self, store: DescriptorStore, content: str) -> None:
        store.remember_failures({"d": "no audio"})
        (path,) = store.cache_dir.glob("failures*")
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        assert store.failures() == {}
        store.remember_failures({"e": "cut short"})
        assert store.failures() == {"e": "cut short"}

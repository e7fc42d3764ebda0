"""Files of a folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from desc.corpus import find_files
from desc.errors import CorpusError

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file systems")


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

    @pytest.mark.parametrize(
        ("include", "expected"),
        [
            (("low/*.wav",), ["strings/low/b.wav"]),  # relative to its own folder
            (("strings/low/*.wav",), ["strings/low/b.wav"]),  # to the one that holds all
            (("strings",), ["strings/a.wav", "strings/low/b.wav"]),
            (("c.wav",), ["winds/c.wav"]),
        ],
    )
    def test_patterns_of_several_folders(
        self, tmp_path: Path, include: tuple[str, ...], expected: list[str]
    ) -> None:
        self.touch(tmp_path, "strings/a.wav", "strings/low/b.wav", "winds/c.wav")
        folders = [tmp_path / "strings", tmp_path / "winds"]
        files, skipped = find_files(folders, include)
        assert [s for _, s in files] == expected
        rest, _ = find_files(folders, exclude=include)
        assert sorted([s for _, s in rest] + expected) == sorted(
            [s for _, s in files] + [s.source for s in skipped]
        )

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

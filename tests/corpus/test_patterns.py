"""Patterns of `--include` and `--exclude`: names with brackets, accents, lists, several folders."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from desc.commands.main import build_parser
from desc.commands.parser import UsageError
from desc.corpus import find_files, open_corpus
from desc.corpus.discovery import common_root
from desc.errors import CorpusError
from desc.storage import DescriptorStore


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of empty files."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / "sounds" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "sounds"

    return make


def found(path: object, **patterns: object) -> list[str]:
    return [source for _, source in find_files(path, **patterns)[0]]  # type: ignore[arg-type]


def test_a_name_with_brackets_stands_for_itself(folder: Callable[..., Path]) -> None:
    root = folder("My Song [dQw4].wav", "kick 0.wav", "kick [01].wav", "snare.wav")
    assert found(root, include="kick [01].wav") == ["kick [01].wav"]
    assert found(root, include="kick [0-9].wav") == ["kick 0.wav"]
    assert "My Song [dQw4].wav" not in found(root, exclude="My Song [dQw4].wav")
    assert found(root, include=["kick [01].wav", "kick*"]) == ["kick 0.wav", "kick [01].wav"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_and_decomposed_letters_are_equal(folder: Callable[..., Path], form: str) -> None:
    name = unicodedata.normalize("NFD", "Größe/é.wav")
    root = folder(name, "o.wav")
    for pattern in ("Größe/é.wav", "é.wav", "Größe", "*é*"):
        assert found(root, include=unicodedata.normalize(form, pattern)) == [name]  # type: ignore


def test_a_pattern_that_matches_nothing_is_told(
    folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = folder("kick.wav", "bells/low.wav", "notes.txt")
    with caplog.at_level(logging.WARNING, "desc"):
        find_files(root, include=["kick*", "kick.wav", "bells"], exclude=["kcik*", "notes.txt"])
    assert [record.getMessage() for record in caplog.records] == ["exclude='kcik*' matches no file"]


@pytest.mark.parametrize("folders", [["."], ["bells", "drums"]])
def test_a_pattern_that_matches_hidden_files_only_is_told(
    folder: Callable[..., Path], caplog: pytest.LogCaptureFixture, folders: list[str]
) -> None:
    root = folder("drums/kick.wav", "bells/.b.wav")
    with caplog.at_level(logging.WARNING, "desc"):
        find_files([root / name for name in folders], include=[".b.wav", "bells/.b.wav", "kick*"])
    assert [record.getMessage() for record in caplog.records] == [
        "include='.b.wav' matches no file",
        "include='bells/.b.wav' matches no file",
    ]


def test_several_folders_have_one_root_and_distinct_names(folder: Callable[..., Path]) -> None:
    root = folder("a/x.wav", "b/deep/x.wav", "b/deep/y.wav", "c/x.wav")
    assert found([root / "a", root / "b"]) == ["a/x.wav", "b/deep/x.wav", "b/deep/y.wav"]
    assert common_root([root / "a", root / "b"]) == root
    assert found([root, root / "a"]) == found(root)  # each file once
    assert found([root / "a", root / "c/x.wav"]) == ["a/x.wav", "c/x.wav"]
    # Patterns are compared with the path in the folder that was given.
    assert found([root / "a", root / "b"], include="deep/x.wav") == ["b/deep/x.wav"]
    with pytest.raises(CorpusError, match=r"nowhere: no such file or folder"):
        find_files([root, root / "nowhere"])


def test_a_corpus_of_several_folders(make_wav: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("a/x.wav", "b/x.wav"):
        (tmp_path / name).parent.mkdir()
        make_wav(name, duration_s=0.5)
    corpus = open_corpus(
        [tmp_path / "a", tmp_path / "b"], store=DescriptorStore(tmp_path / "cache"), jobs=1
    )
    assert [s.source for s in corpus.sequences] == ["a/x.wav", "b/x.wav"]
    assert all(corpus.path(s.source).is_file() for s in corpus.sequences)


def test_patterns_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\ufeffa [1].wav\n\n  \nstrings/*\r\n", "utf-8")
    parser = build_parser("extract")
    words = ["extract", "--audio_db_dir", "x", "y", "--include", "z.wav"]
    args = parser.parse_args([*words, "--include_from", str(tmp_path / "list.txt")])
    assert args.include == ["z.wav", "a [1].wav", "strings/*"]
    assert args.audio_db_dir == ["x", "y"]
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for name, reason in (
        ("nowhere.txt", "No such file"),
        ("empty.txt", "is empty"),
        ("binary.txt", "not a text in UTF-8"),
    ):
        with pytest.raises(UsageError, match=reason):
            parser.parse_args([*words, "--include_from", str(tmp_path / name)])

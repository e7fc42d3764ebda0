"""Patterns that choose files by their path."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from fnmatch import translate
from pathlib import PurePosixPath

Patterns = str | Sequence[str]


class PatternSet:
    """Patterns as given to `--include` or `--exclude`, for the paths of some folders.

    A pattern that equals a path, a folder on it or a file's name stands for just that, whatever
    its brackets mean. Any other is a pattern of `fnmatch`, in which `*` also matches slashes;
    `strings` stands for all that is in this folder. Case matters; composed and decomposed letters
    (é as one character or two) are equal.

    Parameters
    ----------
    patterns : str or sequence of str
    sources : iterable of str
        All paths, relative to their folder, with forward slashes.
    """

    def __init__(self, patterns: Patterns, sources: Iterable[str]) -> None:
        given = (patterns,) if isinstance(patterns, str) else patterns
        self._given = {_normal(_slashed(pattern)): pattern for pattern in given}
        self._names = {source: _names(source) for source in sources} if self._given else {}
        equal = {name for names in self._names.values() for name in names if name in self._given}
        self._globs = {
            text: re.compile(translate(text)).match for text in self._given if text not in equal
        }

    def __bool__(self) -> bool:
        return bool(self._given)

    def matching(self, source: str) -> str | None:
        """Return the first pattern that matches one of the paths, or None."""
        names = self._names.get(source, ())
        for name in names:
            if name in self._given and name not in self._globs:
                return self._given[name]
        for text, matches in self._globs.items():
            if any(matches(name) for name in names):
                return self._given[text]
        return None

    def unused(self) -> list[str]:
        """Return the patterns that match none of the paths."""
        return [
            self._given[text]
            for text, matches in self._globs.items()
            if not any(matches(name) for names in self._names.values() for name in names)
        ]


def _names(source: str) -> tuple[str, ...]:
    path = PurePosixPath(_normal(source))
    return (str(path), *(str(folder) for folder in path.parents[:-1]), path.name)


def _slashed(pattern: str) -> str:
    return pattern.replace(os.sep, "/").removeprefix("./").rstrip("/")


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)

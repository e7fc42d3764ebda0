"""Recordings of a folder, and the files that are none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from desc.audio import AUDIO_EXTENSIONS
from desc.errors import CorpusError

Patterns = str | Sequence[str]


@dataclass(frozen=True)
class SkippedFile:
    """A file that is not used.

    Attributes
    ----------
    source : str
        Path relative to the folder, with forward slashes.
    reason : str
        Reason for skipping it.
    ignored : bool
        Whether it is skipped by design: not an audio file, hidden, or excluded by the patterns.
    """

    source: str
    reason: str
    ignored: bool = False


def find_files(
    path: str | Path,
    include: Patterns = (),
    exclude: Patterns = (),
    *,
    extensions: frozenset[str] = AUDIO_EXTENSIONS,
) -> tuple[list[tuple[Path, str]], list[SkippedFile]]:
    """Find the recordings of a folder and of the folders in it.

    Links to files and folders are followed; a folder that several links lead to is read once,
    under its own name where it lies inside.

    Parameters
    ----------
    path : path
        A folder. Or one file, which is taken whatever its name.
    include, exclude : str or sequence of str
        Patterns such as `strings/*.wav`; `*` also matches slashes. A pattern is compared with
        the path relative to the folder, with the folders on that path (`strings` stands for all
        that is in it) and, where it holds no slash, with the file's name. Case matters.
    extensions : frozenset of str
        Endings of names, lower case.

    Returns
    -------
    files : list of (Path, str)
        Path and source (path relative to the folder, with forward slashes), sorted by source.
    skipped : list of SkippedFile
        Everything else, sorted by source.

    Raises
    ------
    CorpusError
        If there is nothing at `path`.
    """
    root = Path(os.path.abspath(path))
    if root.is_file():
        return [(root, root.name)], []
    if not root.is_dir():
        raise CorpusError(f"{path}: no such file or folder")
    files: list[tuple[Path, str]] = []
    skipped: list[SkippedFile] = []
    for source, reason in _walk(root):
        refused = reason or _refusal(source, _patterns(include), _patterns(exclude), extensions)
        if refused:
            skipped.append(refused)
            continue
        found = root / source
        problem = _problem(found)
        if problem:
            skipped.append(SkippedFile(_printable(source), problem))
        else:
            files.append((found, source))
    return sorted(files, key=lambda f: f[1]), sorted(skipped, key=lambda s: s.source)


def _walk(root: Path) -> Iterator[tuple[str, SkippedFile | None]]:
    """Yield the relative path of every file, with the reason if it is skipped.

    Linked folders are read last, so that the folders inside keep their own names.
    """
    visited: set[tuple[int, int]] = set()
    folders, linked = [""], list[str]()
    while folders or linked:
        folder = folders.pop() if folders else linked.pop(0)
        try:
            status = os.stat(root / folder)
            key = (status.st_dev, status.st_ino)
            if key in visited or (folder and _leads_back(root / folder)):
                reason = "a link to a folder already read, or to a parent folder"
                yield folder, SkippedFile(folder, reason, ignored=True)
                continue
            visited.add(key)
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            reason = f"a folder that cannot be read: {error.strerror or error}"
            yield folder, SkippedFile(folder or ".", reason)
            continue
        for entry in entries:
            source = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                yield source, SkippedFile(source, "hidden", ignored=True)
            elif entry.is_symlink():
                if os.path.isdir(entry.path):
                    linked.append(source)
                else:
                    yield source, None
            elif entry.is_dir(follow_symlinks=False):
                folders.append(source)
            else:
                yield source, None


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one of its own parents."""
    return os.path.islink(folder) and Path(os.path.realpath(folder.parent)).is_relative_to(
        os.path.realpath(folder)
    )


def _refusal(
    source: str, include: Sequence[str], exclude: Sequence[str], extensions: frozenset[str]
) -> SkippedFile | None:
    suffix = PurePosixPath(source).suffix
    if suffix.lower() not in extensions:
        reason = f"not an audio file ({suffix or 'no ending'})"
        return SkippedFile(source, reason, ignored=True)
    if include and not any(_matches(source, pattern) for pattern in include):
        return SkippedFile(source, "matches no include pattern", ignored=True)
    for pattern in exclude:
        if _matches(source, pattern):
            return SkippedFile(source, f"matches the exclude pattern {pattern}", ignored=True)
    return None


def _patterns(patterns: Patterns) -> Sequence[str]:
    return (patterns,) if isinstance(patterns, str) else patterns


def _matches(source: str, pattern: str) -> bool:
    path = PurePosixPath(source)
    pattern = pattern.replace(os.sep, "/").removeprefix("./").rstrip("/")
    names = [source, *(str(folder) for folder in path.parents[:-1])]
    if "/" not in pattern:
        names.append(path.name)
    return any(fnmatchcase(name, pattern) for name in names)


def _printable(name: str) -> str:
    """Return a name with bytes that are not UTF-8 shown as escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _problem(path: Path) -> str:
    """Return why a path is not a usable file, if so."""
    if _printable(str(path)) != str(path):
        return "its path is not valid UTF-8, which playlists are written in; rename it"
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "a link to a file that does not exist"
    except OSError as error:  # a link to itself, a folder that may be listed but not entered
        return error.strerror or str(error)
    return "" if stat.S_ISREG(mode) else "not a regular file"

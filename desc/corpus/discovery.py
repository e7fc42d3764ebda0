"""Recordings of a folder, and the files that are none."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path, PurePosixPath

from desc.audio import AUDIO_EXTENSIONS, FFMPEG_EXTENSIONS, NEEDS_FFMPEG, has_ffmpeg
from desc.corpus.patterns import Patterns, PatternSet
from desc.errors import CorpusError

logger = logging.getLogger(__name__)

Paths = str | Path | Sequence[str | Path]
SHOWN = 20  # skipped files named one by one; more are counted


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
    path: Paths,
    include: Patterns = (),
    exclude: Patterns = (),
    *,
    extensions: frozenset[str] = AUDIO_EXTENSIONS,
) -> tuple[list[tuple[Path, str]], list[SkippedFile]]:
    """Find the recordings of folders and of the folders in them.

    Links to files and folders are followed; a folder that several links lead to is read once,
    under its own name where it lies inside. A pattern that matches no file is told.

    Parameters
    ----------
    path : path or sequence of path
        A folder, or several. Or files, which are taken whatever their names.
    include, exclude : str or sequence of str
        Patterns such as `strings/*.wav`, see `PatternSet`. They are compared with the path relative
        to its folder and, of several folders, with that relative to the folder that holds all.
    extensions : frozenset of str
        Endings of names, lower case.

    Returns
    -------
    files : list of (Path, str)
        Path and source (path relative to `common_root(path)`, with forward slashes), sorted by
        source; of several folders each file once.
    skipped : list of SkippedFile
        Everything else, sorted by source.

    Raises
    ------
    CorpusError
        If there is nothing at a path.
    """
    root, given = common_root(path), absolute_paths(path)
    files = {one.relative_to(root).as_posix(): one for one in given if one.is_file()}
    skipped: dict[str, SkippedFile] = {}
    walked = [
        (folder / name, (folder / name).relative_to(root).as_posix(), name, reason)
        for folder in given
        if folder.is_dir()
        for name, reason in _walk(folder)
    ]
    usable = [(source, name) for _, source, name, reason in walked if reason is None]
    names = [name for _, name in usable] + [source for source, name in usable if source != name]
    chosen = PatternSet(include, names), PatternSet(exclude, names)
    for found, source, name, reason in walked:
        refused = reason or _refusal(source, name, *chosen, extensions)
        problem = "" if refused else _problem(found)
        if refused:
            skipped[source] = replace(refused, source=source)
        elif problem:
            skipped[source] = SkippedFile(_printable(source), problem)
        else:
            files[source] = found
    for option, patterns in zip(("include", "exclude"), chosen, strict=True):
        for pattern in patterns.unused() if walked else ():
            logger.warning("%s=%r matches no file", option, pattern)
    others = [one for source, one in skipped.items() if source not in files]
    return sorted(((f, s) for s, f in files.items()), key=itemgetter(1)), sorted(
        others, key=lambda one: one.source
    )


def common_root(path: Paths) -> Path:
    """Return the folder that sources are relative to.

    It is the folder itself, of a file its folder, and of several the folder that holds them all.

    Raises
    ------
    CorpusError
        If there is nothing at a path, or the folders lie on different drives.
    """
    folders = [one.parent if one.is_file() else one for one in absolute_paths(path)]
    for folder in folders:
        if not folder.is_dir():
            raise CorpusError(f"{folder}: no such file or folder")
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:  # Windows
        raise CorpusError(f"{', '.join(map(str, folders))}: must lie on one drive") from error


def label(path: Paths) -> str:
    """Return one or several paths as text."""
    return str(path) if isinstance(path, str | Path) else ", ".join(map(str, path))


def absolute_paths(path: Paths) -> list[Path]:
    """Return one or several paths as a list of absolute ones."""
    paths = [path] if isinstance(path, str | Path) else path
    return [Path(os.path.abspath(one)) for one in paths]


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
    source: str, name: str, include: PatternSet, exclude: PatternSet, extensions: frozenset[str]
) -> SkippedFile | None:
    names = dict.fromkeys((source, name))
    included, excluded = (
        next(filter(None, map(chosen.matching, names)), None) for chosen in (include, exclude)
    )
    suffix = PurePosixPath(source).suffix
    if suffix.lower() not in extensions:
        reason = f"not an audio file ({suffix or 'no ending'})"
        return SkippedFile(source, reason, ignored=True)
    if include and included is None:
        return SkippedFile(source, "matches no include pattern", ignored=True)
    if excluded is not None:
        return SkippedFile(source, f"matches the exclude pattern {excluded}", ignored=True)
    if suffix.lower() in FFMPEG_EXTENSIONS and not has_ffmpeg():
        return SkippedFile(source, f"{suffix} sound: {NEEDS_FFMPEG}")
    return None


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


def log_skipped(names: str, skipped: Sequence[SkippedFile]) -> None:
    """Log the skipped files of folders with these names, each with its reason."""
    if not skipped:
        return
    logger.info(f"{names}: {len(skipped)} skipped:")
    for file in skipped[:SHOWN]:
        logger.info(f"  {file.source}: {file.reason}")
    if len(skipped) > SHOWN:
        logger.info(f"  … and {len(skipped) - SHOWN} more")

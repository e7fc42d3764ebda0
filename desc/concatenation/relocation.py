"""Source files that were moved or renamed, found by content."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from desc.concatenation.playlist import Playlist
from desc.corpus.discovery import find_files
from desc.errors import DescError
from desc.progress import reporting
from desc.storage import DescriptorStore

logger = logging.getLogger(__name__)

RELOCATED = "relocated"
"""The root of the files that were found again."""

File = tuple[str, str]
"""Root and source."""


def relocated(
    playlist: Playlist,
    folder: str | Path,
    *,
    store: DescriptorStore | None = None,
    roots: Mapping[str, str | Path] | None = None,
) -> Playlist:
    """Return the playlist with missing or changed files replaced by those of equal content.

    The folder is searched until every content is found, files of the same names first. Files at
    their place with the right content stay as they are.

    Parameters
    ----------
    playlist : Playlist
        Events without a digest stay unchanged.
    folder : path
        Folder to search, with its subfolders.
    store : DescriptorStore, optional
        Knows the digests of files that were read before; by default the default cache.
    roots : mapping of str to path, optional
        Folders of the sources; by default the playlist's own.

    Raises
    ------
    DescError
        If a file is missing and its content is not in the folder.
    CorpusError
        If there is no such folder.
    """
    store = store or DescriptorStore()
    roots = playlist.roots if roots is None else roots
    wanted = {
        file: digest
        for file, digest in _digests(playlist).items()
        if not _is_in_place(file, digest, roots, store)
    }
    folder = os.path.abspath(folder)
    found = _search(set(wanted.values()), {_name(source) for _, source in wanted}, folder, store)
    places = {file: found[digest] for file, digest in wanted.items() if digest in found}
    gone = [f for f in wanted if f not in places and not _path(f, roots).is_file()]
    if gone:
        raise DescError(
            f"{folder}: contains no copy of {len(gone)} of {len(wanted)} moved files; the first: "
            f"{gone[0][1]}"
        )
    logger.info(
        "%d of %d moved or changed files were found in %s", len(places), len(wanted), folder
    )
    events = tuple(
        replace(event, root=RELOCATED, source=places[event.root, event.source])
        if (event.root, event.source) in places
        else event
        for event in playlist.events
    )
    return replace(playlist, events=events, roots={**playlist.roots, RELOCATED: folder})


def _digests(playlist: Playlist) -> dict[File, str]:
    return {(e.root, e.source): e.digest for e in playlist.events if e.digest}


def _is_in_place(
    file: File, digest: str, roots: Mapping[str, str | Path], store: DescriptorStore
) -> bool:
    path = _path(file, roots)
    return path.is_file() and store.digest(path) == digest


def _path(file: File, roots: Mapping[str, str | Path]) -> Path:
    root, source = file
    return Path(roots.get(root, ""), source)


def _search(
    digests: set[str], names: set[str], folder: str, store: DescriptorStore
) -> dict[str, str]:
    """Return the source of each digest that is in the folder."""
    if not digests:
        return {}
    files, _ = find_files(folder)
    found: dict[str, str] = {}
    for path, source in sorted(files, key=lambda file: _name(file[1]) not in names):
        with reporting(None):  # files are read one by one, until all are found
            digest = store.identify([path])[0]
        if digest in digests:
            found.setdefault(str(digest), source)
        if len(found) == len(digests):
            break
    return found


def _name(source: str) -> str:
    return PurePosixPath(source).name

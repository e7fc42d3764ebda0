"""Source files that were moved or renamed, found by content."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from desc.concatenation.playlist import Playlist
from desc.corpus.discovery import find_files
from desc.errors import DescError
from desc.progress import reporting
from desc.storage import DescriptorStore

logger = logging.getLogger(__name__)

RELOCATED = "relocated"
"""The root of the files that were found again."""


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
    files = {(e.root, e.source): e.digest for e in playlist.events if e.digest}
    paths = {file: Path(roots.get(file[0], ""), file[1]) for file in files}
    wanted = {
        file: digest
        for file, digest in files.items()
        if not (os.path.isfile(paths[file]) and store.digest(paths[file]) == digest)
    }
    folder = os.path.abspath(folder)
    found = _search(set(wanted.values()), {paths[file].name for file in wanted}, folder, store)
    places = {file: found[digest] for file, digest in wanted.items() if digest in found}
    gone = [f for f in wanted if f not in places and not os.path.isfile(paths[f])]
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


def _search(
    digests: set[str], names: set[str], folder: str, store: DescriptorStore
) -> dict[str, str]:
    """Return the source of each digest that is in the folder."""
    if not digests:
        return {}
    files, _ = find_files(folder)
    found: dict[str, str] = {}
    for path, source in sorted(files, key=lambda file: file[0].name not in names):
        with reporting(None):  # files are read one by one, until all are found
            digest = store.identify([path])[0]
        if digest in digests:
            found.setdefault(str(digest), source)
        if len(found) == len(digests):
            break
    return found

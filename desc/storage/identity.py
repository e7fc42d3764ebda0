"""The digests of files, each read only where the manifest does not know it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from desc import audio
from desc.configuration import Progress
from desc.errors import AudioError
from desc.storage.manifest import FileState, Manifest

TICK_NS = 20_000_000
"""Times of files stand still for up to 16 ms, in which a change would not show."""
COARSE_TICK_NS = 2_000_000_000
"""The same on FAT, whose times are whole seconds."""


def identify(
    paths: Sequence[str | Path], manifest: Manifest, jobs: int, progress: Progress | None
) -> list[str | AudioError]:
    """Return the digest of each file, or why it cannot be read; see `DescriptorStore.identify`."""
    states = [_state(path) for path in paths]
    known = manifest.digests([state for state in states if isinstance(state, FileState)])
    results: dict[FileState, str | AudioError] = dict(known)
    unknown = {
        state: Path(path)
        for state, path in zip(states, paths, strict=True)
        if isinstance(state, FileState) and state not in known
    }
    found: dict[FileState, str] = {}
    try:
        for n_done, (state, result) in enumerate(_read_all(unknown, jobs), 1):
            results[state] = result
            if isinstance(result, str) and _is_settled(state):
                found[state] = result
            if progress is not None:
                progress("identify", n_done, len(unknown))
    finally:  # what was read before an interruption need not be read again
        manifest.remember(found)
    return [state if isinstance(state, AudioError) else results[state] for state in states]


def _state(path: str | Path) -> FileState | AudioError:
    try:
        return FileState.of(path)
    except OSError as error:
        return AudioError(f"{path}: {error.strerror or error}")


def _read_all(
    files: dict[FileState, Path], jobs: int
) -> Iterator[tuple[FileState, str | AudioError]]:
    if jobs == 1 or len(files) < 2:
        for state, path in files.items():
            yield state, _read(state, path)
        return
    # Threads: digests are computed without the interpreter's lock.
    with ThreadPoolExecutor(jobs if jobs > 0 else os.cpu_count()) as executor:
        futures = {executor.submit(_read, state, path): state for state, path in files.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _read(state: FileState, path: Path) -> str | AudioError:
    age = time.time_ns() - state.mtime_ns
    if 0 <= age < TICK_NS:
        time.sleep((TICK_NS - age) / 1e9)
    try:
        digest = audio.content_digest(path)
        if FileState.of(path) == state:
            return digest
        return AudioError(f"{path}: changed while it was read; try again when it is complete")
    except AudioError as error:
        return error
    except OSError as error:
        return AudioError(f"{path}: {error.strerror or error}")


def _is_settled(state: FileState) -> bool:
    """Whether a later change of the file would show in its time."""
    is_coarse = state.mtime_ns % 1_000_000_000 == 0
    return not (is_coarse and 0 <= time.time_ns() - state.mtime_ns < COARSE_TICK_NS)

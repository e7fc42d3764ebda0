"""Atomic file writes, temporary files, and readers whose errors name the file."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import socket
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desc.errors import DescError, StorageError

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_NPZ_BYTES = 1 << 28
"""Largest size of all arrays of an npz file that `read_npz` reads."""

_HOST = re.sub(r"\W|_", "", socket.gethostname())[:32]
_TOKEN = uuid.uuid4().hex[:8]
"""This process, also where an earlier one of this machine had the same number."""
_TEMPORARY = re.compile(r"\.(\w*)-(\d+)-(\w+)-\d+\.partial")
_counter = itertools.count()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, renamed to it on success and removed on failure.

    The temporary name keeps the suffix, by which some writers choose the format. The folder is made
    where it is missing, and removed on failure if it is empty.

    Raises
    ------
    StorageError
        If the folder cannot be made or the file cannot be put in place.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    made = [folder for folder in path.parents if not os.path.lexists(folder)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
        made = []
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # its folder may be no folder
            temporary.unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()


def temporary_beside(path: Path) -> Path:
    """Return a new name, of a file or folder, beside `path` that says which process made it.

    What dead processes left in this folder is removed.
    """
    _remove_abandoned(path.parent)
    name = f".{_HOST}-{os.getpid()}-{_TOKEN}-{next(_counter)}.partial{path.suffix}"
    return path.with_name(name)


def is_abandoned(name: str) -> bool:
    """Whether a file name is of `temporary_beside`, in a process of this machine that has ended."""
    match = _TEMPORARY.match(name)
    if not match or match[1] != _HOST:
        return False
    pid = int(match[2])
    return match[3] != _TOKEN if pid == os.getpid() else not _is_running(pid)


@cache
def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders of dead processes, once for each folder."""
    with suppress(OSError):
        for path in (folder / name for name in filter(is_abandoned, os.listdir(folder))):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # where os.kill would end it
        import ctypes

        kernel = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
        handle = kernel.OpenProcess(0x1000, False, pid)
        kernel.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically, UTF-8 with LF line ends."""
    write_bytes(path, text.encode("utf-8"))


def read_json(path: str | Path, error: type[DescError] = StorageError) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    DescError
        Of the type `error`, naming the file, if it cannot be read, is no JSON, is nested too deeply
        or holds a text that is not valid Unicode.
    """
    try:
        text = Path(path).read_text("utf-8")
        content = json.loads(text)
        if "\\ud" in text.lower():  # half a surrogate pair could not be written again
            json.dumps(content, ensure_ascii=False).encode()
    except OSError as problem:
        raise error(f"{path}: {problem.strerror or problem}") from problem
    except (ValueError, RecursionError) as problem:
        raise error(f"{path}: no valid JSON, perhaps damaged: {problem}") from problem
    return content


def read_npz(path: str | Path, error: type[DescError]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an npz file of at most `MAX_NPZ_BYTES`; nothing is unpickled.

    Raises
    ------
    DescError
        Of the type `error`, naming the file, if it is missing, damaged or too large.
    """
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(member.file_size for member in archive.infolist())
        if n_bytes > MAX_NPZ_BYTES:
            raise ValueError(f"{n_bytes} bytes of arrays, of at most {MAX_NPZ_BYTES}")
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.asarray(stored[name]) for name in stored.files}
    except OSError as problem:
        raise error(f"{path}: {problem.strerror or problem}") from problem
    except Exception as problem:  # damage reaches several parsers
        raise error(f"{path}: damaged: {problem}") from problem


def write_json(path: str | Path, value: Any, *, indent: int | None = None) -> None:
    """Write a JSON file atomically; numbers must be finite."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False) + "\n")

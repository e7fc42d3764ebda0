"""Atomic file writes: under a temporary name, then renamed."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from desc.errors import DescError, StorageError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, renamed to it on success and removed on failure.

    The temporary name begins with a dot and keeps the suffix, by which some writers choose the
    format. The folder is made where it is missing.

    Raises
    ------
    StorageError
        If the folder cannot be made or the file cannot be put in place.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # its folder may be no folder
            temporary.unlink(missing_ok=True)


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
        raise error(f"{path}: no valid JSON: {problem}") from problem
    return content


def write_json(path: str | Path, value: Any, *, indent: int | None = None) -> None:
    """Write a JSON file atomically; numbers must be finite."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False) + "\n")

"""Whether a file here and a file on a W&B server are the same."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def _md5(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).digest()


def difference(path: Path, held: Mapping[str, Any]) -> str | None:
    """Return how a file differs from what a server says it holds, None where it does not.

    Parameters
    ----------
    held : mapping
        `md5`, base64 or 32 hex digits, and `size` in bytes. Where the server tells no md5, the
        size decides.
    """
    if not path.is_file():
        return "missing here"
    size = path.stat().st_size
    if int(held["size"]) != size:
        return f"{held['size']} bytes there, {size} here"
    digest = _md5(path)
    if held["md5"] and held["md5"] not in (digest.hex(), base64.b64encode(digest).decode()):
        return "another md5"
    return None


def differences(
    folder: Path, names: Iterable[str], held: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return `name: difference` for each file that a server does not hold as it is here."""
    found = {
        name: difference(folder / name, held[name]) if name in held else "not on the server"
        for name in names
    }
    return [f"{name}: {wrong}" for name, wrong in found.items() if wrong]

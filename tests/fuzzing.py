"""Damaged copies of a file for its reader: flipped bits, cuts, values no writer would write."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from desc.errors import DescError

SECONDS = float(os.environ.get("DESC_FUZZ_S", "0"))
"""How long each reader is fuzzed, if its `rounds` take less (`make fuzz` selects tests by `fuzz`
and `damage` in their names)."""
DEEP = 5000
TOKENS = [
    *(b"0", b"-1", b"1e999", b"NaN", b"null", b"true", b'""', b'"\\ud800"', b"{}", b"[]", b"1.5"),
    *(
        b"9" * 5000,
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b"\xff",
        b"\x00",
        b"\r",
        b",",
        b'"',
        b"10000000000",
    ),
]
VALUES: list[Any] = [
    *(0, -1, 1.5, 10**10, 2**63, 10**400, 1e308, float("nan"), float("inf"), True, None),
    *("", "a", "\ud800", "\x1b[2J\x07", "../" * 9, "a" * 300, [], {}, [[]], {"a": None}, [1e999]),
]


def fuzz(path: Path, read: Callable[[Path], object], rounds: int = 100) -> None:
    """Call a reader for damaged copies of a file; it may return, or raise a `DescError`.

    Parameters
    ----------
    path : Path
        A file that the reader accepts. It is overwritten, and restored in the end.
    read : callable
        Reads a file of this name. A `DescError` must name it.
    rounds : int
        Number of copies. Copy number `seed` is `damaged(content, seed)`, so a failure can be
        repeated from its message.
    """
    whole = path.read_bytes()
    read(path)
    end = time.monotonic() + SECONDS
    for seed in itertools.count():
        if seed >= rounds and time.monotonic() >= end:
            break
        path.write_bytes(damaged(whole, seed))
        problem = _outcome(path, read)
        assert not problem, f"seed {seed}: {problem}"
    path.write_bytes(whole)


def _outcome(path: Path, read: Callable[[Path], object]) -> str:
    """Return what is wrong with the reader's behaviour, if anything."""
    try:
        read(path)
    except DescError as error:
        return "" if path.name in str(error) else f"the file is not named: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    return ""


def damaged(content: bytes, seed: int) -> bytes:
    """Return a damaged copy of a file; in JSON and zip files, also with damaged values inside."""
    rng = random.Random(seed)
    kinds = [_bytes]
    if zipfile.is_zipfile(io.BytesIO(content)):
        kinds.append(_member)
    elif content.lstrip()[:1] in (b"{", b"["):
        kinds.append(_value)
    return rng.choice(kinds)(content, rng)


def _bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip a bit, cut, drop, repeat or overwrite a piece, or put in a strange token."""
    first = rng.randrange(len(content) + 1)
    last = min(len(content), first + rng.choice((1, 2, 8, 64, 1000)))
    before, piece, after = content[:first], content[first:last], content[last:]
    kind = rng.randrange(7)
    if kind < 2 and piece:
        return before + bytes([piece[0] ^ 1 << rng.randrange(8)]) + piece[1:] + after
    replacements = (
        b"",
        piece * 2,
        bytes(len(piece)),
        rng.randbytes(len(piece)),
        rng.choice(TOKENS),
    )
    return before if kind == 2 else before + replacements[kind - 2] + after


def _value(content: bytes, rng: random.Random) -> bytes:
    """Replace or remove a random value of a JSON file."""
    tree = json.loads(content)
    node, steps = tree, rng.randrange(1, 5)
    for step in range(steps):
        keys = list(node) if isinstance(node, dict) else range(len(node))
        if not keys:
            break
        key = rng.choice(keys)
        if step < steps - 1 and isinstance(node[key], (dict, list)):
            node = node[key]
            continue
        if rng.random() < 0.2:
            del node[key]
        else:
            node[key] = rng.choice(VALUES)
        break
    return json.dumps(tree).encode()


def _member(content: bytes, rng: random.Random) -> bytes:
    """Damage the content of a member of a zip file, with a checksum that fits."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    members[name] = _bytes(members[name], rng)
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return result.getvalue()

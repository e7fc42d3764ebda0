"""Self-contained HTML pages: template, style, scripts and data in one file.

External text, such as file names, is stored as JSON, and the scripts put it into text nodes. A
content security policy blocks all requests and all other scripts.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

_HIDDEN = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src '{script}'; base-uri 'none'; form-action 'none'{more}"
)


def template(name: str, package: str = "desc.report") -> str:
    """Read a template."""
    return files(package).joinpath("templates", name).read_text(encoding="utf-8")


def fill(page: str, *, title: str, scripts: Sequence[str], data: Any, policy: str = "") -> str:
    """Fill a page with its title, style, scripts and data.

    Parameters
    ----------
    page : str
        HTML with `{{head}}`, which holds policy, title and style, `{{data}}` and `{{script}}`.
    title : str
        Any text.
    scripts : sequence of str
        JavaScript, run in this order in one scope.
    data : object
        JSON values, read by `readData()`.
    policy : str
        Additions to the content security policy.
    """
    script = '(() => {\n"use strict";\n' + "\n".join(scripts) + "\n})();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character, escape in _HIDDEN.items():
        text = text.replace(character, escape)
    parts = {
        "policy": html.escape(_POLICY.format(script=f"sha256-{digest}", more=policy)),
        "title": html.escape(title),
        "style": template("style.css"),
        "script": script,
        "data": text,
    }
    whole = page.replace("{{head}}\n", template("head.html"))
    first, *pieces = whole.split("{{")
    filled = [first]
    for piece in pieces:
        name, rest = piece.split("}}", 1)
        filled += [parts[name], rest]
    return "".join(filled)


def packed(values: npt.ArrayLike, dtype: str) -> str:
    """Encode an array as base64 of its little-endian numbers."""
    return base64.b64encode(np.ascontiguousarray(values, np.dtype(dtype)).tobytes()).decode()


def quantised(values: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> str:
    """Quantise numbers between `low` and `high` (per last axis) to 16 bits, and pack them."""
    x, least = np.asarray(values, np.float64), np.asarray(low, np.float64)
    span = np.maximum(np.asarray(high, np.float64) - least, 1e-12)
    return packed(np.rint(np.clip((x - least) / span, 0, 1) * 65535), "<u2")


def plain(value: Any) -> str:
    """Format a setting or a figure for display."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)

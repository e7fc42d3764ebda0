"""The documents, their blocks of code and the calls of `desc` in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


def blocks(document: str, language: str) -> list[str]:
    """Return a document's code blocks of a language; '' stands for shell."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.finditer(r"^```([a-z]*)\n(.*?)^```$", text, flags=re.M | re.S)
    return [match[2] for match in found if match[1] == language]


def commands(document: str) -> list[list[str]]:
    """Return a document's calls of `desc` or its scripts, as words after `desc`.

    The brackets of what may be left out are taken away.
    """
    found = []
    for line in "\n".join(blocks(document, "")).splitlines():
        try:
            words = shlex.split(line.replace("[", "").replace("]", ""), comments=True)
        except ValueError:  # a playlist, a diagram
            continue
        if ">" in words:
            words = words[: words.index(">")]
        if words[:1] == ["desc"] and not words[1].startswith("--"):
            found.append(words[1:])
        elif words[:1] == ["python"] and words[1].startswith("desc/"):
            found.append([Path(words[1]).stem.removesuffix("_function"), *words[2:]])
    return found

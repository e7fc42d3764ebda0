"""mkdocs hooks: files from outside `docs/`, and the help of every command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from desc.commands.main import COMMANDS, build_parser

ROOT = Path(__file__).parents[1]
CONTRIBUTING = "CONTRIBUTING.md"
REPOSITORY = "https://github.com/buganart/descriptor-transformer/blob/main/"
PLACE = "<!-- the help of every command, written when the site is built -->"


def on_files(files: Files, config: Any) -> Files:
    """Add the pictures and the page of contributors, which lie beside `docs/`."""
    for path in (*sorted((ROOT / "_static").rglob("*.*")), ROOT / CONTRIBUTING):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Point to the pictures, and write the commands' help where a page asks for it."""
    text = markdown.replace("(../_static/", "(_static/").replace(
        f"(../{CONTRIBUTING}", f"({CONTRIBUTING}"
    )
    if page.file.src_uri == CONTRIBUTING:  # the only one whose links begin at the repository
        text = text.replace("](docs/", "](").replace("](README.md", f"]({REPOSITORY}README.md")
        text = text.replace("](CHANGELOG.md", f"]({REPOSITORY}CHANGELOG.md")
    return text.replace(PLACE, "\n".join(command_sections())) if PLACE in text else text


def command_sections() -> Iterator[str]:
    """Yield the lines of a section for each command, and for those below it."""
    for command in COMMANDS:
        (choices,) = _choices(build_parser(command))
        yield from _sections(choices[command], 2)


def _sections(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    yield from (f"{'#' * level} {parser.prog}", "", "```text", parser.format_help(), "```", "")
    for choices in _choices(parser):
        for below in choices.values():
            yield from _sections(below, level + 1)


def _choices(parser: argparse.ArgumentParser) -> Iterator[dict[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield dict(action.choices)

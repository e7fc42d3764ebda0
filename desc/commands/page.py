"""Opening a page in the browser, shared by the commands that make one."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from pathlib import Path

from desc.commands.console import Console


def add_open_option(parser: argparse._ActionsContainer) -> None:
    """Add `--open_page`."""
    parser.add_argument(
        "--open_page",
        action=argparse.BooleanOptionalAction,
        help="open the page in the browser [default: at a terminal on a machine with a screen]",
    )


def show_page(page: Path, args: argparse.Namespace, console: Console) -> None:
    """Print the address of a page, and open it if that is wanted."""
    if not page.is_file():  # it could not be written, which was told
        return
    address = page.resolve().as_uri()
    console.note(f"listen: {address}")
    wanted = args.open_page
    if wanted is None:
        wanted = sys.stdout.isatty() and has_screen() and not args.quiet
    if wanted and not webbrowser.open(address):
        console.note("no browser was found to open it")


def has_screen() -> bool:
    """Return whether a user sits at this machine, by its environment variables."""
    names = os.environ
    if "CI" in names or "SSH_CONNECTION" in names:
        return False
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(names.get("DISPLAY") or names.get("WAYLAND_DISPLAY"))

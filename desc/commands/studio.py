"""`desc studio`: the studio, a local page to compose with."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from desc.commands.console import Console
from desc.commands.options import (
    add_cache_option,
    add_options,
    add_switch,
    from_options,
)
from desc.configuration import RunConfig, check_integer
from desc.files import write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc studio`."""
    main = parser.add_argument_group("page")
    main.add_argument(
        "--studio_dir",
        default="studio",
        metavar="DIR",
        help="folder of the studio: takes, and sounds copied into it [default studio]",
    )
    main.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="N",
        help="port on 127.0.0.1 [default: any free port]",
    )
    add_switch(main, "--open_browser", "open the page in the browser", default=True)
    main.add_argument(
        "--make_launcher",
        action="store_true",
        help="write a file that starts the studio by a double click, and end",
    )
    add_cache_option(main)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("name",))


def run(args: argparse.Namespace) -> int:
    """Print the address of the studio, open it, and serve it until Ctrl-C."""
    config = from_options(RunConfig, args)
    check_integer("port", args.port, 0)
    with Console(args.quiet) as console:
        if args.make_launcher:
            console.result(str(write_launcher(Path(args.studio_dir), config)))
            return 0
        from desc.storage import DescriptorStore
        from desc.studio import LocalServer, StudioRoom

        room = StudioRoom(args.studio_dir, config, DescriptorStore(args.cache_dir))
        try:
            with LocalServer(room, args.port) as server:
                console.result(server.url)
                console.note("the studio runs in the browser; press Ctrl-C to end it")
                if args.open_browser:
                    import webbrowser

                    webbrowser.open(server.url)
                server.serve_forever()
        except KeyboardInterrupt:
            console.note("stopped; a training in progress goes on")
        finally:
            room.close()
    return 0


def write_launcher(studio_dir: Path, config: RunConfig, platform: str = sys.platform) -> Path:
    """Write a file that starts the studio by a double click; return its path.

    Parameters
    ----------
    studio_dir : Path
        Folder of the studio, into which the file goes.
    config : RunConfig
        Where runs are kept.
    platform : str
        As `sys.platform`: win32 gets a .bat file, darwin a .command file, others a .desktop file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    studio_dir = studio_dir.resolve()
    words = [sys.executable, "-m", "desc", "studio", "--studio_dir", str(studio_dir)]
    words += ["--experiment_dir", str(Path(config.experiment_dir).resolve())]
    words += ["--project", config.project]
    if platform == "win32":
        path = studio_dir / "desc studio.bat"
        text = (
            "@echo off\n" + " ".join(f'"{word.replace("%", "%%")}"' for word in words) + "\npause\n"
        )
    elif platform == "darwin":
        path, text = studio_dir / "desc studio.command", f"#!/bin/sh\n{shlex.join(words)}\n"
    else:
        path = studio_dir / "desc studio.desktop"
        command = " ".join('"' + _escaped(word) + '"' for word in words)
        text = f"[Desktop Entry]\nType=Application\nName=desc studio\nExec={command}\n"
        text += "Terminal=true\n"
    write_text(path, text)
    path.chmod(0o755)
    return path


def _escaped(word: str) -> str:
    """Return a word as a .desktop file quotes it: twice, as a string and as a command."""
    for character in '\\"`$':
        word = word.replace(character, "\\" + character)
    return word.replace("\\", "\\\\").replace("%", "%%")

"""What the commands that read a playlist share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from desc.commands.options import add_cache_option

if TYPE_CHECKING:
    from desc.concatenation import Playlist
    from desc.storage import DescriptorStore


def add_playlist_arguments(parser: argparse.ArgumentParser, written: str) -> None:
    """Add the playlist, where its sources are, and the file to write."""
    parser.add_argument("playlist", metavar="PLAYLIST.json", help="a playlist, edited or not")
    parser.add_argument("--output_path", required=True, metavar=written, help="file to write")
    parser.add_argument(
        "--audio_db_dir", "--audio_dir", metavar="DIR",
        help="folder of the source files [default: the one stored in the playlist]",
    )  # fmt: skip
    parser.add_argument(
        "--prediction_db_dir", metavar="DIR",
        help="folder of the recording, where its end goes first [default: likewise]",
    )  # fmt: skip
    parser.add_argument(
        "--relocate", metavar="FOLDER",
        help="look here, by content, for source files that are no longer where they were",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", action=argparse.BooleanOptionalAction, default=False,
        help="replace an existing file [default off]",
    )  # fmt: skip
    add_cache_option(parser)


def load_playlist(args: argparse.Namespace, store: DescriptorStore) -> Playlist:
    """Return the playlist of the options, its sources looked for where that was wanted.

    Raises
    ------
    OutputError
        If the file to write exists and may not be replaced.
    """
    from pathlib import Path

    from desc.concatenation import Playlist, relocated
    from desc.errors import OutputError

    if Path(args.output_path).exists() and not args.overwrite:
        raise OutputError(f"{args.output_path}: exists; choose another name, or give --overwrite")
    playlist = Playlist.load(args.playlist)
    if args.relocate is None:
        return playlist
    roots = playlist.resolved_roots(args.audio_db_dir, args.prediction_db_dir)
    return relocated(playlist, args.relocate, store=store, roots=roots)

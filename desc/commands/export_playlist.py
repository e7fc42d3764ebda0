"""`desc export-playlist`: a playlist in the format of another program."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import add_options, from_options
from desc.commands.playlists import add_playlist_arguments, load_playlist
from desc.configuration import RenderConfig
from desc.playlist_formats import FORMATS, export_playlist


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc export-playlist`."""
    add_playlist_arguments(parser, "FILE")
    parser.add_argument(
        "--format", required=True, choices=FORMATS,
        help="audacity: labels; reaper: a project with an item per unit; csv: a table; edl: cuts "
        "at 30 frames a second; midi: a note per unit, a note number per file",
    )  # fmt: skip
    others = [name for name in vars(RenderConfig()) if name not in ("align_ms", "channels")]
    group = parser.add_argument_group("as rendered (reaper)")
    add_options(group, RenderConfig, exclude=others)


def run(args: argparse.Namespace) -> int:
    """Export, and print where the file is."""
    config = from_options(RenderConfig, args)
    from desc.storage import DescriptorStore

    store = DescriptorStore(args.cache_dir)
    with Console(args.quiet) as console:
        playlist = load_playlist(args, store)
        export_playlist(
            playlist,
            args.output_path,
            args.format,
            store=store,
            source_root=args.audio_db_dir,
            recording_root=args.prediction_db_dir,
            config=config,
            note=console.note,
        )
        console.result(f"{args.output_path} ({len(playlist.events)} units)")
    return 0

"""`desc render` and `desc export-playlist`: a playlist as sound, or for another program."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from desc.commands.console import Console, counted
from desc.commands.options import (
    add_cache_option,
    add_options,
    add_switch,
    from_options,
    given_options,
)
from desc.configuration import MasterConfig, RenderConfig
from desc.errors import ConfigurationError, OutputError

if TYPE_CHECKING:
    from desc.concatenation import Playlist

EXPORT = "export-playlist"
DAWPROJECT = ".dawproject"
OUTPUT = ("file to write; its ending decides the format: .wav, .flac, .aiff, .ogg, .opus, .mp3",
          "file to write")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the sub-command that the parser is for."""
    exports = parser.prog.endswith(EXPORT)
    parser.add_argument(
        "playlist",
        metavar="PLAYLIST.json",
        help="a playlist, edited or not; an edited DAWproject (.dawproject), or edited "
        "labels of Audacity (.txt)",
    )
    for names, metavar, text in (
        (["--output_path"], "FILE" if exports else "NEW.wav", OUTPUT[exports]),
        (
            ["--original"],
            "PLAYLIST.json",
            "the playlist that was exported; needed for labels, and to find the files of a "
            "DAWproject in their folders",
        ),
        (
            ["--audio_db_dir", "--audio_dir"],
            "DIR",
            "folder of the source files [default: the one stored in the playlist]",
        ),
        (
            ["--prediction_db_dir"],
            "DIR",
            "folder of the recording, if the playlist begins with its end "
            "[default: the one stored in the playlist]",
        ),
        (
            ["--relocate"],
            "FOLDER",
            "folder to search, by content, for source files that have moved",
        ),
    ):
        required = names == ["--output_path"]
        parser.add_argument(*names, metavar=metavar, required=required, help=text)
    add_switch(parser, "--overwrite", "replace an existing file")
    add_cache_option(parser)
    add_switch(parser, "--allow_long", "accept playlists of more than 6 hours")
    if not exports:
        group = parser.add_argument_group("rendering")
        add_options(group, RenderConfig, exclude=["with_recording_s"])
        add_options(parser.add_argument_group("mastering"), MasterConfig)
        return
    from desc.playlist_formats import FORMATS, ExportConfig

    formats = parser.add_mutually_exclusive_group(required=True)
    formats.add_argument(
        "--format",
        choices=FORMATS,
        help="; ".join(f"{name}: {format.title}" for name, format in FORMATS.items()),
    )
    formats.add_argument(
        "--stems",
        dest="format",
        action="store_const",
        const="stems",
        help="the same as --format stems; --output_path is a folder",
    )
    add_options(parser.add_argument_group("projects (dawproject, reaper)"), ExportConfig)
    others = [name for name in vars(RenderConfig()) if name not in ("align_ms", "channels")]
    group = parser.add_argument_group("as rendered (dawproject, reaper, stems)")
    add_options(group, RenderConfig, exclude=others)


def run(args: argparse.Namespace) -> int:
    """Render or export, and print the path of the file."""
    rendering = from_options(RenderConfig, args)
    from desc.concatenation import Playlist, relocated, render_to_file
    from desc.playlist_formats import ExportConfig, export_playlist, read_playlist
    from desc.storage import DescriptorStore

    store = DescriptorStore(args.cache_dir)
    with Console(args.quiet) as console:
        if Path(args.output_path).exists() and not args.overwrite:
            raise OutputError(
                f"{args.output_path}: exists; choose another name, or give --overwrite"
            )
        original = Playlist.load(args.original) if args.original is not None else None
        playlist = read_playlist(args.playlist, original)
        placed = Path(args.playlist).suffix.lower() == DAWPROJECT
        if placed and "align_ms" not in given_options(RenderConfig, args):
            rendering = replace(rendering, align_ms=0.0)  # clips stay where they were put
        folders = {"source_root": args.audio_db_dir, "recording_root": args.prediction_db_dir}
        if args.relocate is not None:
            roots = playlist.resolved_roots(**folders)
            playlist = relocated(playlist, args.relocate, store=store, roots=roots)
        _check_output(args, playlist, playlist.resolved_roots(**folders))
        if args.command == EXPORT:
            n_units = export_playlist(
                playlist,
                args.output_path,
                args.format,
                store=store,
                rendering=rendering,
                settings=from_options(ExportConfig, args),
                matches=Path(args.original or args.playlist).with_name("matches.json"),
                allow_long=args.allow_long,
                **folders,
            )
            console.result(f"{args.output_path} ({counted(n_units, 'unit')})")
            return 0
        if "crossfade_ms" in given_options(RenderConfig, args):
            playlist = playlist.with_crossfade(rendering.crossfade_ms)
        result = render_to_file(
            playlist,
            args.output_path,
            store=store,
            rendering=rendering,
            mastering=from_options(MasterConfig, args),
            allow_long=args.allow_long,
            **folders,
        )
        turned = f", turned down by {-result.gain_db:.1f} dB" if result.gain_db <= -0.05 else ""
        if result.loudness is not None:
            turned = f", gain {result.gain_db:+.1f} dB, {result.loudness:.1f} LUFS"
        console.result(
            f"{result.path} ({result.n_samples / result.sample_rate:.1f} s, "
            f"peak {result.peak:.2f}{turned})"
        )
    return 0


def _check_output(
    args: argparse.Namespace, playlist: Playlist, roots: Mapping[str, str | Path]
) -> None:
    """Refuse to replace a file that is read: the playlist, its original or a source."""
    output, given = Path(args.output_path), filter(None, (args.playlist, args.original))
    events = [event for event in playlist.events if event.root in roots]
    sources = {Path(roots[event.root], event.source) for event in events}
    for file in (*map(Path, given), *sorted(sources)):
        if output.exists() and file.exists() and output.samefile(file):
            raise ConfigurationError(
                f"output_path={args.output_path!r} must be another file than {file}, which is read"
            )

"""`desc render`: a playlist again, with another crossfade or format, without predicting."""

from __future__ import annotations

import argparse
from pathlib import Path

from desc.commands.console import Console
from desc.commands.options import add_cache_option, add_options, from_options, given_options
from desc.configuration import RenderConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc render`."""
    parser.add_argument("playlist", metavar="PLAYLIST.json", help="a playlist, edited or not")
    parser.add_argument("--output_path", required=True, metavar="NEW.wav", help="file to write")
    parser.add_argument(
        "--audio_db_dir", "--audio_dir", metavar="DIR",
        help="folder of the source files [default: the one stored in the playlist]",
    )  # fmt: skip
    parser.add_argument(
        "--prediction_db_dir", metavar="DIR",
        help="folder of the recording, where its end goes first [default: likewise]",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", action=argparse.BooleanOptionalAction, default=False,
        help="replace an existing file [default off]",
    )  # fmt: skip
    add_cache_option(parser)
    add_options(parser.add_argument_group("rendering"), RenderConfig, exclude=["with_recording_s"])


def run(args: argparse.Namespace) -> int:
    """Render, and print where the WAV is."""
    config = from_options(RenderConfig, args)
    from desc.concatenation import Playlist, render
    from desc.errors import OutputError
    from desc.storage import DescriptorStore

    output_path = Path(args.output_path)
    if output_path.exists() and not args.overwrite:
        raise OutputError(f"{output_path}: exists; choose another name, or give --overwrite")
    with Console(args.quiet) as console:
        playlist = Playlist.load(args.playlist)
        if "crossfade_ms" in given_options(RenderConfig, args):
            playlist = playlist.with_crossfade(config.crossfade_ms)
        result = render(
            playlist,
            output_path,
            source_root=args.audio_db_dir,
            recording_root=args.prediction_db_dir,
            store=DescriptorStore(args.cache_dir),
            config=config,
            progress=console.progress,
            note=console.note,
        )
        turned = f", turned down by {-result.gain_db:.1f} dB" if result.gain_db else ""
        console.result(
            f"{result.path} ({result.n_samples / result.sample_rate:.1f} s, "
            f"peak {result.peak:.2f}{turned})"
        )
    return 0

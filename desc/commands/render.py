"""`desc render`: a playlist again, with another crossfade or format, without predicting."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import add_options, from_options, given_options
from desc.commands.playlists import add_playlist_arguments, load_playlist
from desc.configuration import RenderConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc render`."""
    add_playlist_arguments(parser, "NEW.wav")
    add_options(parser.add_argument_group("rendering"), RenderConfig, exclude=["with_recording_s"])


def run(args: argparse.Namespace) -> int:
    """Render, and print where the WAV is."""
    rendering = from_options(RenderConfig, args)
    from desc.concatenation import render_to_file
    from desc.storage import DescriptorStore

    store = DescriptorStore(args.cache_dir)
    with Console(args.quiet) as console:
        playlist = load_playlist(args, store)
        if "crossfade_ms" in given_options(RenderConfig, args):
            playlist = playlist.with_crossfade(rendering.crossfade_ms)
        result = render_to_file(
            playlist,
            args.output_path,
            source_root=args.audio_db_dir,
            recording_root=args.prediction_db_dir,
            store=store,
            rendering=rendering,
        )
        turned = f", turned down by {-result.gain_db:.1f} dB" if result.gain_db else ""
        console.result(
            f"{result.path} ({result.n_samples / result.sample_rate:.1f} s, "
            f"peak {result.peak:.2f}{turned})"
        )
    return 0

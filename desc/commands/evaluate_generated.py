"""`desc evaluate --generated`: evaluate a folder of generated sound."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from desc.commands.console import Console
from desc.commands.generate import add_vocoder_option
from desc.commands.options import from_options
from desc.configuration import RunConfig

if TYPE_CHECKING:
    from desc.soundgen.vocoder import Vocoder

RESULT = "generated.json"
DEFAULT_RATE = 44100

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the options that are for generated sound alone."""
    parser.add_argument(
        "--generated",
        metavar="DIR",
        help="evaluate a folder of generated sound instead of runs; audio_db_dir holds the "
        "recordings it was trained on",
    )
    add_vocoder_option(
        parser, "vocoder to evaluate by itself [default: that of the folder's manifest.csv]"
    )
    parser.add_argument(
        "--other_db_dir", metavar="DIR", help="other recordings, as a reference for --generated"
    )


def run(args: argparse.Namespace) -> int:
    """Print the tables and write the figures."""
    from desc.audio import probe
    from desc.corpus.discovery import find_files
    from desc.files import write_json
    from desc.soundgen.evaluation import evaluate_generated, lines
    from desc.soundgen.recordings import open_recordings
    from desc.soundgen.settings import MelConfig

    with Console(args.quiet) as console:
        vocoder = _vocoder(args)
        if vocoder is not None:
            mel = vocoder.mel
        else:
            found, _ = find_files(args.generated)
            mel = MelConfig(probe(found[0][0]).sample_rate if found else DEFAULT_RATE)
        rate = mel.sample_rate
        patterns = {"include": args.include, "exclude": args.exclude}
        result = evaluate_generated(
            open_recordings(args.generated, rate, exclude="merged_*"),
            open_recordings(args.audio_db_dir, rate, **patterns),
            mel,
            other=open_recordings(args.other_db_dir, rate) if args.other_db_dir else None,
            vocoder=vocoder,
        )
        path = Path(args.output_dir) / RESULT
        write_json(path, result.to_dict(), indent=1)
        for line in lines(result):
            console.result(line)
        console.note(f"written: {path}")
    return 0


def _vocoder(args: argparse.Namespace) -> Vocoder | None:
    """Return the named vocoder, or the one of the folder's manifest if it is found."""
    from desc.errors import DescError
    from desc.soundgen.generation import read_manifest
    from desc.soundgen.vocoder import Vocoder

    run = from_options(RunConfig, args, project="melgan")
    if args.vocoder_run_id:
        return Vocoder.from_run(args.vocoder_run_id[-1], run)
    manifest = Path(args.generated) / "manifest.csv"
    if not manifest.is_file():
        return None
    names = sorted({row["vocoder_run_id"] for row in read_manifest(manifest)} - {"", "griffin_lim"})
    for name in names:
        try:
            return Vocoder.from_run(name, run)
        except DescError:
            logger.warning("vocoder %s of %s not found; give --vocoder_run_id", name, manifest)
    return None

"""`desc evaluate --generated`: a folder of generated sound beside recordings."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

from desc.commands.console import Console
from desc.commands.options import from_options
from desc.configuration import RunConfig

if TYPE_CHECKING:
    from desc.soundgen.vocoder import Vocoder

RESULT = "generated.json"
DEFAULT_RATE = 44100


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the options that are for generated sound alone."""
    parser.add_argument(
        "--generated", metavar="DIR",
        help="evaluate a folder of generated sound instead of runs; audio_db_dir holds what it "
        "was learned from",
    )  # fmt: skip
    parser.add_argument(
        "--melgan_run_id", "--vocoder_run_id", metavar="ID",
        help="vocoder to measure by itself [default: that of the folder's manifest.csv]",
    )  # fmt: skip
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
        vocoder = _vocoder(args, console)
        if vocoder is not None:
            mel = vocoder.mel
        else:
            found, _ = find_files(args.generated)
            mel = MelConfig(probe(found[0][0]).sample_rate if found else DEFAULT_RATE)
        rate = mel.sample_rate
        generated = open_recordings(args.generated, rate, exclude="merged_*", note=console.note)
        recordings = open_recordings(
            args.audio_db_dir, rate, include=args.include, exclude=args.exclude, note=console.note
        )
        other = None
        if args.other_db_dir is not None:
            other = open_recordings(args.other_db_dir, rate, note=console.note)
        result = evaluate_generated(
            generated, recordings, mel, other=other, vocoder=vocoder, progress=console.progress
        )
        path = Path(args.output_dir) / RESULT
        write_json(path, result.to_dict(), indent=1)
        for line in lines(result):
            console.result(line)
        console.note(f"written: {path}")
    return 0


def _vocoder(args: argparse.Namespace, console: Console) -> Vocoder | None:
    """Return the vocoder that was named, or the one the folder was made with, if it is known."""
    from desc.errors import DescError
    from desc.soundgen.vocoder import Vocoder

    run_config = from_options(RunConfig, args, project="melgan")
    if args.melgan_run_id is not None:
        return Vocoder.from_run(args.melgan_run_id, run_config)
    manifest = Path(args.generated) / "manifest.csv"
    if not manifest.is_file():
        return None
    with manifest.open(encoding="utf-8", newline="") as stream:
        names = sorted({r["vocoder_run_id"] for r in csv.DictReader(stream)} - {"", "griffin_lim"})
    for name in names:
        try:
            return Vocoder.from_run(name, run_config)
        except DescError:
            console.note(f"vocoder {name} of {manifest} was not found; --melgan_run_id names it")
    return None

"""`desc generate audio`: many files of new sound."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import add_options, from_options
from desc.configuration import RunConfig
from desc.soundgen.settings import GenerateConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc generate audio`."""
    main = parser.add_argument_group("what")
    main.add_argument(
        "--unagan_run_id", required=True, metavar="ID",
        help="runs of train-unagan or train-flow, or published UnaGAN generators (.torch), "
        "separated by commas; each goes with each vocoder",
    )  # fmt: skip
    main.add_argument(
        "--melgan_run_id", "--vocoder_run_id", metavar="ID",
        help="runs of train-vocoder (melgan or vocos), or published MelGAN generators (.pt), "
        "separated by commas [default: Griffin-Lim, which needs no training]",
    )  # fmt: skip
    main.add_argument(
        "--hifigan_run_id", metavar="ID",
        help="published HiFi-GAN generators, instead of melgan_run_id: paths of checkpoints",
    )  # fmt: skip
    main.add_argument(
        "--output_dir", default="generated", metavar="DIR",
        help="gets the files and manifest.csv; files that are there are kept [default generated]",
    )  # fmt: skip
    main.add_argument(
        "--overwrite", action=argparse.BooleanOptionalAction, default=False,
        help="replace files of the same name and another length [default off]",
    )  # fmt: skip
    add_options(parser.add_argument_group("generation"), GenerateConfig)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("project",))


def run(args: argparse.Namespace) -> int:
    """Write the files, and print where they are."""
    config = from_options(GenerateConfig, args)
    with Console(args.quiet) as console:
        from desc.soundgen.generation import generate_from_runs

        result = generate_from_runs(
            args.unagan_run_id,
            args.output_dir,
            melgan_run_id=args.melgan_run_id,
            hifigan_run_id=args.hifigan_run_id,
            config=config,
            run=from_options(RunConfig, args),
            overwrite=args.overwrite,
            progress=console.progress,
            note=console.note,
        )
        console.result(
            f"{result.folder}: {len(result.written)} files written, {len(result.kept)} kept"
        )
    return 0

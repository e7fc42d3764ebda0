"""`desc generate audio`: many files of new sound."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import add_options, from_options
from desc.configuration import RunConfig
from desc.errors import ConfigurationError
from desc.soundgen.generate_config import GenerateConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc generate audio`."""
    main = parser.add_argument_group("what")
    main.add_argument(
        "--unagan_run_id", required=True, metavar="ID",
        help="runs of train-unagan or train-flow, separated by commas; each goes with each vocoder",
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
    if args.melgan_run_id is not None and args.hifigan_run_id is not None:
        raise ConfigurationError("give melgan_run_id or hifigan_run_id, not both")
    with Console(args.quiet) as console:
        from desc.soundgen.generation import generate
        from desc.soundgen.mel_generator import MelGenerator
        from desc.soundgen.vocoder import Vocoder

        of_mels = from_options(RunConfig, args, project="unagan")
        project = "melgan" if args.hifigan_run_id is None else "hifi-gan"
        of_sound = from_options(RunConfig, args, project=project)
        names = args.melgan_run_id or args.hifigan_run_id
        result = generate(
            [MelGenerator.from_run(n, of_mels, note=console.note)
             for n in _listed("unagan_run_id", args.unagan_run_id)],
            [Vocoder.from_run(n, of_sound, note=console.note)
             for n in _listed("melgan_run_id", names)] if names else [None],
            args.output_dir,
            config,
            overwrite=args.overwrite,
            progress=console.progress,
            note=console.note,
        )  # fmt: skip
        console.result(
            f"{result.folder}: {len(result.written)} files written, {len(result.kept)} kept"
        )
    return 0


def _listed(name: str, text: str) -> list[str]:
    """Return the parts of a comma-separated option."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigurationError(f"{name}={text!r} must name a run")
    return parts

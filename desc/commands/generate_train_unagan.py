"""`desc generate train-unagan`: learn to make new mel spectrograms."""

from __future__ import annotations

import argparse

from desc.commands.generate_training import add_training_options, chosen, train
from desc.commands.options import from_options
from desc.configuration import RunConfig
from desc.soundgen.settings import SMALL, UnaganConfig, UnaganTraining

CLASSES = (UnaganConfig, UnaganTraining)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc generate train-unagan`."""
    add_training_options(parser, "unagan", {cls: SMALL[cls] for cls in CLASSES})
    parser.add_argument(
        "--melgan_run_id", "--vocoder_run_id", metavar="ID",
        help="vocoder that makes the samples audible while training [default Griffin-Lim]",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Train UnaGAN, and print the run id in the last line."""
    model, training = (chosen(cls, args) for cls in CLASSES)
    from desc.soundgen.jobs import train_unagan
    from desc.soundgen.vocoder import Vocoder

    vocoder = None
    if args.melgan_run_id is not None:
        run_config = from_options(RunConfig, args, project="melgan")
        vocoder = Vocoder.from_run(args.melgan_run_id, run_config)
    return train(args, train_unagan, CLASSES, model=model, training=training, vocoder=vocoder)

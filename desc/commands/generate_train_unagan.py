"""`desc generate train-unagan`: learn to make new mel spectrograms."""

from __future__ import annotations

import argparse

from desc.commands.generate_training import (
    add_training_options,
    add_vocoder_option,
    chosen,
    named_vocoder,
    train,
)
from desc.soundgen.presets import SMALL
from desc.soundgen.settings import UnaganConfig, UnaganTraining

CLASSES = (UnaganConfig, UnaganTraining)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc generate train-unagan`."""
    add_training_options(parser, "unagan", {cls: SMALL[cls] for cls in CLASSES})
    add_vocoder_option(parser)


def run(args: argparse.Namespace) -> int:
    """Train UnaGAN, and print the run id in the last line."""
    model, training = (chosen(cls, args) for cls in CLASSES)
    from desc.soundgen.jobs import train_unagan

    return train(
        args, train_unagan, CLASSES, model=model, training=training, vocoder=named_vocoder(args)
    )

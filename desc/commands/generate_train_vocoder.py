"""`desc generate train-vocoder`: learn to turn mel spectrograms into sound."""

from __future__ import annotations

import argparse

from desc.commands.generate_training import add_training_options, chosen, train
from desc.soundgen.settings import SMALL, VocoderConfig, VocoderTraining

CLASSES = (VocoderConfig, VocoderTraining)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc generate train-vocoder`."""
    add_training_options(parser, "melgan", {cls: SMALL[cls] for cls in CLASSES})


def run(args: argparse.Namespace) -> int:
    """Train a vocoder, and print the run id in the last line."""
    model, training = (chosen(cls, args) for cls in CLASSES)
    from desc.soundgen.jobs import train_vocoder

    return train(args, train_vocoder, CLASSES, model=model, training=training)

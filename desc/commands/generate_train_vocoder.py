"""`desc generate train-vocoder`: learn to turn mel spectrograms into sound."""

from __future__ import annotations

import argparse
from dataclasses import replace

from desc.commands.generate_training import (
    add_training_options,
    chosen,
    chosen_mel,
    listed,
    train,
)
from desc.soundgen.presets import OF_VOCOS, SMALL
from desc.soundgen.settings import RATIOS, VocoderConfig, VocoderTraining

CLASSES = (VocoderConfig, VocoderTraining)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc generate train-vocoder`."""
    also = "".join(f"; {name} vocos {listed(values)}" for name, values in OF_VOCOS.items())
    add_training_options(parser, "melgan", {cls: SMALL[cls] for cls in CLASSES}, also)


def run(args: argparse.Namespace) -> int:
    """Train a vocoder, and print the run id in the last line."""
    model, training = (chosen(cls, args) for cls in CLASSES)
    hop_length = chosen_mel(args).hop_length
    if "ratios" not in args and hop_length in RATIOS:
        model = replace(model, ratios=RATIOS[hop_length])
    from desc.soundgen.jobs import train_vocoder

    return train(args, train_vocoder, CLASSES, model=model, training=training)

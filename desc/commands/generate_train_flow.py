"""`desc generate train-flow`: learn to make new mel spectrograms by flow matching."""

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
from desc.soundgen.settings import FlowConfig, FlowTraining

CLASSES = (FlowConfig, FlowTraining)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc generate train-flow`."""
    add_training_options(parser, "flow", {cls: SMALL[cls] for cls in CLASSES})
    add_vocoder_option(parser)


def run(args: argparse.Namespace) -> int:
    """Train the flow, and print the run id in the last line."""
    model, training = (chosen(cls, args) for cls in CLASSES)
    from desc.soundgen.jobs import train_flow

    return train(
        args, train_flow, CLASSES, model=model, training=training, vocoder=named_vocoder(args)
    )

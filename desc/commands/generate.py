"""`desc generate`: networks that make new sound of recordings' kind."""

from __future__ import annotations

import argparse
import importlib

from desc.commands.options import add_common_options

TASKS = {
    "train-vocoder": "train a vocoder, which turns mel spectrograms into sound",
    "train-unagan": "train UnaGAN, which makes new mel spectrograms",
    "train-flow": "train a flow, which makes new mel spectrograms nearer to the recordings",
    "audio": "write many files of new sound",
    "demo": "train both on the demo corpus and write ten files",
}


def _module(task: str) -> str:
    return "desc.commands.generate_" + task.replace("-", "_")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the tasks of `desc generate`, each with its options."""
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, summary in TASKS.items():
        sub: argparse.ArgumentParser = tasks.add_parser(name, help=summary, description=summary)
        importlib.import_module(_module(name)).add_arguments(sub)
        add_common_options(sub, suppress=True)


def run(args: argparse.Namespace) -> int:
    """Run the task that was named."""
    status: int = importlib.import_module(_module(args.task)).run(args)
    return status

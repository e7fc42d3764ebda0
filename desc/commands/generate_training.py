"""What the two trainings of `desc generate` share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from desc.commands.console import Console
from desc.commands.options import add_options, from_options, given_options
from desc.configuration import RunConfig
from desc.errors import TrainingInterruptedError
from desc.soundgen.presets import MEL_PRESETS, PRESET_NAMES, preset
from desc.soundgen.settings import MelConfig

if TYPE_CHECKING:
    from desc.runs import SoundRecord
    from desc.soundgen.recordings import SoundRecordings
    from desc.soundgen.vocoder import Vocoder


def add_training_options(
    parser: argparse.ArgumentParser,
    project: str,
    small: dict[type, dict[str, Any]],
    also: str = "",
) -> None:
    """Add the folder, the preset, the run and the settings that a preset consists of.

    Parameters
    ----------
    parser : ArgumentParser
    project : str
        W&B project by default.
    small : dict
        Classes of settings → what the preset `small` changes of them.
    also : str
        What else the presets change, for the help.
    """
    main = parser.add_argument_group("what")
    main.add_argument(
        "--audio_db_dir", "--audio_dir", required=True, metavar="DIR",
        help="folder of the recordings to learn from",
    )  # fmt: skip
    for name, verb in (("include", "use only"), ("exclude", "leave out")):
        main.add_argument(
            f"--{name}", nargs="+", default=[], metavar="PATTERN",
            help=f"{verb} files whose path below audio_db_dir matches, as 'strings/*.wav'",
        )  # fmt: skip
    changed = listed({k: v for values in small.values() for k, v in values.items()})
    main.add_argument(
        "--preset", choices=PRESET_NAMES, default="small",
        help="small: for two processor cores; published: the papers' sizes, for a GPU and days; "
        f"the defaults below are those of published, small has {changed}{also} [default small]",
    )  # fmt: skip
    for cls in small:
        add_options(parser.add_argument_group(_title(cls)), cls)
    spectrogram = parser.add_argument_group("mel spectrogram")
    spectrogram.add_argument(
        "--mel_preset", choices=MEL_PRESETS, default="compatible",
        help="what the options below are unless given: compatible with published vocoders "
        "(n_fft 1024, hop_length 256, n_mels 80), or recommended for new runs at 44.1 kHz (2048, "
        "512, 128); both networks need the same [default compatible]",
    )  # fmt: skip
    add_options(spectrogram, MelConfig)
    runs = parser.add_argument_group("run")
    add_options(runs, RunConfig, exclude=("project",))
    runs.add_argument(
        "--project", default=project, metavar="NAME",
        help=f"W&B project, and the runs' folder [default {project}]",
    )  # fmt: skip
    runs.add_argument(
        "--resume_run_id", metavar="ID",
        help="go on with a run that was stopped, to the same end, by its own settings",
    )  # fmt: skip
    runs.add_argument(
        "--load_from_run_id", metavar="ID", help="begin with the parameters of another run"
    )


def listed(values: dict[str, Any]) -> str:
    """Return settings as words of a help text."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def add_vocoder_option(parser: argparse.ArgumentParser) -> None:
    """Add the vocoder with which a generator of spectrograms is heard while it learns."""
    parser.add_argument(
        "--melgan_run_id", "--vocoder_run_id", metavar="ID",
        help="vocoder that makes the samples audible while training [default Griffin-Lim]",
    )  # fmt: skip


def named_vocoder(args: argparse.Namespace) -> Vocoder | None:
    """Return the vocoder that was named."""
    from desc.soundgen.vocoder import Vocoder

    if args.melgan_run_id is None:
        return None
    return Vocoder.from_run(args.melgan_run_id, from_options(RunConfig, args, project="melgan"))


def _title(cls: type) -> str:
    return "training" if cls.__name__.endswith("Training") else "network"


def chosen(cls: type, args: argparse.Namespace) -> Any:
    """Return the settings of the preset, with the options that were given."""
    given: Any = from_options(cls, args)
    values = {name: getattr(given, name) for name in given_options(cls, args)}
    of = getattr(args, "vocoder", None)
    return replace(preset(cls, args.preset, of=of), **values)


def chosen_mel(args: argparse.Namespace) -> MelConfig:
    """Return the front end of the preset, with the options that were given."""
    values = {name: getattr(args, name) for name in given_options(MelConfig, args)}
    return MelConfig(**(MEL_PRESETS[args.mel_preset] | values))


def train(
    args: argparse.Namespace,
    job: Callable[..., SoundRecord],
    classes: tuple[type, ...],
    **settings: Any,
) -> int:
    """Train, and print the run id in the last line."""
    mel = chosen_mel(args)
    run = from_options(RunConfig, args)
    given: list[str] = []
    for cls in (MelConfig, *classes):
        given += given_options(cls, args)
    with Console(args.quiet) as console:
        try:
            record = job(
                partial(_open, args, console),
                mel=mel,
                run=run,
                resume_run_id=args.resume_run_id,
                load_from_run_id=args.load_from_run_id,
                given=given,
                **settings,
            )
        except TrainingInterruptedError as stopped:
            console.result(f"run id: {stopped.run_id}")
            raise
        console.result(f"run id: {record.run_id}")
    return 0


def _open(args: argparse.Namespace, console: Console, mel: MelConfig) -> SoundRecordings:
    from desc.soundgen.recordings import open_recordings

    return open_recordings(
        args.audio_db_dir,
        mel.sample_rate,
        include=args.include,
        exclude=args.exclude,
        progress=console.progress,
        note=console.note,
    )

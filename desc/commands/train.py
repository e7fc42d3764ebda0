"""`desc train`: learn from a folder of recordings."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.folders import open_folder
from desc.commands.options import (
    add_corpus_options,
    add_options,
    from_options,
    given_options,
)
from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.descriptors.config import DescriptorConfig
from desc.errors import TrainingInterruptedError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc train`."""
    folders = parser.add_argument_group("recordings")
    folders.add_argument(
        "--audio_db_dir", "--audio_dir", required=True, metavar="DIR",
        help="folder of the recordings to learn from (formerly audio_dir)",
    )  # fmt: skip
    folders.add_argument(
        "--validation_db_dir", metavar="DIR",
        help="folder of recordings to validate on [default: a share of audio_db_dir's files]",
    )  # fmt: skip
    folders.add_argument(
        "--sample_audio_db_dir", metavar="DIR",
        help="folder whose sounds make the audio samples written while training [default: none]",
    )  # fmt: skip
    add_corpus_options(folders)
    add_options(parser.add_argument_group("model"), ModelConfig)
    add_options(parser.add_argument_group("training"), TrainConfig)
    add_options(parser.add_argument_group("descriptors"), DescriptorConfig)
    runs = parser.add_argument_group("run")
    add_options(runs, RunConfig)
    runs.add_argument(
        "--resume_run_id",
        metavar="ID",
        help="go on with a run that was stopped, to the same end, by its own settings",
    )


def run(args: argparse.Namespace) -> int:
    """Train, and print the run id in the last line."""
    model = from_options(ModelConfig, args)
    training = from_options(TrainConfig, args)
    descriptors = from_options(DescriptorConfig, args)
    run_config = from_options(RunConfig, args)
    from desc.models import model_class  # an unknown name is refused before any work is done
    from desc.storage import DescriptorStore
    from desc.training.trainer import check_machine

    model_class(model.selected_model)
    check_machine(training)
    with Console(args.quiet) as console:
        store = DescriptorStore(args.cache_dir)
        resume = args.resume_run_id
        if resume is not None:
            from desc.runs import resolve_run

            record = resolve_run(resume, run_config, note=console.note)
            resume = str(record.checkpoint_file or record.folder)
            if not given_options(DescriptorConfig, args):
                # The run's own, so that only --resume_run_id need be given.
                descriptors = record.descriptor_config
        adopt_hop = resume is None and "hop_length" not in args
        corpus = open_folder(
            args.audio_db_dir, descriptors, store, args, console, adopt_hop=adopt_hop
        )
        validation = None
        if args.validation_db_dir is not None:
            validation = open_folder(
                args.validation_db_dir, corpus.config, store, args, console, filtered=False
            )
        sampler = None
        if args.sample_audio_db_dir is not None:
            from desc.database import DescriptorDatabase
            from desc.pipeline import audio_sampler

            sounds = open_folder(
                args.sample_audio_db_dir, corpus.config, store, args, console, filtered=False
            ).with_sound()
            database = DescriptorDatabase.from_corpus(sounds, store)
            sampler = audio_sampler(database, store, seed=training.seed)
        from desc.training.fit import train

        try:
            record = train(
                corpus,
                validation=validation,
                model=model,
                training=training,
                run=run_config,
                resume_run_id=resume,
                given=[*given_options(ModelConfig, args), *given_options(TrainConfig, args)],
                progress=console.progress,
                note=console.note,
                render_sample=sampler,
            )
        except TrainingInterruptedError as stopped:
            console.result(f"run id: {stopped.run_id}")
            raise
        console.result(f"run id: {record.run_id}")
    return 0

"""`desc train`: train a model on a folder of recordings."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from desc.commands.console import Console
from desc.commands.folders import inputs_of, open_folder, recall_inputs
from desc.commands.options import (
    add_audio_option,
    add_corpus_options,
    add_folders,
    add_options,
    add_speeds_option,
    from_options,
    given_options,
)
from desc.commands.settings_file import write_settings
from desc.configuration import ModelConfig, RunConfig, TrainConfig
from desc.descriptors.config import DescriptorConfig
from desc.errors import TrainingInterruptedError

if TYPE_CHECKING:
    from desc.corpus import Corpus
    from desc.corpus.discovery import Paths
    from desc.runs import RunRecord
    from desc.storage import DescriptorStore
    from desc.training.task import SampleRenderer


MOST_USED = (
    "audio_db_dir selected_model window_size forecast_size "
    "epochs max_time_s descriptors resume_run_id"
)
EXAMPLES = (
    "desc train --audio_db_dir recordings/ --max_time_s 600",
    "desc train --resume_run_id 1t212ycn",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc train`."""
    folders = parser.add_argument_group("recordings")
    add_audio_option(folders, "folder of training recordings", required=False)
    folders.add_argument(
        "--validation_db_dir",
        metavar="DIR",
        help="folder of validation recordings [default: a share of the files in audio_db_dir]",
    )
    text = "folder of sounds for the audio samples written during training, or several"
    add_folders(folders, "--sample_audio_db_dir", text=f"{text} [default: none]")
    add_speeds_option(folders, "also train on the recordings")
    add_corpus_options(folders)
    add_options(parser.add_argument_group("model"), ModelConfig)
    add_options(parser.add_argument_group("training"), TrainConfig)
    add_options(parser.add_argument_group("descriptors"), DescriptorConfig)
    runs = parser.add_argument_group("run")
    add_options(runs, RunConfig)
    runs.add_argument(
        "--resume_run_id",
        metavar="ID",
        help="resume a stopped run with its own settings; the result equals that of an "
        "uninterrupted run",
    )


def run(args: argparse.Namespace) -> int:
    """Train, and print the run id in the last line."""
    model = from_options(ModelConfig, args)
    training = from_options(TrainConfig, args)
    descriptors = from_options(DescriptorConfig, args)
    run_config = from_options(RunConfig, args)
    from desc.corpus import check_speeds
    from desc.engine.fabric import create_fabric
    from desc.models import model_class
    from desc.storage import DescriptorStore

    # Impossible settings are refused before any work is done.
    check_speeds(args.speeds)
    model_class(model.selected_model)
    create_fabric(training)
    with Console(args.quiet) as console:
        store = DescriptorStore(args.cache_dir)
        record = None
        if (run_id := args.resume_run_id or training.from_run) is not None:
            from desc.runs import resolve_run

            record = resolve_run(run_id, run_config, store.cache_dir / "runs")
        recall_inputs(args, record)
        if args.resume_run_id is None and record is not None:
            training = replace(training, from_run=_place(record))
        corpus = _open_corpus(args, descriptors, record, store)
        validation = _open_other(args.validation_db_dir, corpus, store, args)
        sounds = _open_other(args.sample_audio_db_dir, corpus, store, args)
        from desc.training.fit import train

        try:
            record = train(
                corpus,
                validation=validation,
                model=model,
                training=training,
                run=run_config,
                resume_run_id=_place(record) if args.resume_run_id and record else None,
                given=[*given_options(ModelConfig, args), *given_options(TrainConfig, args)],
                render_sample=None if sounds is None else _sampler(sounds, store, training.seed),
                inputs=inputs_of(args),
            )
        except TrainingInterruptedError as stopped:
            _write_settings(
                Path(run_config.experiment_dir) / run_config.project / stopped.run_id, args
            )
            console.run(stopped.run_id, is_stopped=stopped.status == "stopped")
            raise
        _write_settings(record.folder, args)
        console.run(record.run_id, is_stopped=record.status == "stopped")
    return 0


def _write_settings(folder: Path, args: argparse.Namespace) -> None:
    if args.resume_run_id is None:  # a resumed run keeps those of its start
        write_settings(folder, args)


def _place(record: RunRecord) -> str:
    """Return the path of the run to continue."""
    return str(record.checkpoint_file or record.folder)


def _open_corpus(
    args: argparse.Namespace,
    descriptors: DescriptorConfig,
    record: RunRecord | None,
    store: DescriptorStore,
) -> Corpus:
    """Open the training recordings, with the settings of the run that is continued."""
    from desc.corpus import with_variants
    from desc.descriptors.extraction import variant_of

    speeds = args.speeds
    if record is not None:
        if not given_options(DescriptorConfig, args):
            descriptors = record.descriptor_config
        speeds = speeds or sorted({variant_of(d)[1] for d in record.training_files} - {1.0})
    adopt_hop = record is None and "hop_length" not in args
    corpus = open_folder(args.audio_db_dir, descriptors, store, args, adopt_hop=adopt_hop)
    return with_variants(corpus, speeds, store, jobs=args.jobs)


def _open_other(
    path: Paths | None,
    corpus: Corpus,
    store: DescriptorStore,
    args: argparse.Namespace,
) -> Corpus | None:
    """Open another folder with the settings of the corpus; None without a folder."""
    if path is None:
        return None
    return open_folder(path, corpus.config, store, args, filtered=False, besides=corpus)


def _sampler(sounds: Corpus, store: DescriptorStore, seed: int) -> SampleRenderer:
    """Return the writer of audio samples with the sounds of a folder."""
    from desc.database import DescriptorDatabase
    from desc.pipeline import audio_sampler

    return audio_sampler(
        DescriptorDatabase.from_corpus(sounds.with_sound(), store), store, seed=seed
    )

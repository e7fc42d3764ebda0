"""`desc evaluate`: how real and how good the continuations of runs are."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from desc.commands import evaluate_generated
from desc.commands.console import Console
from desc.commands.folders import open_folder
from desc.commands.options import add_corpus_options, add_options, from_options
from desc.configuration import RunConfig
from desc.errors import ConfigurationError
from desc.evaluation.settings import EvaluateConfig

RESULT = "evaluation.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc evaluate`."""
    main = parser.add_argument_group("what")
    main.add_argument(
        "--run_id", nargs="+", action="extend", metavar="ID",
        help="run ids, or runs' folders; several stand side by side",
    )  # fmt: skip
    main.add_argument(
        "--audio_db_dir", "--audio_dir", required=True, metavar="DIR",
        help="recordings the runs have never heard; the patterns below are for it",
    )  # fmt: skip
    main.add_argument(
        "--training_db_dir", metavar="DIR",
        help="the recordings the runs learned from, where the cache no longer has them",
    )  # fmt: skip
    main.add_argument(
        "--sample_audio_db_dir", metavar="DIR",
        help="with --rendered: folder whose sounds continuations are rendered with",
    )  # fmt: skip
    main.add_argument(
        "--allow_training_files", action=argparse.BooleanOptionalAction, default=False,
        help="judge with recordings the runs have heard, too [default off]",
    )  # fmt: skip
    main.add_argument(
        "--output_dir", default="evaluation", metavar="DIR",
        help=f"where {RESULT} and the pictures go [default evaluation]",
    )  # fmt: skip
    main.add_argument(
        "--accelerator", default="auto", choices=("auto", "cpu", "cuda", "mps"),
        help="where the models run [default auto]",
    )  # fmt: skip
    add_corpus_options(main)
    evaluate_generated.add_arguments(parser.add_argument_group("generated sound"))
    add_options(parser.add_argument_group("evaluation"), EvaluateConfig)
    add_options(parser.add_argument_group("run"), RunConfig)


def run(args: argparse.Namespace) -> int:
    """Print the tables; write the figures and, where matplotlib is installed, pictures."""
    if (args.run_id is None) == (args.generated is None):
        raise ConfigurationError("give --run_id or --generated: one of the two, not both")
    if args.generated is not None:
        return evaluate_generated.run(args)
    config = from_options(EvaluateConfig, args)
    run_config = from_options(RunConfig, args)
    if config.rendered != (args.sample_audio_db_dir is not None):
        raise ConfigurationError("--rendered and --sample_audio_db_dir are given together")
    with Console(args.quiet) as console:
        from desc.database import DescriptorDatabase
        from desc.evaluation.candidates import Candidate
        from desc.evaluation.evaluate import check_comparable, evaluate
        from desc.evaluation.heard import refuse_known, training_recordings
        from desc.evaluation.pictures import draw
        from desc.evaluation.rendered import Sounds
        from desc.evaluation.wording import lines
        from desc.files import write_json
        from desc.report.drawing import can_draw
        from desc.runs import resolve_run
        from desc.storage import DescriptorStore

        store = DescriptorStore(args.cache_dir)
        records = [resolve_run(name, run_config, store.cache_dir / "runs") for name in args.run_id]
        runs = [Candidate.load(record, args.accelerator) for record in records]
        check_comparable(runs)
        settings = runs[0].model.descriptor_config
        corpus = open_folder(args.audio_db_dir, settings, store, args, console)
        recordings = corpus.sequences
        if not args.allow_training_files:
            refuse_known(records, recordings)

        open_training = args.training_db_dir and partial(
            open_folder, args.training_db_dir, settings, store, args, console, filtered=False
        )
        training, missing = training_recordings(records, store, open_training)
        if missing:
            console.note(f"not in the cache: {len(missing)} training recordings, as {missing[0]}")
        sounds = None
        if config.rendered:
            heard = open_folder(
                args.sample_audio_db_dir, settings, store, args, console, filtered=False
            ).with_sound()
            database = DescriptorDatabase.from_corpus(heard, store)
            corpus = corpus.with_sound()
            recordings = corpus.sequences
            sounds = Sounds(database, corpus, store)
        result = evaluate(
            runs,
            recordings,
            config,
            training=None if missing or not training else training,
            sounds=sounds,
            progress=console.progress,
        )
        folder = Path(args.output_dir)
        write_json(folder / RESULT, result.to_dict(), indent=1)
        for line in lines(result):
            console.result(line)
        if can_draw():
            paths = [folder / RESULT, *draw(result, folder)]
        else:
            paths = [folder / RESULT]
            console.note("no pictures: matplotlib is not installed (the extra `report`)")
        for path in paths:
            console.note(f"written: {path}")
    return 0

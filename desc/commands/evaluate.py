"""`desc evaluate`: realism and forecast accuracy of runs, or of generated sound."""

from __future__ import annotations

import argparse
from pathlib import Path

from desc.commands import evaluate_generated
from desc.commands.console import Console
from desc.commands.folders import open_folder
from desc.commands.options import (
    add_accelerator_option,
    add_audio_option,
    add_corpus_options,
    add_folders,
    add_options,
    add_output_option,
    from_options,
)
from desc.configuration import RunConfig
from desc.errors import ConfigurationError
from desc.evaluation.settings import EvaluateConfig

RESULT, PAGE = "evaluation.json", "evaluation.html"


MOST_USED = "run_id audio_db_dir sample_audio_db_dir output_dir n_draws excerpts judge generated"
EXAMPLES = (
    "desc evaluate --run_id 1t212ycn x5q09mzt --audio_db_dir held_out/",
    "desc evaluate --run_id 1t212ycn --audio_db_dir held_out/ --sample_audio_db_dir sounds/",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc evaluate`."""
    main = parser.add_argument_group("input and output")
    main.add_argument(
        "--run_id",
        nargs="+",
        action="extend",
        metavar="ID",
        help="ids or folders of one or more runs, compared in one table",
    )
    add_audio_option(main, "held-out recordings; --include and --exclude apply to this folder")
    main.add_argument(
        "--training_db_dir",
        metavar="DIR",
        help="the training recordings, needed if the cache no longer has their descriptors",
    )
    text = "also render a continuation of each excerpt with the sounds of this folder, or several"
    add_folders(main, "--sample_audio_db_dir", text=f"{text}, and evaluate the result")
    main.add_argument(
        "--judge",
        metavar="WHEEL",
        help="with --sample_audio_db_dir: the file musicnn-0.1.0-py3-none-any.whl (pip download "
        "--no-deps musicnn==0.1.0), whose pretrained music tagger also judges the sound",
    )
    main.add_argument("--rendered", action="store_true", help=argparse.SUPPRESS)
    add_output_option(main, "evaluation", f"folder for {RESULT}, {PAGE} and the plots")
    add_accelerator_option(main)
    add_corpus_options(main)
    evaluate_generated.add_arguments(parser.add_argument_group("generated sound"))
    add_options(parser.add_argument_group("evaluation"), EvaluateConfig)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("name",))


def run(args: argparse.Namespace) -> int:
    """Print the tables; write the figures and, if matplotlib is installed, plots."""
    if (args.run_id is None) == (args.generated is None):
        raise ConfigurationError("give either --run_id or --generated")
    if args.generated is not None:
        for name in ("rendered", "judge"):
            if getattr(args, name):
                raise ConfigurationError(f"--{name} is for runs, not for --generated")
        return evaluate_generated.run(args)
    settings = from_options(EvaluateConfig, args)
    run_config = from_options(RunConfig, args)
    for name in ("rendered", "judge"):
        if getattr(args, name) and args.sample_audio_db_dir is None:
            raise ConfigurationError(f"--{name} needs --sample_audio_db_dir")
    with Console(args.quiet) as console:
        from desc.database import DescriptorDatabase
        from desc.evaluation.candidates import check_comparable
        from desc.evaluation.evaluate import evaluate
        from desc.evaluation.page import write_page
        from desc.evaluation.plots import plot_evaluation
        from desc.files import write_json
        from desc.report.drawing import can_draw
        from desc.runs import resolve_run
        from desc.storage import DescriptorStore

        store = DescriptorStore(args.cache_dir)
        records = [resolve_run(name, run_config, store.cache_dir / "runs") for name in args.run_id]
        check_comparable(records)  # before folders are extracted
        given = records[0].descriptor_config, store, args
        recordings = open_folder(args.audio_db_dir, *given)
        training = sounds = None
        if args.training_db_dir is not None:
            training = open_folder(args.training_db_dir, *given, filtered=False, besides=recordings)
        if args.sample_audio_db_dir is not None:
            folder = open_folder(
                args.sample_audio_db_dir, *given, filtered=False, besides=recordings
            )
            sounds = DescriptorDatabase.from_corpus(folder.with_sound(), store)
        result = evaluate(
            records,
            recordings,
            settings,
            training=training,
            sounds=sounds,
            judge=args.judge,
            store=store,
            accelerator=args.accelerator,
        )
        output_dir = Path(args.output_dir)
        write_json(output_dir / RESULT, result.to_dict(), indent=1)
        console.result(str(result))
        paths = [output_dir / RESULT, write_page(result, output_dir / PAGE)]
        if can_draw():
            paths += plot_evaluation(result, output_dir)
        else:
            console.note("no plots: matplotlib is not installed (the extra `report`)")
        for path in paths:
            console.note(f"written: {path}")
    return 0

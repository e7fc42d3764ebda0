"""`desc predict`: continue recordings with the sounds of another folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from desc.commands.console import Console
from desc.commands.folders import open_folder
from desc.commands.options import (
    add_corpus_options,
    add_options,
    from_options,
    given_options,
)
from desc.configuration import (
    PredictConfig,
    QueryConfig,
    RenderConfig,
    RunConfig,
    SelectionConfig,
)
from desc.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc predict`."""
    main = parser.add_argument_group("what")
    main.add_argument("--run_id", required=True, metavar="ID", help="run id, or a run's folder")
    main.add_argument(
        "--prediction_db_dir", "--test_data_path", required=True, metavar="PATH",
        help="folder of recordings to continue, or one recording (formerly test_data_path)",
    )  # fmt: skip
    main.add_argument(
        "--audio_db_dir", "--audio_dir", required=True, metavar="DIR",
        help="large folder whose sounds make the continuation; the patterns below are for it",
    )  # fmt: skip
    main.add_argument(
        "--output_dir", default="predictions", metavar="DIR",
        help="where the results go, a folder per recording [default predictions]",
    )  # fmt: skip
    main.add_argument(
        "--overwrite", action=argparse.BooleanOptionalAction, default=False,
        help="replace results that were made from another request [default off]",
    )  # fmt: skip
    main.add_argument(
        "--accelerator", default="auto", choices=("auto", "cpu", "cuda", "mps"),
        help="where the model runs [default auto]",
    )  # fmt: skip
    main.add_argument(
        "--report", action=argparse.BooleanOptionalAction, default=True,
        help="write report.html, a page that shows and plays the result [default on]",
    )  # fmt: skip
    main.add_argument(
        "--speeds", nargs="+", type=float, default=[], metavar="X",
        help="also play the sounds of audio_db_dir at these speeds, as a tape is: 1.06 is a "
        "semitone higher [default: none]",
    )  # fmt: skip
    add_corpus_options(main)
    add_options(parser.add_argument_group("prediction"), PredictConfig)
    add_options(parser.add_argument_group("query"), QueryConfig)
    add_options(parser.add_argument_group("selection"), SelectionConfig)
    add_options(parser.add_argument_group("rendering"), RenderConfig)
    add_options(parser.add_argument_group("run"), RunConfig)


def run(args: argparse.Namespace) -> int:
    """Continue, and print where each WAV is; 1 where a recording could not be continued."""
    prediction = from_options(PredictConfig, args)
    given = given_options(PredictConfig, args)
    if "duration_s" in given and "prediction_length" in given:
        raise ConfigurationError("give prediction_length or duration_s, not both")
    output_dir = Path(args.output_dir).resolve()
    if output_dir.is_relative_to(Path(args.audio_db_dir).resolve()):
        raise ConfigurationError(
            f"output_dir={args.output_dir!r} must lie outside audio_db_dir={args.audio_db_dir!r}: "
            "results would become sounds to choose from"
        )
    query = from_options(QueryConfig, args)
    selection = from_options(SelectionConfig, args)
    rendering = from_options(RenderConfig, args)
    run_config = from_options(RunConfig, args)
    with Console(args.quiet) as console:
        from desc.commands.results import report
        from desc.corpus import check_speeds, with_variants
        from desc.database import DescriptorDatabase
        from desc.outputs import REPORT
        from desc.pipeline import Continuer
        from desc.prediction import Predictor
        from desc.runs import resolve_run
        from desc.storage import DescriptorStore

        check_speeds(args.speeds)
        store = DescriptorStore(args.cache_dir)
        downloads = store.cache_dir / "runs"
        record = resolve_run(args.run_id, run_config, downloads)
        predictor = Predictor.from_run(record, accelerator=args.accelerator)
        config = predictor.config
        recordings = open_folder(args.prediction_db_dir, config, store, args, filtered=False)
        corpus = open_folder(args.audio_db_dir, config, store, args).with_sound()
        corpus = with_variants(corpus, args.speeds, store, jobs=args.jobs)
        continuer = Continuer(
            predictor=predictor,
            database=DescriptorDatabase.from_corpus(corpus, store),
            store=store,
            prediction=prediction,
            query=query,
            selection=selection,
            rendering=rendering,
            report=args.report,
        )
        result = continuer.run(
            recordings,
            args.output_dir,
            overwrite=args.overwrite,
            note=console.note,
        )
        if any((outcome.folder / REPORT).is_file() for outcome in result.outcomes):
            console.note(f"to look at and listen to: {REPORT} in each result's folder")
        return report(result, console)

"""`desc index`: build the search index of a large folder ahead of time."""

from __future__ import annotations

import argparse

from desc.commands.console import Console, counted
from desc.commands.folders import open_folder, workers
from desc.commands.options import (
    add_audio_option,
    add_cluster_options,
    add_corpus_options,
    add_options,
    add_speeds_option,
    from_options,
)
from desc.commands.predict import add_choice_options, selection_from
from desc.configuration import INDEXED_DISTANCES, QueryConfig, RunConfig

MOST_USED = "run_id audio_db_dir style index include cache_dir backend scheduler"
EXAMPLES = (
    "desc index --run_id 1t212ycn --audio_db_dir sounds/",
    "desc index --run_id 1t212ycn --audio_db_dir sounds/ --backend dask --scheduler tcp://host:8786",
)
TRIAL_FRAMES = 9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc index`."""
    main = parser.add_argument_group("input")
    text = "run id, or a run's folder, by whose statistics distances are scaled"
    main.add_argument("--run_id", required=True, metavar="ID", help=text)
    add_audio_option(main, "large folder of sounds")
    add_speeds_option(main, "also index the sounds of audio_db_dir")
    add_corpus_options(main)
    add_cluster_options(main)
    add_choice_options(parser)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("name",))


def _why_none(query: QueryConfig) -> str:
    """Return why a matcher with these settings has no index."""
    from desc.matching.index import INSTALL, has_faiss

    if query.index == "exact":
        return "no index, for --index is exact"
    if query.distance not in INDEXED_DISTANCES:
        return f"no index, for no index knows the distance {query.distance}"
    if not has_faiss():
        return f"no index, for faiss is not installed: {INSTALL}"
    return "too few for an index; --index ivf makes one"


def run(args: argparse.Namespace) -> int:
    """Build the index, and print the number of rows."""
    query, selection = from_options(QueryConfig, args), selection_from(args)
    run_config = from_options(RunConfig, args)
    from desc.corpus import check_speeds, with_variants
    from desc.database import DescriptorDatabase
    from desc.matching import Matcher
    from desc.prediction import Predictor
    from desc.runs import resolve_run
    from desc.storage import DescriptorStore

    check_speeds(args.speeds)
    store = DescriptorStore(args.cache_dir)
    with Console(args.quiet) as console, workers(args, store):
        record = resolve_run(args.run_id, run_config, store.cache_dir / "runs")
        predictor = Predictor.from_run(record, accelerator="cpu")
        corpus = open_folder(args.audio_db_dir, predictor.config, store, args).with_sound()
        corpus = with_variants(corpus, args.speeds, store, jobs=args.jobs)
        database = DescriptorDatabase.from_corpus(corpus, store)
        matcher = Matcher(database, predictor.standardizer, query=query, selection=selection)
        matcher.match(database.values[:TRIAL_FRAMES])  # builds all that a match needs
        rows = f"{counted(len(database), 'row')} of {counted(len(database.files), 'file')}"
        if matcher.corpus_points.lists is None:
            console.result(f"{rows}: {_why_none(query)}")
        else:
            console.result(f"{rows}: indexed in {store.index_dir}")
    return 0

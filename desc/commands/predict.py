"""`desc predict`: continue recordings with the sounds of another folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from desc.commands.console import Console, counted
from desc.commands.folders import open_folder, workers
from desc.commands.options import (
    add_accelerator_option,
    add_audio_option,
    add_cluster_options,
    add_corpus_options,
    add_options,
    add_speeds_option,
    add_switch,
    add_tempo_option,
    from_options,
    given_options,
)
from desc.commands.settings_file import write_settings
from desc.configuration import (
    STYLES,
    PredictConfig,
    QueryConfig,
    RenderConfig,
    RunConfig,
    SelectionConfig,
)
from desc.errors import ConfigurationError

if TYPE_CHECKING:
    from desc.pipeline import Continuation, Outcome

MOST_USED = "run_id prediction_db_dir audio_db_dir output_dir duration_s from_s temperature style"
EXAMPLES = (
    "desc predict --run_id 1t212ycn --prediction_db_dir song.wav --audio_db_dir sounds/",
    "desc predict --config predictions/song.wav/1/settings.toml --style loops",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc predict`."""
    main = parser.add_argument_group("input and output")
    main.add_argument("--run_id", required=True, metavar="ID", help="run id, or a run's folder")
    main.add_argument(
        "--prediction_db_dir",
        "--test_data_path",
        required=True,
        metavar="PATH",
        help="folder of recordings to continue, or one recording (formerly test_data_path)",
    )
    add_audio_option(
        main,
        "large folder of sounds to build the continuation from; --include and --exclude apply to "
        "it",
    )
    main.add_argument(
        "--output_dir",
        metavar="DIR",
        help="folder for one result of each recording [default: numbered takes in predictions]",
    )
    add_switch(main, "--overwrite", "replace results in output_dir made with other settings")
    add_accelerator_option(main)
    add_switch(
        main,
        "--report",
        "write report.html, a page for viewing and playing the result",
        default=True,
    )
    add_speeds_option(main, "also use the sounds of audio_db_dir")
    add_tempo_option(main)
    add_corpus_options(main)
    add_cluster_options(main)
    add_options(parser.add_argument_group("prediction"), PredictConfig)
    add_matching_options(parser)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("name",))


def add_matching_options(parser: argparse.ArgumentParser, *, exclude: Sequence[str] = ()) -> None:
    """Add the options of query, selection and rendering, but for those excluded."""
    add_choice_options(parser, exclude=exclude)
    add_options(parser.add_argument_group("rendering"), RenderConfig, exclude=exclude)


def add_choice_options(parser: argparse.ArgumentParser, *, exclude: Sequence[str] = ()) -> None:
    """Add the options of query and selection, but for those excluded."""
    add_options(parser.add_argument_group("query"), QueryConfig, exclude=exclude)
    units = parser.add_argument_group("selection")
    text = "length of the units; sets the defaults of: " + ", ".join(STYLES["granular"])
    units.add_argument(
        "--style", choices=tuple(STYLES), default="phrases", help=f"{text} [default phrases]"
    )
    add_options(units, SelectionConfig, exclude=exclude)


def selection_from(args: argparse.Namespace) -> SelectionConfig:
    """Return the settings of selection: those of the style, but for those given."""
    chosen = given_options(SelectionConfig, args)
    return SelectionConfig.styled(args.style, **{name: vars(args)[name] for name in chosen})


def run(args: argparse.Namespace) -> int:
    """Continue, and print the path of each WAV; return 1 if a recording could not be continued."""
    prediction = from_options(PredictConfig, args)
    given = given_options(PredictConfig, args)
    if "duration_s" in given and "prediction_length" in given:
        raise ConfigurationError("give prediction_length or duration_s, not both")
    from desc.outputs import TAKES_DIR

    output_dir = args.output_dir or TAKES_DIR
    check_apart(output_dir, args.audio_db_dir)
    query = from_options(QueryConfig, args)
    selection = selection_from(args)
    rendering = from_options(RenderConfig, args)
    run_config = from_options(RunConfig, args)
    from desc.storage import DescriptorStore

    store = DescriptorStore(args.cache_dir)
    with Console(args.quiet) as console, workers(args, store):
        from desc.corpus import (
            check_speeds,
            check_tempo,
            common_tempo,
            with_tempo,
            with_variants,
        )
        from desc.database import DescriptorDatabase
        from desc.matching import Matcher
        from desc.pipeline import Continuer
        from desc.prediction import Predictor
        from desc.runs import resolve_run

        check_speeds(args.speeds)
        if isinstance(args.tempo, float):
            check_tempo(args.tempo)
        downloads = store.cache_dir / "runs"
        record = resolve_run(args.run_id, run_config, downloads)
        predictor = Predictor.from_run(record, accelerator=args.accelerator)
        config = predictor.config
        settings = config, store, args
        recordings = open_folder(
            args.prediction_db_dir,
            *settings,
            filtered=False,
            name_skipped=False,  # they are failures, named in the end
        )
        corpus = open_folder(args.audio_db_dir, *settings, besides=recordings).with_sound()
        corpus = with_variants(corpus, args.speeds, store, jobs=args.jobs)
        tempo = common_tempo(recordings) if args.tempo == "auto" else args.tempo
        if args.tempo is not None and tempo is None:
            console.note("--tempo auto: no recording has a pulse; sounds keep their speed")
        if tempo is not None:
            corpus = with_tempo(corpus, tempo, store, jobs=args.jobs)
        matcher = Matcher(
            DescriptorDatabase.from_corpus(corpus, store),
            predictor.standardizer,
            query=query,
            selection=selection,
            rendering=rendering,
        )
        continuer = Continuer(predictor, matcher, prediction, store, args.report)
        result = continuer.run(
            recordings, output_dir, overwrite=args.overwrite, takes=args.output_dir is None
        )
        for outcome in result.outcomes:
            if outcome.status == "written":
                write_settings(outcome.folder, args)
        status = print_continuation(result, console)
        pages = list(dict.fromkeys(map(page_of, result.outcomes)))
        if pages := [page for page in pages if page.is_file()]:
            more = f" (and {len(pages) - 1} more)" if len(pages) > 1 else ""
            console.note(f"listen: {pages[0].resolve().as_uri()}{more}")
        return status


def check_apart(output_dir: str, audio_db_dir: Sequence[str], name: str = "output_dir") -> None:
    """Refuse results inside a folder of sounds, of which they would become a part.

    Raises
    ------
    ConfigurationError
        Names the two folders.
    """
    for folder in audio_db_dir:
        if Path(output_dir).resolve().is_relative_to(Path(folder).resolve()):
            raise ConfigurationError(
                f"{name}={output_dir!r} must lie outside audio_db_dir={folder!r}: "
                "results would become sounds of the corpus"
            )


def page_of(outcome: Outcome) -> Path:
    """Return the page of a recording: of its takes if there are several, else of its result."""
    from desc.outputs import REPORT
    from desc.takes import INDEX, list_takes

    index = outcome.folder.parent / INDEX
    several = index.is_file() and len(list_takes(index.parent)) > 1
    return index if several else outcome.folder / REPORT


def print_continuation(result: Continuation, console: Console) -> int:
    """Print the path of each result and each failure; return the exit status."""
    for outcome in result.outcomes:
        print_outcome(outcome, console)
    for failure in result.failures:
        console.error(f"{failure.source}: not continued: {failure.reason}")
    if result.failures:
        failed = {failure.source for failure in result.failures}
        total = len(failed | {outcome.source for outcome in result.outcomes})
        console.error(f"{len(failed)} of {total} recordings could not be continued")
    return 1 if result.failures else 0


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print the path of a result, and its figures."""
    from desc.outputs import WAV

    console.result(f"{outcome.source} → {outcome.folder / WAV}{_figures(outcome)}")


def _figures(outcome: Outcome) -> str:
    from desc.outputs import percent

    if outcome.status == "kept":
        return " (kept: same request)"
    figures = outcome.figures
    gain_db = figures["gain_db"]
    turned = f", turned down by {-gain_db:.1f} dB" if gain_db <= -0.05 else ""
    units = counted(figures["n_units"], "unit")
    rows = counted(figures["distinct_rows"], "distinct row")
    return (
        f" ({figures['duration_s']:.1f} s, {units} from {counted(figures['files_used'], 'file')}, "
        f"mean unit {figures['mean_unit_frames']:.1f} frames, "
        f"mean distance {figures['mean_match_distance']:.2f}, "
        f"{rows} = {percent(figures['corpus_coverage'])} "
        f"of the corpus, repeats {percent(figures['repeated_share'])}, "
        f"peak {figures['peak']:.2f}{turned})"
    )

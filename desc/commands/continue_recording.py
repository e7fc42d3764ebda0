"""`desc continue`: from a recording and a folder of sounds to a continuation to listen to."""

from __future__ import annotations

import argparse

from desc.commands.console import Console
from desc.commands.options import (
    add_cache_option,
    add_folders,
    add_jobs_option,
    add_options,
    from_options,
)
from desc.commands.page import add_open_option, show_page
from desc.commands.predict import (
    add_matching_options,
    check_apart,
    page_of,
    print_outcome,
    selection_from,
)
from desc.commands.settings_file import write_settings
from desc.configuration import PredictConfig, QueryConfig, RenderConfig, RunConfig, check_number
from desc.errors import TrainingInterruptedError

MOST_USED = "recording with duration_s from_s seed temperature style run_id"
EXAMPLES = (
    "desc continue song.wav --with sounds/",
    "desc continue song.wav --with strings/ bells/ --duration_s 40 --from_s 62.5 --seed 2",
)
OWN = "prediction_length", "duration_s", "n_draws"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc continue`."""
    main = parser.add_argument_group("input and output")
    main.add_argument("recording", metavar="RECORDING", help="the recording to continue")
    text = "folder of sounds to build the continuation from, or several"
    add_folders(main, "--with", required=True, text=text)
    main.add_argument(
        "--duration_s",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="length of the continuation [seconds, default 20]",
    )
    main.add_argument(
        "--run_id",
        metavar="ID",
        help="id or name of the run to use, or last [default: one trained on the recordings in "
        "the recording's folder; it is trained if there is none]",
    )
    main.add_argument(
        "--max_time_s",
        type=float,
        default=240.0,
        metavar="SECONDS",
        help="time limit of a training [seconds, default 240]",
    )
    main.add_argument(
        "--output_dir",
        default="predictions",
        metavar="DIR",
        help="folder of the numbered takes [default predictions]",
    )
    add_open_option(main)
    add_jobs_option(main)
    add_cache_option(main)
    add_options(parser.add_argument_group("prediction"), PredictConfig, exclude=OWN)
    add_matching_options(parser)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("name",))


def run(args: argparse.Namespace) -> int:
    """Continue, print the path of the WAV, and open its page."""
    prediction, query = from_options(PredictConfig, args), from_options(QueryConfig, args)
    selection, rendering = selection_from(args), from_options(RenderConfig, args)
    run_config = from_options(RunConfig, args)
    for name in ("duration_s", "max_time_s"):
        check_number(name, vars(args)[name], above=0.0)
    sounds = vars(args)["with"]
    check_apart(args.output_dir, sounds)
    with Console(args.quiet) as console:
        from desc.continuing import continue_recording
        from desc.storage import DescriptorStore

        try:
            result = continue_recording(
                args.recording,
                sounds,
                args.duration_s,
                prediction=prediction,
                query=query,
                selection=selection,
                rendering=rendering,
                run_id=args.run_id,
                output_dir=args.output_dir,
                run=run_config,
                max_time_s=args.max_time_s,
                store=DescriptorStore(args.cache_dir),
                jobs=args.jobs,
            )
        except TrainingInterruptedError as stopped:
            console.note(
                f"run {stopped.run_id} is kept; the same command continues with it as it is, and "
                f"desc train --resume_run_id {stopped.run_id} trains it to its end"
            )
            raise
        outcome = result.outcome
        if outcome.status == "written":
            write_settings(outcome.folder, args)
        print_outcome(outcome, console)
        show_page(page_of(outcome), args, console)
    return 0

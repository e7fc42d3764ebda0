"""`desc generate`: train networks of sound generation, and generate with them."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from desc.commands.console import Console, counted
from desc.commands.folders import inputs_of, recall_inputs
from desc.commands.options import (
    add_audio_option,
    add_common_options,
    add_options,
    add_output_option,
    add_pattern_options,
    add_switch,
    from_options,
    given_options,
)
from desc.commands.parser import Parser
from desc.configuration import RunConfig, check_integer
from desc.errors import TrainingInterruptedError
from desc.soundgen.presets import MEL_PRESETS, OF_VOCOS, PRESET_NAMES, SMALL, preset
from desc.soundgen.settings import (
    RATIOS,
    FlowConfig,
    FlowTraining,
    GenerateConfig,
    MelConfig,
    UnaganConfig,
    UnaganTraining,
    VocoderConfig,
    VocoderTraining,
)

if TYPE_CHECKING:
    from desc.soundgen.generation import Generated
    from desc.soundgen.recordings import SoundRecordings

TASKS = {
    "train-vocoder": "train a vocoder: mel spectrogram → sound",
    "train-unagan": "train UnaGAN: noise → new mel spectrograms",
    "train-flow": "train a flow-matching model: noise → new mel spectrograms, closer to the "
    "recordings than UnaGAN's",
    "audio": "write new audio files",
    "demo": "train a vocoder and UnaGAN on the demo corpus, and write ten files",
}


_OF_TRAINING = "mel_preset steps max_time_s accelerator resume_run_id"
TASK_OPTIONS = {
    "train-vocoder": f"audio_db_dir preset vocoder {_OF_TRAINING}",
    "train-unagan": f"audio_db_dir preset vocoder_run_id {_OF_TRAINING}",
    "train-flow": f"audio_db_dir preset vocoder_run_id {_OF_TRAINING}",
    "audio": "generator_run_id vocoder_run_id output_dir num_samples duration_s seed subtype "
    "random_merge_audio",
}
TASK_EXAMPLES = {
    "train-vocoder": (
        "desc generate train-vocoder --audio_db_dir recordings/ --vocoder vocos",
        "desc generate train-vocoder --resume_run_id 1t212ycn",
    ),
    "train-unagan": (
        "desc generate train-unagan --audio_db_dir recordings/ --max_time_s 3600",
        "desc generate train-unagan --resume_run_id 1t212ycn",
    ),
    "train-flow": (
        "desc generate train-flow --audio_db_dir recordings/ --max_time_s 3600",
        "desc generate train-flow --resume_run_id 1t212ycn",
    ),
    "audio": (
        "desc generate audio --generator_run_id 1t212ycn --vocoder_run_id x5q09mzt",
        "desc generate audio --generator_run_id 1t212ycn --num_samples 100 --output_dir sounds/",
    ),
}


class Network(NamedTuple):
    """A network to train: W&B project, settings classes, name of its function in `jobs`."""

    project: str
    model: type
    training: type
    function: str


NETWORKS = {
    "train-vocoder": Network("melgan", VocoderConfig, VocoderTraining, "train_vocoder"),
    "train-unagan": Network("unagan", UnaganConfig, UnaganTraining, "train_unagan"),
    "train-flow": Network("flow", FlowConfig, FlowTraining, "train_flow"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the tasks of `desc generate`, each with its options."""
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, summary in TASKS.items():
        sub = cast(Parser, tasks.add_parser(name, help=summary, description=summary))
        if name in NETWORKS:
            _add_training_options(sub, NETWORKS[name])
        else:
            {"audio": _add_audio_options, "demo": _add_demo_options}[name](sub)
        add_common_options(sub, suppress=True)
        sub.summarise(TASK_OPTIONS.get(name, ""), TASK_EXAMPLES.get(name, ()))
        sub.set_defaults(parser=sub)


def run(args: argparse.Namespace) -> int:
    """Run the named task."""
    if args.task in NETWORKS:
        return _train(args, NETWORKS[args.task])
    return {"audio": _audio, "demo": _demo}[args.task](args)


def add_vocoder_option(parser: argparse._ActionsContainer, text: str) -> None:
    """Add `--vocoder_run_id` under its three names; given repeatedly, it makes a list."""
    names = ("--vocoder_run_id", "--melgan_run_id", "--hifigan_run_id")
    parser.add_argument(*names, dest="vocoder_run_id", action="append", metavar="ID", help=text)


def _add_training_options(parser: argparse.ArgumentParser, network: Network) -> None:
    main = parser.add_argument_group("input and output")
    add_audio_option(main, "folder of the recordings to train on", required=False)
    add_pattern_options(main)
    main.add_argument(
        "--preset",
        choices=PRESET_NAMES,
        default="small",
        help="small: trains on two CPU cores; published: the paper's sizes, days on a GPU. "
        f"The defaults below are those of published; small uses {_small(network)} [default small]",
    )
    add_options(parser.add_argument_group("network"), network.model)
    add_options(parser.add_argument_group("training"), network.training)
    spectrogram = parser.add_argument_group("mel spectrogram")
    spectrogram.add_argument(
        "--mel_preset",
        choices=MEL_PRESETS,
        default="compatible",
        help="defaults of the options below: compatible with published vocoders (n_fft 1024, "
        "hop_length 256, n_mels 80), or recommended for new runs at 44.1 kHz (2048, 512, 128); "
        "vocoder and generator need the same [default compatible]",
    )
    add_options(spectrogram, MelConfig)
    runs = parser.add_argument_group("run")
    add_options(runs, RunConfig, exclude=("project",))
    runs.add_argument(
        "--project",
        default=network.project,
        metavar="NAME",
        help=f"W&B project, and name of its folder in experiment_dir [default {network.project}]",
    )
    runs.add_argument(
        "--resume_run_id", metavar="ID", help="resume a stopped run with its own settings"
    )
    if network.model is not VocoderConfig:
        add_vocoder_option(
            parser, "vocoder for the audio samples written during training [default Griffin-Lim]"
        )


def _small(network: Network) -> str:
    """Return the settings of the preset `small` for the help text."""
    text = _listed(SMALL[network.model] | SMALL[network.training])
    if network.model is VocoderConfig:
        text += "".join(f"; {name} vocos {_listed(values)}" for name, values in OF_VOCOS.items())
    return text


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def chosen(cls: type, args: argparse.Namespace) -> Any:
    """Return the settings of the preset, changed by the given options."""
    given: Any = from_options(cls, args)
    values = {name: getattr(given, name) for name in given_options(cls, args)}
    return replace(preset(cls, args.preset, of=getattr(args, "vocoder", None)), **values)


def chosen_mel(args: argparse.Namespace) -> MelConfig:
    """Return the mel front end of the preset, changed by the given options."""
    values = {name: getattr(args, name) for name in given_options(MelConfig, args)}
    return MelConfig(**(MEL_PRESETS[args.mel_preset] | values))


def _train(args: argparse.Namespace, network: Network) -> int:
    """Train a network; print the run id in the last line."""
    mel, model = chosen_mel(args), chosen(network.model, args)
    training = chosen(network.training, args)
    run = from_options(RunConfig, args)
    settings: dict[str, Any] = {}
    if isinstance(model, VocoderConfig):
        if "ratios" not in args and mel.hop_length in RATIOS:
            model = replace(model, ratios=RATIOS[mel.hop_length])
    elif args.vocoder_run_id:
        from desc.soundgen.vocoder import Vocoder

        of_vocoder = replace(run, project="melgan")
        settings["vocoder"] = Vocoder.from_run(args.vocoder_run_id[-1], of_vocoder)
    given = [
        n for c in (MelConfig, network.model, network.training) for n in given_options(c, args)
    ]

    def recordings(mel: MelConfig) -> SoundRecordings:
        from desc.soundgen.recordings import open_recordings

        patterns = {"include": args.include, "exclude": args.exclude}
        return open_recordings(args.audio_db_dir, mel.sample_rate, **patterns)

    with Console(args.quiet) as console:
        from desc.runs import SoundRecord, resolve_record
        from desc.soundgen import jobs

        run_id = args.resume_run_id or training.from_run
        record = resolve_record(SoundRecord, run_id, run) if run_id else None
        recall_inputs(args, record)
        try:
            record = getattr(jobs, network.function)(
                recordings,
                mel=mel,
                model=model,
                training=training,
                run=run,
                resume_run_id=args.resume_run_id,
                given=given,
                inputs=inputs_of(args),
                **settings,
            )
        except TrainingInterruptedError as stopped:
            console.run(stopped.run_id, is_stopped=stopped.status == "stopped")
            raise
        console.run(record.run_id, is_stopped=record.status == "stopped")
    return 0


def _add_audio_options(parser: argparse.ArgumentParser) -> None:
    main = parser.add_argument_group("input and output")
    main.add_argument(
        "--generator_run_id",
        "--unagan_run_id",
        dest="generator_run_id",
        action="append",
        required=True,
        metavar="ID",
        help="runs of train-unagan or train-flow, or published UnaGAN generators (.torch), "
        "separated by commas; each is combined with each vocoder",
    )
    add_vocoder_option(
        main,
        "runs of train-vocoder, or published MelGAN or HiFi-GAN generators, separated by commas "
        "[default: Griffin-Lim, which needs no training]",
    )
    text = "folder for the files and manifest.csv; existing files are kept"
    add_output_option(main, "generated", text)
    add_switch(main, "--overwrite", "replace existing files of another length")
    add_options(parser.add_argument_group("generation"), GenerateConfig)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("project", "name"))


def _audio(args: argparse.Namespace) -> int:
    """Generate files; print their folder and number."""
    config = from_options(GenerateConfig, args)
    with Console(args.quiet) as console:
        from desc.soundgen.generation import generate_from_runs

        result = generate_from_runs(
            ",".join(args.generator_run_id),
            args.output_dir,
            vocoder_run_id=",".join(args.vocoder_run_id) if args.vocoder_run_id else None,
            config=config,
            run=from_options(RunConfig, args),
            overwrite=args.overwrite,
        )
        console.result(_summary(result))
    return 0


def _summary(result: Generated) -> str:
    written = counted(len(result.written), "file")
    return f"{result.folder}: {written} written, {len(result.kept)} kept"


def _add_demo_options(parser: argparse.ArgumentParser) -> None:
    add_output_option(parser, "desc-generate-demo", "folder for recordings/ and generated/")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of music and sound [default 0]"
    )
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("project", "name"))


def _demo(args: argparse.Namespace) -> int:
    """Run the demo; print its folder and run ids."""
    config = from_options(RunConfig, args)
    check_integer("seed", args.seed, 0)
    with Console(args.quiet) as console:
        from desc.demo.generation import run_generation_demo

        result = run_generation_demo(args.output_dir, run=config, seed=args.seed)
        console.result(_summary(result.generated))
        console.result(
            f"run ids: {result.vocoder_run_id} (vocoder), {result.unagan_run_id} (unagan)"
        )
    return 0

"""Demo of sound generation: train a vocoder and UnaGAN on the demo corpus, generate ten files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from desc.configuration import RunConfig, to_dict
from desc.demo.corpus import write_corpus
from desc.demo.job import kept_runs
from desc.devices import one_thread
from desc.files import write_json
from desc.runs import SoundRecord
from desc.soundgen.generation import Generated, generate
from desc.soundgen.jobs import train_unagan, train_vocoder
from desc.soundgen.mel_generator import MelGenerator
from desc.soundgen.presets import preset
from desc.soundgen.recordings import open_recordings
from desc.soundgen.settings import (
    GenerateConfig,
    MelConfig,
    UnaganConfig,
    UnaganTraining,
    VocoderConfig,
    VocoderTraining,
)
from desc.soundgen.vocoder import Vocoder

MEL = MelConfig(n_fft=2048, hop_length=512, n_mels=128)
VOCODER_STEPS, UNAGAN_STEPS = 700, 120
N_FILES, DURATION_S = 10, 10.0


@dataclass(frozen=True)
class GenerationDemo:
    """Files and run ids of the demo."""

    generated: Generated
    vocoder_run_id: str
    unagan_run_id: str


@one_thread()
def run_generation_demo(
    output_dir: str | Path,
    *,
    run: RunConfig = RunConfig(),
    seed: int = 0,
    steps: tuple[int, int] = (VOCODER_STEPS, UNAGAN_STEPS),
) -> GenerationDemo:
    """Compose the recordings, train a vocoder and UnaGAN on them, generate ten files.

    Trainings have a fixed number of steps and use one thread: the same seed gives the same bytes on
    any number of cores. Runs of an earlier call with the same settings are reused.

    Parameters
    ----------
    output_dir : path
        Folder for `recordings/`, `generated/` and `generate.json`.
    run : RunConfig
        Where runs are kept; the projects are melgan and unagan.
    seed : int
        Seed of music, trainings and files.
    steps : tuple of int
        Training steps of the vocoder and of UnaGAN.
    """
    folder = Path(output_dir)
    write_corpus(folder, seed, with_database=False)
    recordings = open_recordings(folder / "recordings", MEL.sample_rate)
    common: dict[str, Any] = {"seed": seed, "accelerator": "cpu"}
    of_vocoder = {"steps": steps[0], "seq_len": 16384, "validation_share": 0.05} | common
    of_unagan = {"steps": steps[1], "save_interval": 60, "validation_share": 0.0} | common
    models = {
        "vocoder": preset(VocoderConfig, "small", vocoder="vocos"),
        "vocoder_training": preset(VocoderTraining, "small", of="vocos", **of_vocoder),
        "unagan": preset(UnaganConfig, "small"),
        "unagan_training": preset(UnaganTraining, "small", **of_unagan),
    }
    settings: dict[str, Any] = {name: to_dict(one) for name, one in {"mel": MEL, **models}.items()}
    settings["recordings"] = sorted(recordings.digests)
    projects = {"vocoder": "melgan", "unagan": "unagan"}
    runs = {f"{name}_run_id": replace(run, project=p) for name, p in projects.items()}
    path = folder / "generate.json"
    records = kept_runs(path, settings, SoundRecord, runs)
    if records is None:
        records = [
            train(
                lambda _: recordings,
                mel=MEL,
                model=models[name],
                training=models[f"{name}_training"],
                run=runs[f"{name}_run_id"],
            )
            for name, train in (("vocoder", train_vocoder), ("unagan", train_unagan))
        ]
        ids = {name: r.run_id for name, r in zip(runs, records, strict=True)}
        write_json(path, settings | ids, indent=1)
    vocoder_record, unagan_record = records
    # Fixed names: run ids are random, the names of the files are not.
    generator = replace(MelGenerator.from_run(str(unagan_record.folder)), name="unagan")
    vocoder = replace(Vocoder.from_run(str(vocoder_record.folder)), name="vocos")
    config = GenerateConfig(duration_s=DURATION_S, num_samples=N_FILES, seed=seed)
    generated = generate([generator], [vocoder], folder / "generated", config)
    return GenerationDemo(generated, vocoder_record.run_id, unagan_record.run_id)

"""Demo of sound generation: train a vocoder and UnaGAN on the demo corpus, generate ten files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

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
    model = preset(VocoderConfig, "small", vocoder="vocos")
    training = preset(
        VocoderTraining,
        "small",
        of="vocos",
        steps=steps[0],
        seed=seed,
        seq_len=16384,
        validation_share=0.05,
        accelerator="cpu",
    )
    unagan = preset(UnaganConfig, "small")
    unagan_training = preset(
        UnaganTraining,
        "small",
        steps=steps[1],
        save_interval=60,
        seed=seed,
        validation_share=0.0,
        accelerator="cpu",
    )
    settings = {
        "recordings": sorted(recordings.digests),
        "mel": to_dict(MEL),
        "vocoder": to_dict(model),
        "vocoder_training": to_dict(training),
        "unagan": to_dict(unagan),
        "unagan_training": to_dict(unagan_training),
    }
    places = {
        "vocoder_run_id": (SoundRecord, replace(run, project="melgan")),
        "unagan_run_id": (SoundRecord, replace(run, project="unagan")),
    }
    path = folder / "generate.json"
    records = kept_runs(path, settings, places)
    if records is None:
        of_mel = {"mel": MEL, "model": unagan, "training": unagan_training}
        of_sound = {"mel": MEL, "model": model, "training": training}
        records = [
            train_vocoder(lambda _: recordings, **of_sound, run=places["vocoder_run_id"][1]),
            train_unagan(lambda _: recordings, **of_mel, run=places["unagan_run_id"][1]),
        ]
        ids = {name: r.run_id for name, r in zip(places, records, strict=True)}
        write_json(path, settings | ids, indent=1)
    of_vocoder, of_unagan = records
    # Fixed names: run ids are random, the names of the files are not.
    generator = replace(MelGenerator.from_run(str(of_unagan.folder)), name="unagan")
    vocoder = replace(Vocoder.from_run(str(of_vocoder.folder)), name="vocos")
    config = GenerateConfig(duration_s=DURATION_S, num_samples=N_FILES, seed=seed)
    generated = generate([generator], [vocoder], folder / "generated", config)
    return GenerationDemo(generated, of_vocoder.run_id, of_unagan.run_id)

"""Sound generation on the embedded corpus: both networks trained, ten files written."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from desc.configuration import Note, Progress, RunConfig, to_dict
from desc.demo.corpus import write_corpus
from desc.devices import one_thread
from desc.errors import DescError
from desc.files import write_json
from desc.runs import SoundRecord, resolve_record
from desc.soundgen.generation import Generated, generate
from desc.soundgen.jobs import train_unagan, train_vocoder
from desc.soundgen.mel_generator import MelGenerator
from desc.soundgen.presets import preset
from desc.soundgen.recordings import SoundRecordings, open_recordings
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
SETTINGS = "generate.json"


@dataclass(frozen=True)
class GenerationDemo:
    """What the demo made."""

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
    progress: Progress | None = None,
    note: Note | None = None,
) -> GenerationDemo:
    """Make the recordings, train a vocoder and UnaGAN on them, write ten files of new sound.

    Both trainings have a fixed number of steps and are never stopped by the clock, and torch
    computes with one thread: the same seed gives the same bytes, however many cores there are.
    Runs of a former call with the same settings are used again.

    Parameters
    ----------
    output_dir : path
        Gets `recordings/`, `generated/` and `generate.json`.
    run : RunConfig
        Where the runs are kept; the projects are melgan and unagan.
    seed : int
        Decides the music, the trainings and the files.
    steps : tuple of int
        Of the vocoder and of UnaGAN.
    """
    folder = Path(output_dir)
    write_corpus(folder, seed, progress, with_database=False)
    recordings = open_recordings(folder / "recordings", MEL.sample_rate, progress=progress)
    (model, training), (sizes, learning) = _networks(seed, steps)
    settings = {
        "recordings": sorted(recordings.digests), "mel": to_dict(MEL), "vocoder": to_dict(model),
        "vocoder_training": to_dict(training), "unagan": to_dict(sizes),
        "unagan_training": to_dict(learning),
    }  # fmt: skip
    records = _kept(folder / SETTINGS, settings, run)

    def opened(_: MelConfig) -> SoundRecordings:
        return recordings

    if records is None:
        of_vocoder = train_vocoder(
            opened, mel=MEL, model=model, training=training, run=replace(run, project="melgan"),
        )  # fmt: skip
        of_unagan = train_unagan(
            opened, mel=MEL, model=sizes, training=learning, run=replace(run, project="unagan"),
        )  # fmt: skip
        records = (of_vocoder, of_unagan)
        ids = {"vocoder_run_id": of_vocoder.run_id, "unagan_run_id": of_unagan.run_id}
        write_json(folder / SETTINGS, settings | ids, indent=1)
    of_vocoder, of_unagan = records
    # Named by what they are: the ids of runs are drawn anew each time.
    generator = replace(MelGenerator.from_run(str(of_unagan.folder)), name="unagan")
    vocoder = replace(Vocoder.from_run(str(of_vocoder.folder)), name="vocos")
    generated = generate(
        [generator],
        [vocoder],
        folder / "generated",
        GenerateConfig(duration_s=DURATION_S, num_samples=N_FILES, seed=seed),
        progress=progress,
        note=note,
    )
    return GenerationDemo(generated, of_vocoder.run_id, of_unagan.run_id)


def _networks(
    seed: int, steps: tuple[int, int]
) -> tuple[tuple[VocoderConfig, VocoderTraining], tuple[UnaganConfig, UnaganTraining]]:
    """Return sizes and training of the vocoder and of UnaGAN."""
    training = replace(
        preset(VocoderTraining, "small", of="vocos"), steps=steps[0], seed=seed, seq_len=16384,
        validation_share=0.05, accelerator="cpu",
    )  # fmt: skip
    learning = replace(
        preset(UnaganTraining, "small"), steps=steps[1], save_interval=60, seed=seed,
        validation_share=0.0, accelerator="cpu",
    )  # fmt: skip
    of_sound = preset(VocoderConfig, "small", vocoder="vocos"), training
    return of_sound, (preset(UnaganConfig, "small"), learning)


def _kept(
    path: Path, settings: dict[str, Any], run: RunConfig
) -> tuple[SoundRecord, SoundRecord] | None:
    """Return the runs that an earlier demo trained by the same settings, if they are there."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        ids = [stored.pop(name) for name in ("vocoder_run_id", "unagan_run_id")]
        if stored != settings:
            return None
        offline = replace(run, offline=True)
        of_vocoder, of_unagan = (
            resolve_record(SoundRecord, run_id, replace(offline, project=project))
            for run_id, project in zip(ids, ("melgan", "unagan"), strict=True)
        )
    except (OSError, ValueError, AttributeError, KeyError, DescError):
        return None
    return of_vocoder, of_unagan

"""`generate_from_runs`: run ids → many files of new sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from desc.configuration import Note, Progress, RunConfig
from desc.errors import ConfigurationError
from desc.soundgen.generate_config import GenerateConfig
from desc.soundgen.generation import Generated, generate
from desc.soundgen.mel_generator import MelGenerator
from desc.soundgen.vocoder import Vocoder


def generate_from_runs(
    unagan_run_id: str,
    output_dir: str | Path,
    *,
    melgan_run_id: str | None = None,
    hifigan_run_id: str | None = None,
    config: GenerateConfig = GenerateConfig(),
    run: RunConfig = RunConfig(),
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Generated:
    """Write files of new sound with networks named by their runs; see `generation.generate`.

    Parameters
    ----------
    unagan_run_id : str
        Runs of generators of spectrograms, separated by commas; each goes with each vocoder.
    output_dir : path
        Gets the files and `manifest.csv`.
    melgan_run_id : str, optional
        Runs of vocoders, or paths of published generators, separated by commas.
    hifigan_run_id : str, optional
        Paths of published HiFi-GAN generators, instead. Without either Griffin-Lim is used.
    config : GenerateConfig
    run : RunConfig
        Where to look; the projects are unagan, melgan and hifi-gan.
    overwrite, progress, note
        See `generation.generate`.

    Raises
    ------
    ConfigurationError
        If both kinds of vocoders are named, or a list is empty.
    DescError
        As `generation.generate`, `MelGenerator.from_run` and `Vocoder.from_run`.
    """
    if melgan_run_id is not None and hifigan_run_id is not None:
        raise ConfigurationError("give melgan_run_id or hifigan_run_id, not both")
    of_mels = replace(run, project="unagan")
    generators = [
        MelGenerator.from_run(name, of_mels) for name in _listed("unagan_run_id", unagan_run_id)
    ]
    vocoders: list[Vocoder | None] = [None]
    for option, project, names in (
        ("melgan_run_id", "melgan", melgan_run_id),
        ("hifigan_run_id", "hifi-gan", hifigan_run_id),
    ):
        if names is not None:
            of_sound = replace(run, project=project)
            vocoders = [Vocoder.from_run(n, of_sound) for n in _listed(option, names)]
    return generate(
        generators, vocoders, output_dir, config, overwrite=overwrite, progress=progress, note=note
    )


def _listed(name: str, text: str) -> list[str]:
    """Return the parts of a comma-separated list."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigurationError(f"{name}={text!r} must name a run")
    return parts
